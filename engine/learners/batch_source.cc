#include "engine/learners/batch_source.h"

#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

void RequireLength(std::string_view what, size_t length, int64_t rows, int64_t columns) {
  if (static_cast<int64_t>(length) != rows * columns) {
    Fail(what, ": ", rows, " rows of ", columns, " need ", rows * columns, " values, got ", length);
  }
}

void RequireFinite(std::string_view what, const std::vector<float>& values, int64_t columns) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    const auto position = static_cast<int64_t>(i);
    Fail(what, ": row ", position / columns + 1, ", column ", position % columns + 1, " is ",
         values[i], ": impute or remove it");
  }
}

template <typename T>
void GatherRows(const std::vector<T>& from, int64_t columns, std::span<const int64_t> rows, T* to) {
  if (to == nullptr || from.empty()) return;
  const auto bytes = static_cast<size_t>(columns) * sizeof(T);
  for (const int64_t row : rows) {
    std::memcpy(to, from.data() + row * columns, bytes);
    to += columns;
  }
}

}  // namespace

MemoryBatchSource::MemoryBatchSource(MemoryBatch batch) : batch_(std::move(batch)) {
  const BatchLayout& layout = batch_.layout;
  RequireLength("features", batch_.features.size(), batch_.rows, layout.features);
  RequireLength("codes", batch_.codes.size(), batch_.rows, layout.code_columns);
  if (layout.targets > 0 && layout.classes > 0) {
    Fail("a target is either numbers or a class, not both");
  }
  // Rows to predict may come without a target.
  if (!batch_.targets.empty()) {
    RequireLength("targets", batch_.targets.size(), batch_.rows, layout.Judged() * layout.targets);
  }
  if (!batch_.labels.empty()) {
    RequireLength("labels", batch_.labels.size(), batch_.rows, layout.Judged());
  }
  if (layout.has_weights && !batch_.weights.empty()) {
    RequireLength("weights", batch_.weights.size(), batch_.rows, layout.Judged());
  }
  RequireLength("lengths", batch_.lengths.size(), batch_.rows, layout.has_lengths ? 1 : 0);
  for (size_t i = 0; i < batch_.lengths.size(); ++i) {
    if (batch_.lengths[i] >= 1) continue;
    Fail("lengths: row ", i + 1, " has ", batch_.lengths[i], " steps: a row has at least 1");
  }
  RequireFinite("features", batch_.features, layout.features);
  RequireFinite("targets", batch_.targets, layout.targets);
  RequireFinite("weights", batch_.weights, 1);
  for (size_t i = 0; i < batch_.labels.size(); ++i) {
    if (batch_.labels[i] < 0 || batch_.labels[i] >= layout.classes) {
      Fail("labels: row ", static_cast<int64_t>(i) / layout.Judged() + 1, " is ", batch_.labels[i],
           ", but labels are 0 to ", layout.classes - 1);
    }
  }
}

void MemoryBatchSource::Gather(std::span<const int64_t> rows, const BatchView& out) const {
  const BatchLayout& layout = batch_.layout;
  GatherRows(batch_.features, layout.features, rows, out.features);
  GatherRows(batch_.codes, layout.code_columns, rows, out.codes);
  GatherRows(batch_.targets, layout.Judged() * layout.targets, rows, out.targets);
  GatherRows(batch_.labels, layout.Judged(), rows, out.labels);
  GatherRows(batch_.weights, layout.Judged(), rows, out.weights);
  GatherRows(batch_.lengths, 1, rows, out.lengths);
}

}  // namespace beamline::engine
