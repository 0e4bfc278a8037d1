#include "engine/learners/trees/binned_rows.h"

#include <algorithm>
#include <bit>

namespace beamline::engine {
namespace {

// Numbers whose order is that of floats; both zeros are one.
uint32_t KeyOf(float x) {
  const auto bits = std::bit_cast<uint32_t>(x + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

float FloatOf(uint32_t key) {
  return std::bit_cast<float>((key & 0x80000000U) != 0 ? key & 0x7FFFFFFFU : ~key);
}

// By eleven bits at a time, the lowest first.
void Sort(std::vector<uint32_t>* keys) {
  constexpr int kBits = 11;
  constexpr uint32_t kDigits = 1U << kBits;
  std::vector<uint32_t> other(keys->size());
  for (int shift = 0; shift < 32; shift += kBits) {
    size_t places[kDigits + 1] = {};
    for (const uint32_t key : *keys) ++places[(key >> shift) % kDigits + 1];
    for (uint32_t digit = 0; digit < kDigits; ++digit) places[digit + 1] += places[digit];
    for (const uint32_t key : *keys) other[places[(key >> shift) % kDigits]++] = key;
    keys->swap(other);
  }
}

std::vector<float> CutsOf(const RowMatrix& rows, int64_t feature, int64_t bins) {
  std::vector<uint32_t> keys(static_cast<size_t>(rows.rows));
  for (size_t i = 0; i < keys.size(); ++i) {
    keys[i] = KeyOf(rows.x[i * static_cast<size_t>(rows.features) + static_cast<size_t>(feature)]);
  }
  Sort(&keys);
  std::vector<uint32_t> different;
  for (const uint32_t key : keys) {
    if (different.empty() || different.back() != key) different.push_back(key);
  }
  std::vector<float> cuts;
  if (static_cast<int64_t>(different.size()) <= bins) {
    for (size_t i = 1; i < different.size(); ++i) cuts.push_back(FloatOf(different[i]));
    return cuts;
  }
  uint32_t last = different.front();
  for (int64_t bin = 1; bin < bins; ++bin) {
    const uint32_t key = keys[static_cast<size_t>(rows.rows * bin / bins)];
    if (key == last) continue;
    cuts.push_back(FloatOf(key));
    last = key;
  }
  return cuts;
}

// Cuts that are not above x; without branches that nobody foresees.
int64_t CountUpTo(const std::vector<float>& cuts, float x) {
  const float* from = cuts.data();
  auto left = static_cast<int64_t>(cuts.size());
  while (left > 1) {
    const int64_t half = left / 2;
    from += x < from[half - 1] ? 0 : half;
    left -= half;
  }
  return from - cuts.data() + (left == 1 && !(x < *from) ? 1 : 0);
}

}  // namespace

BinnedRows::BinnedRows(const RowMatrix& rows, int bins, ThreadPool* pool)
    : rows_(rows.rows), cuts_(static_cast<size_t>(rows.features)) {
  pool->ParallelFor(rows.features, [&](int64_t feature) {
    cuts_[static_cast<size_t>(feature)] = CutsOf(rows, feature, bins);
  });
  for (const std::vector<float>& cuts : cuts_) {
    bins_ = std::max(bins_, static_cast<int64_t>(cuts.size()) + 1);
  }
  if (AreBytes()) {
    Fill(rows, pool, &bytes_);
  } else {
    Fill(rows, pool, &shorts_);
  }
}

template <typename T>
void BinnedRows::Fill(const RowMatrix& rows, ThreadPool* pool, std::vector<T>* bins) const {
  bins->resize(static_cast<size_t>(blocks() * kBlock * rows_));
  pool->ParallelFor(features(), [&](int64_t feature) {
    const std::vector<float>& cuts = Cuts(feature);
    T* to = bins->data() + feature / kBlock * rows_ * kBlock + feature % kBlock;
    const float* x = rows.x.data() + feature;
    for (int64_t row = 0; row < rows_; ++row) {
      to[row * kBlock] = static_cast<T>(CountUpTo(cuts, x[row * rows.features]));
    }
  });
}

}  // namespace beamline::engine
