#include "engine/learners/vectors/kernel_cache.h"

#include <algorithm>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/learners/row_blocks.h"
#include "engine/learners/vectors/kernels.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;
// Multiplications that are worth a thread's while.
constexpr int64_t kTileWork = int64_t{1} << 17;

}  // namespace

KernelCache::KernelCache(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                         const std::vector<std::vector<int64_t>>& segments, int64_t bytes,
                         ThreadPool* pool)
    : spec_(spec),
      gamma_(gamma),
      features_(rows.features),
      pool_(*pool),
      room_(static_cast<size_t>(bytes) / sizeof(float)) {
  for (const std::vector<int64_t>& segment : segments) {
    begins_.push_back(static_cast<int64_t>(rows_.size()));
    rows_.insert(rows_.end(), segment.begin(), segment.end());
    rows_.resize((rows_.size() + kLanes - 1) / kLanes * kLanes, -1);
  }
  begins_.push_back(static_cast<int64_t>(rows_.size()));
  panels_.resize(rows_.size() * static_cast<size_t>(features_));
  squares_.resize(rows_.size());
  diagonal_.resize(rows_.size());
  pool_.ParallelFor(static_cast<int64_t>(rows_.size()) / kLanes, [&](int64_t panel) {
    std::vector<float> room(static_cast<size_t>(kLanes * features_));
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const auto place = static_cast<size_t>(panel * kLanes + lane);
      float* x = room.data() + lane * features_;
      if (rows_[place] >= 0) std::copy_n(rows.x.data() + rows_[place] * features_, features_, x);
      diagonal_[place] = squares_[place] = SquareOf(x, features_);
    }
    TransposeRows(room.data(), kLanes, features_, panels_.data() + panel * kLanes * features_);
  });
  for (size_t place = 0; place < rows_.size(); ++place) {
    KernelsOfProducts(spec_, gamma_, squares_[place], &squares_[place], 1, &diagonal_[place]);
  }
}

const float* KernelCache::Kernels(int64_t place, int64_t segment) {
  const int64_t key = place * static_cast<int64_t>(begins_.size()) + segment;
  if (const auto found = known_.find(key); found != known_.end()) {
    pieces_.splice(pieces_.begin(), pieces_, found->second);
    return pieces_.front().kernels.data();
  }
  const auto size = static_cast<size_t>(Size(segment));
  while (held_ + size > room_ && pieces_.size() >= 4) {
    held_ -= pieces_.back().kernels.size();
    known_.erase(pieces_.back().key);
    pieces_.pop_back();
  }
  pieces_.push_front({key, std::vector<float>(size)});
  known_[key] = pieces_.begin();
  held_ += size;
  Make(place, segment, &pieces_.front().kernels);
  return pieces_.front().kernels.data();
}

void KernelCache::Make(int64_t place, int64_t segment, std::vector<float>* kernels) {
  const float* lane = panels_.data() + place / kLanes * kLanes * features_ + place % kLanes;
  std::vector<float> x(static_cast<size_t>(features_));
  for (int64_t f = 0; f < features_; ++f) x[static_cast<size_t>(f)] = lane[f * kLanes];
  const int64_t piece = std::max<int64_t>(4, kTileWork / (kLanes * (features_ + 8)));
  const int64_t panels = Size(segment) / kLanes;
  pool_.ParallelFor((panels + piece - 1) / piece, [&](int64_t tile) {
    const int64_t first = tile * piece;
    const int64_t count = std::min(piece, panels - first);
    const int64_t from = Begin(segment) + first * kLanes;
    std::vector<double> values(static_cast<size_t>(count * kLanes));
    cpu::FindLearnerKernels().ProductsOfRow(x.data(), features_, panels_.data() + from * features_,
                                            count, values.data());
    KernelsOfProducts(spec_, gamma_, squares_[static_cast<size_t>(place)], squares_.data() + from,
                      count * kLanes, values.data());
    std::copy(values.begin(), values.end(), kernels->begin() + first * kLanes);
  });
}

}  // namespace beamline::engine
