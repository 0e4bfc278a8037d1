#include "pipeline/row_source.h"

#include <algorithm>
#include <cstring>

namespace beamline::pipeline {
namespace {

// Copies item `from[i]` of `width` values to item i of `out`, if the caller wants it.
template <typename T>
void GatherItems(const std::vector<T>& values, std::span<const int64_t> from, int64_t width,
                 T* out) {
  if (out == nullptr || width == 0 || values.empty()) return;
  for (size_t i = 0; i < from.size(); ++i) {
    std::memcpy(out + static_cast<int64_t>(i) * width, values.data() + from[i] * width,
                sizeof(T) * static_cast<size_t>(width));
  }
}

}  // namespace

Truth ReadTruth(const engine::data::Table& table, const engine::data::FittedTarget& target,
                const std::string& weight_column, const std::vector<int64_t>& rows) {
  Truth truth;
  if (!weight_column.empty()) {
    truth.weights = engine::data::ReadWeights(table, weight_column, rows);
  }
  if (target.column.empty()) return truth;
  truth.targets = engine::data::EncodeTarget(target, table, rows);
  if (target.kind == engine::data::TargetKind::kRegression) {
    engine::data::FittedTarget plain = target;
    plain.mean = 0;
    plain.scale = 1;
    truth.raw = engine::data::EncodeTarget(plain, table, rows);
  } else {
    truth.labels = engine::data::EncodeClasses(target, table, rows);
  }
  return truth;
}

RowSource::RowSource(const engine::data::FittedTransforms& fitted, const engine::data::Table& table,
                     std::vector<int64_t> rows, const engine::BatchLayout& layout,
                     const Truth& truth, int64_t memory_bytes)
    : table_(table), reader_(fitted, table_), rows_(std::move(rows)), layout_(layout) {
  if (layout_.classes > 0) labels_ = truth.labels;
  if (layout_.targets > 0) targets_ = truth.targets;
  if (layout_.has_weights) {
    weights_ = truth.weights;
    if (weights_.empty()) weights_.assign(rows_.size(), 1.0F);
  }
  engine::data::FittedTransforms held;
  for (size_t i = 0; i < fitted.columns.size(); ++i) {
    if (reader_.ReadsBytes(i)) {
      has_byte_columns_ = true;
      continue;
    }
    held.columns.push_back(fitted.columns[i]);
    const int64_t first = reader_.FirstFeature(i), size = reader_.FirstFeature(i + 1) - first;
    if (!pieces_.empty() && pieces_.back().first + pieces_.back().size == first) {
      pieces_.back().size += size;
    } else if (size > 0) {
      pieces_.push_back({first, size});
    }
  }
  held_ = held.features();
  const auto per_row = static_cast<int64_t>(sizeof(float)) * (held_ + layout_.code_columns);
  in_memory_ = per_row * RowSource::rows() <= memory_bytes;
  if (!in_memory_ || held.columns.empty()) return;
  features_.resize(rows_.size() * static_cast<size_t>(held_));
  codes_.resize(rows_.size() * static_cast<size_t>(layout_.code_columns));
  engine::data::FeatureReader(held, table_).Read(rows_, features_, codes_);
}

void RowSource::CopyFeatures(std::span<const int64_t> rows, float* out) const {
  int64_t from = 0;
  for (const Piece& piece : pieces_) {
    for (size_t i = 0; i < rows.size(); ++i) {
      std::memcpy(out + static_cast<int64_t>(i) * layout_.features + piece.first,
                  features_.data() + rows[i] * held_ + from,
                  sizeof(float) * static_cast<size_t>(piece.size));
    }
    from += piece.size;
  }
}

void RowSource::Gather(std::span<const int64_t> rows, const engine::BatchView& out) const {
  GatherItems(labels_, rows, 1, out.labels);
  GatherItems(targets_, rows, layout_.targets, out.targets);
  GatherItems(weights_, rows, 1, out.weights);
  if (in_memory_) {
    GatherItems(codes_, rows, layout_.code_columns, out.codes);
    if (out.features != nullptr) CopyFeatures(rows, out.features);
    if (out.features == nullptr || !has_byte_columns_) return;
  }
  if (out.features == nullptr && out.codes == nullptr) return;
  thread_local std::vector<int64_t> table_rows;  // Keeps its memory from step to step.
  table_rows.resize(rows.size());
  std::transform(rows.begin(), rows.end(), table_rows.begin(),
                 [&](int64_t row) { return rows_[static_cast<size_t>(row)]; });
  const std::span<float> features(out.features,
                                  rows.size() * static_cast<size_t>(layout_.features));
  if (in_memory_) return reader_.ReadByteColumns(table_rows, features);
  reader_.Read(table_rows, features,
               {out.codes, rows.size() * static_cast<size_t>(layout_.code_columns)});
}

}  // namespace beamline::pipeline
