#include "engine/learners/row_reader.h"

namespace beamline::engine {
namespace {

// Rows that one thread gathers at once.
constexpr int64_t kTile = 128;

template <typename T>
T* Room(std::vector<T>* memory, int64_t rows, int64_t width) {
  memory->resize(static_cast<size_t>(rows * width));
  return width > 0 ? memory->data() : nullptr;
}

template <typename T>
T* At(T* data, int64_t row, int64_t width) {
  return data != nullptr ? data + row * width : nullptr;
}

int64_t LabelWidth(const BatchLayout& layout) { return layout.classes > 0 ? layout.Judged() : 0; }
int64_t WeightWidth(const BatchLayout& layout) { return layout.has_weights ? layout.Judged() : 0; }

}  // namespace

RowBlock RowReader::Read(std::span<const int64_t> rows) {
  const BatchLayout& layout = source_.layout();
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t targets = layout.targets * layout.Judged();
  BatchView view;
  view.features = Room(&features_, count, layout.features);
  view.codes = Room(&codes_, count, layout.code_columns);
  view.targets = Room(&targets_, count, targets);
  view.labels = Room(&labels_, count, LabelWidth(layout));
  view.weights = Room(&weights_, count, WeightWidth(layout));
  view.lengths = Room(&lengths_, count, layout.has_lengths ? 1 : 0);
  pool_.ParallelFor((count + kTile - 1) / kTile, [&](int64_t tile) {
    const int64_t first = tile * kTile;
    const int64_t size = std::min(kTile, count - first);
    BatchView part;
    part.features = At(view.features, first, layout.features);
    part.codes = At(view.codes, first, layout.code_columns);
    part.targets = At(view.targets, first, targets);
    part.labels = At(view.labels, first, LabelWidth(layout));
    part.weights = At(view.weights, first, WeightWidth(layout));
    part.lengths = At(view.lengths, first, 1);
    source_.Gather(rows.subspan(static_cast<size_t>(first), static_cast<size_t>(size)), part);
  });
  return {rows,         count,       view.features, view.codes,
          view.targets, view.labels, view.weights,  view.lengths};
}

int64_t RowReader::BytesOf(const BatchLayout& layout, int64_t rows) {
  return rows * (8 + 4 * (layout.features + layout.code_columns + layout.targets * layout.Judged() +
                          LabelWidth(layout) + WeightWidth(layout) + (layout.has_lengths ? 1 : 0)));
}

}  // namespace beamline::engine
