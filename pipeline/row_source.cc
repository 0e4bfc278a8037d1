#include "pipeline/row_source.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

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

FeatureRoom RoomOf(int64_t memory_bytes, std::string folder) {
  constexpr int64_t kMemoryShare = 4;
  constexpr int64_t kCachedShare = 2;
  constexpr int64_t kDiskShare = 48;
  constexpr int64_t kMostDiskBytes = int64_t{128} << 30;
  return {.memory_bytes = memory_bytes / kMemoryShare,
          .folder = std::move(folder),
          .disk_bytes = std::min(memory_bytes * kDiskShare, kMostDiskBytes),
          .cached_bytes = memory_bytes / kCachedShare};
}

FeaturePlace PlaceOf(int64_t bytes, const FeatureRoom& room) {
  // A task may write none that is larger (worker/confinement.h).
  constexpr int64_t kMostFileBytes = int64_t{64} << 30;
  if (bytes <= room.memory_bytes) return FeaturePlace::kMemory;
  if (room.folder.empty()) return FeaturePlace::kTable;
  if (bytes <= std::min({room.cached_bytes, room.disk_bytes, kMostFileBytes})) {
    return FeaturePlace::kFile;
  }
  // Twice, with 8 bytes a row, of which each has a number at least.
  return bytes <= room.disk_bytes / 4 ? FeaturePlace::kShuffledFile : FeaturePlace::kTable;
}

std::string PlaceText(FeaturePlace place, int64_t bytes) {
  const std::string size = absl::StrCat("features of ", (bytes + (1 << 20) - 1) >> 20, " MiB ");
  switch (place) {
    case FeaturePlace::kMemory:
      return size + "in memory";
    case FeaturePlace::kFile:
      return size + "in a file";
    case FeaturePlace::kShuffledFile:
      return size + "in a file, streamed in each epoch's order";
    default:
      return size + "read from the table batch by batch: there is no room for them";
  }
}

RowSource::RowSource(const engine::data::FittedTransforms& fitted, const engine::data::Table& table,
                     std::vector<int64_t> rows, const engine::BatchLayout& layout,
                     const Truth& truth, const FeatureRoom& room)
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
  record_bytes_ = static_cast<int64_t>(sizeof(float)) * (held_ + layout_.code_columns);
  Hold(held, room);
}

void RowSource::Hold(const engine::data::FittedTransforms& held, const FeatureRoom& room) {
  place_ = PlaceOf(held_bytes(), room);
  if (held_bytes() == 0 || place_ == FeaturePlace::kTable) return;
  const bool in_memory = place_ == FeaturePlace::kMemory;
  workspace_ = std::make_unique<engine::data::Workspace>(
      engine::data::Workspace::Options{.memory_bytes = in_memory ? INT64_MAX : 0,
                                       .folder = room.folder,
                                       .disk_bytes = room.disk_bytes,
                                       .progress = {}});
  try {
    records_ = workspace_->New<std::byte>(held_bytes());
    if (place_ == FeaturePlace::kShuffledFile) {
      shuffled_ = std::make_unique<engine::data::ShuffledRecords>(records_, rows(), record_bytes_,
                                                                  room.memory_bytes, *workspace_);
    }
  } catch (const engine::data::NoRoom&) {
    place_ = FeaturePlace::kTable;
    records_ = {};
    return;
  }
  Compute(held);
}

// Some rows at a time, so that beside the records there is little.
void RowSource::Compute(const engine::data::FittedTransforms& held) {
  constexpr int64_t kBytes = int64_t{4} << 20;
  const int64_t most = std::clamp<int64_t>(kBytes / record_bytes_, 1, 4096);
  const engine::data::FeatureReader reader(held, table_);
  const auto code_columns = static_cast<size_t>(layout_.code_columns);
  const auto width = static_cast<size_t>(held_);
  std::vector<float> features(static_cast<size_t>(most) * width);
  std::vector<int32_t> codes(static_cast<size_t>(most) * code_columns);
  for (int64_t first = 0; first < rows(); first += most) {
    const auto count = static_cast<size_t>(std::min(most, rows() - first));
    reader.Read(std::span<const int64_t>(rows_).subspan(static_cast<size_t>(first), count),
                std::span<float>(features).first(count * width),
                std::span<int32_t>(codes).first(count * code_columns));
    std::byte* to = records_.data + first * record_bytes_;
    for (size_t i = 0; i < count; ++i, to += record_bytes_) {
      std::memcpy(to, features.data() + i * width, sizeof(float) * width);
      std::memcpy(to + sizeof(float) * width, codes.data() + i * code_columns,
                  sizeof(int32_t) * code_columns);
    }
  }
}

void RowSource::Expect(std::span<const int64_t> order, int64_t position) const {
  if (shuffled_ != nullptr) shuffled_->Expect(order, position);
}

void RowSource::CopyRecord(const std::byte* record, size_t i, const engine::BatchView& out) const {
  const auto at = static_cast<int64_t>(i);
  if (out.features != nullptr) {
    const std::byte* from = record;
    for (const Piece& piece : pieces_) {
      const size_t bytes = sizeof(float) * static_cast<size_t>(piece.size);
      std::memcpy(out.features + at * layout_.features + piece.first, from, bytes);
      from += bytes;
    }
  }
  if (out.codes != nullptr && layout_.code_columns > 0) {
    std::memcpy(out.codes + at * layout_.code_columns,
                record + sizeof(float) * static_cast<size_t>(held_),
                sizeof(int32_t) * static_cast<size_t>(layout_.code_columns));
  }
}

void RowSource::Gather(std::span<const int64_t> rows, const engine::BatchView& out) const {
  GatherItems(labels_, rows, 1, out.labels);
  GatherItems(targets_, rows, layout_.targets, out.targets);
  GatherItems(weights_, rows, 1, out.weights);
  if (out.features == nullptr && out.codes == nullptr) return;
  if (shuffled_ != nullptr) {
    shuffled_->Read(rows, [&](size_t i, const std::byte* record) { CopyRecord(record, i, out); });
  } else if (records_.size > 0) {
    for (size_t i = 0; i < rows.size(); ++i) {
      CopyRecord(records_.data + rows[i] * record_bytes_, i, out);
    }
  }
  const bool held = place_ != FeaturePlace::kTable;
  if (held && (out.features == nullptr || !has_byte_columns_)) return;
  thread_local std::vector<int64_t> table_rows;  // Keeps its memory from step to step.
  table_rows.resize(rows.size());
  std::transform(rows.begin(), rows.end(), table_rows.begin(),
                 [&](int64_t row) { return rows_[static_cast<size_t>(row)]; });
  // Features and codes are read together: what the caller does not want goes here.
  thread_local std::vector<float> no_features;
  thread_local std::vector<int32_t> no_codes;
  const auto wanted = [&](auto* to, int64_t columns, auto* unwanted) {
    const size_t size = rows.size() * static_cast<size_t>(columns);
    if (to == nullptr) unwanted->resize(size);
    return std::span(to == nullptr ? unwanted->data() : to, size);
  };
  const std::span<float> features = wanted(out.features, layout_.features, &no_features);
  if (held) return reader_.ReadByteColumns(table_rows, features);
  reader_.Read(table_rows, features, wanted(out.codes, layout_.code_columns, &no_codes));
}

}  // namespace beamline::pipeline
