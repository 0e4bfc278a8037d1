#include "engine/optim/averaging.h"

#include <algorithm>
#include <cstring>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

// Elements of a piece: what one thread takes at a time.
constexpr int64_t kPiece = 16384;

}  // namespace

WeightAverage::WeightAverage(const AveragingSpec& spec, Variables* variables,
                             const std::vector<std::string>& names)
    : spec_(spec), variables_(variables) {
  if (spec.kind == AveragingKind::kNone) return;
  for (const std::string& name : names) {
    Tensor& variable = variables->Get(name);
    Tensor& average = averages_[name];
    average = variable.Clone();
    const int64_t elements = variable.NumElements();
    for (int64_t first = 0; first < elements; first += kPiece) {
      pieces_.push_back({average.values<float>().data() + first,
                         variable.values<float>().data() + first,
                         std::min(kPiece, elements - first)});
    }
  }
}

void WeightAverage::AfterStep(ThreadPool* pool) {
  if (spec_.kind == AveragingKind::kExponential) {
    Update(static_cast<float>(1 - spec_.decay), pool);
  }
}

void WeightAverage::AfterEpoch(int64_t epoch, ThreadPool* pool) {
  if (spec_.kind == AveragingKind::kStochastic && epoch >= spec_.start_epoch) {
    Update(1.0f / static_cast<float>(updates_ + 1), pool);
  }
}

void WeightAverage::Update(float share, ThreadPool* pool) {
  const bool first = updates_++ == 0;
  variables_->Touch(false);
  pool->ParallelFor(static_cast<int64_t>(pieces_.size()), [&](int64_t i) {
    const Piece& piece = pieces_[static_cast<size_t>(i)];
    for (int64_t j = 0; j < piece.elements; ++j) {
      const float w = piece.variable[j];
      piece.average[j] = first ? w : piece.average[j] + share * (w - piece.average[j]);
    }
  });
}

void WeightAverage::Swap() {
  if (!active()) return;
  variables_->Touch(true);
  for (const Piece& piece : pieces_) {
    std::swap_ranges(piece.average, piece.average + piece.elements, piece.variable);
  }
}

void WeightAverage::Restore(int64_t updates, const std::map<std::string, Tensor>& averages) {
  if (averages.size() != averages_.size()) Fail("the checkpoint lacks averages of weights");
  for (const auto& [name, tensor] : averages) {
    const auto found = averages_.find(name);
    if (found == averages_.end() || found->second.shape() != tensor.shape()) {
      Fail("the checkpoint has an average of \"", name, "\" that does not fit");
    }
  }
  for (const auto& [name, tensor] : averages) {
    std::memcpy(averages_[name].raw(), tensor.raw(), static_cast<size_t>(tensor.size_bytes()));
  }
  updates_ = updates;
}

int64_t WeightAverage::size_bytes() const {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : averages_) bytes += tensor.size_bytes();
  return bytes;
}

}  // namespace beamline::engine
