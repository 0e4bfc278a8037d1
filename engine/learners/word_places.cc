#include "engine/learners/word_places.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace beamline::engine {
namespace {

constexpr double kAll = 4294967296.0;  // 2^32: a chance of 1
// Rows whose places one thread finds at once.
constexpr int64_t kTile = 4;

}  // namespace

WordNoise::WordNoise(std::span<const int64_t> counts, double subsample) {
  const size_t size = counts.size();
  stays_.assign(size, 0);
  double total = 0, mass = 0;
  std::vector<double> parts(size);
  for (size_t i = 0; i < size; ++i) {
    const double root = std::sqrt(std::sqrt(static_cast<double>(counts[i])));
    total += static_cast<double>(counts[i]);
    parts[i] = root * root * root;
    mass += parts[i];
  }
  if (!(mass > 0)) return;
  std::vector<int32_t> less, more;
  for (size_t i = 0; i < size; ++i) {
    if (counts[i] == 0) continue;
    const double share = static_cast<double>(counts[i]) / total;
    const double chance = subsample > 0 ? std::min(1.0, std::sqrt(subsample / share)) : 1.0;
    stays_[i] = std::max<uint64_t>(1, static_cast<uint64_t>(chance * kAll));
  }
  for (size_t i = 0; i < size; ++i) {
    parts[i] *= static_cast<double>(size) / mass;
    (parts[i] < 1 ? less : more).push_back(static_cast<int32_t>(i));
  }
  own_.assign(size, static_cast<uint64_t>(kAll));
  other_.resize(size);
  std::iota(other_.begin(), other_.end(), 0);
  // A cell with less than its share is filled up by one that has more.
  while (!less.empty() && !more.empty()) {
    const auto small = static_cast<size_t>(less.back());
    const auto large = static_cast<size_t>(more.back());
    less.pop_back();
    own_[small] = static_cast<uint64_t>(parts[small] * kAll);
    other_[small] = more.back();
    parts[large] -= 1 - parts[small];
    if (parts[large] >= 1) continue;
    less.push_back(more.back());
    more.pop_back();
  }
  // What is left is 1 but for rounding; a code that does not occur must not be drawn for all that.
  for (const int32_t cell : less) {
    const auto at = static_cast<size_t>(cell);
    if (counts[at] > 0) continue;
    own_[at] = 0;
    other_[at] =
        static_cast<int32_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  }
}

void WordPlaces::Take(const RowBlock& block, int64_t columns, const WordNoise& noise,
                      const Philox& random, ThreadPool* pool) {
  noise_ = &noise;
  random_ = random;
  kept_codes_.resize(static_cast<size_t>(block.rows * columns));
  kept_columns_.resize(kept_codes_.size());
  ends_.resize(static_cast<size_t>(block.rows));
  const int64_t tiles = (block.rows + kTile - 1) / kTile;
  const auto for_rows = [&](const auto& body) {
    pool->ParallelFor(tiles, [&](int64_t tile) {
      const int64_t end = std::min(block.rows, (tile + 1) * kTile);
      for (int64_t row = tile * kTile; row < end; ++row) body(row);
    });
  };
  const auto key = [&](int64_t row, int64_t column) {
    return static_cast<uint64_t>(block.index[static_cast<size_t>(row)] * columns + column);
  };
  for_rows([&](int64_t row) {
    int64_t kept = row * columns;
    for (int64_t column = 0; column < columns; ++column) {
      const int32_t code = block.codes[row * columns + column];
      if (!noise.Knows(code)) continue;
      if (!noise.Stays(code, random_.Block(key(row, column) * Blocks()).word[0])) continue;
      kept_codes_[static_cast<size_t>(kept)] = code;
      kept_columns_[static_cast<size_t>(kept++)] = static_cast<int32_t>(column);
    }
    ends_[static_cast<size_t>(row)] = kept - row * columns;
  });
  std::partial_sum(ends_.begin(), ends_.end(), ends_.begin());
  const auto all = static_cast<size_t>(ends_.empty() ? 0 : ends_.back());
  codes_.resize(all);
  keys_.resize(all);
  rows_.resize(all);
  for_rows([&](int64_t row) {
    const int64_t first = row > 0 ? ends_[static_cast<size_t>(row - 1)] : 0;
    for (int64_t place = first; place < ends_[static_cast<size_t>(row)]; ++place) {
      const auto from = static_cast<size_t>(row * columns + place - first);
      const auto to = static_cast<size_t>(place);
      codes_[to] = kept_codes_[from];
      keys_[to] = key(row, kept_columns_[from]);
      rows_[to] = static_cast<int32_t>(row);
    }
  });
}

int64_t WordPlaces::InputsOf(int64_t place, int32_t* codes) const {
  const auto row = static_cast<size_t>(rows_[static_cast<size_t>(place)]);
  const uint64_t bits = Drawn(place, 0).word[1];
  const auto reach = static_cast<int64_t>(1 + ((bits * static_cast<uint64_t>(reach_)) >> 32));
  const int64_t first = std::max(row > 0 ? ends_[row - 1] : 0, place - reach);
  const int64_t last = std::min(ends_[row], place + reach + 1);
  int32_t* end = std::copy(codes_.begin() + first, codes_.begin() + place, codes);
  end = std::copy(codes_.begin() + place + 1, codes_.begin() + last, end);
  return end - codes;
}

int64_t WordPlaces::OutputsOf(int64_t place, int32_t* codes, float* signs) const {
  codes[0] = codes_[static_cast<size_t>(place)];
  signs[0] = 1;
  int64_t count = 1;
  PhiloxBlock block = Drawn(place, 0);
  for (int64_t k = 0; k < negatives_; ++k) {
    const int64_t word = (k + 2) % 4;
    if (word == 0) block = Drawn(place, (k + 2) / 4);
    codes[k + 1] = noise_->Draw(block.word[word]);
    signs[k + 1] = codes[k + 1] == codes[0] ? 0.0f : -1.0f;
    count += codes[k + 1] != codes[0];
  }
  return count;
}

}  // namespace beamline::engine
