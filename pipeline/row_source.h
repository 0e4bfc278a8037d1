// Rows of a table as a learner takes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/shuffled_records.h"
#include "engine/data/table.h"
#include "engine/data/target.h"
#include "engine/data/transform.h"
#include "engine/data/workspace.h"
#include "engine/learners/batch_source.h"

namespace beamline::pipeline {

// What a row's target and weight are, once read. Entry i belongs to row i of a source.
struct Truth {
  std::vector<int32_t> labels;  // class indices; empty for numbers
  std::vector<float> targets;   // scaled as the network sees them; 0 or 1 for two classes
  std::vector<float> raw;       // numbers as the table has them; empty for classes
  std::vector<float> weights;   // empty: each weighs 1
};

// Reads target (if it has a column) and weight (if not empty) of `rows`. Throws engine::Error
// naming the row for a label or weight that is missing or unknown.
Truth ReadTruth(const engine::data::Table& table, const engine::data::FittedTarget& target,
                const std::string& weight_column, const std::vector<int64_t>& rows);

// Where features may lie that are computed once and read often. Units: bytes.
struct FeatureRoom {
  // Up to so many of them are in memory, and beside larger ones so much is used to read ahead.
  int64_t memory_bytes = 0;
  // Larger ones are in files without a name there, of up to disk_bytes in all; empty: nowhere.
  std::string folder = {};
  int64_t disk_bytes = 0;
  // Files up to this are taken to stay in the system's cache, where rows in any order cost what
  // they cost in memory; larger ones are read in the order of the disk.
  int64_t cached_bytes = 0;
};
// The room of each source of a training in a step of so much memory.
FeatureRoom RoomOf(int64_t memory_bytes, std::string folder);
// Where so many bytes of features lie then, if the disk has the room.
enum class FeaturePlace { kMemory, kFile, kShuffledFile, kTable };
FeaturePlace PlaceOf(int64_t bytes, const FeatureRoom& room);
// In words: "features of 3 MiB in memory".
std::string PlaceText(FeaturePlace place, int64_t bytes);

// Some rows of a table. Thread-safe: immutable but for Expect. Holds features in memory or in a
// file as FeatureRoom says; if there is no room, reads them from the table batch by batch. The
// numbers are the same. Arrays of bytes (images) stay bytes in the table and become numbers when
// they are gathered.
class RowSource : public engine::BatchSource {
 public:
  // Throws engine::Error, naming row and column, for a value that the transforms do not accept, if
  // features are held (else Gather throws). `table` is shared, not copied.
  RowSource(const engine::data::FittedTransforms& fitted, const engine::data::Table& table,
            std::vector<int64_t> rows, const engine::BatchLayout& layout, const Truth& truth,
            const FeatureRoom& room);

  int64_t rows() const override { return static_cast<int64_t>(rows_.size()); }
  const engine::BatchLayout& layout() const override { return layout_; }
  void Gather(std::span<const int64_t> rows, const engine::BatchView& out) const override;
  void Expect(std::span<const int64_t> order, int64_t position) const override;

  FeaturePlace place() const { return place_; }
  // Of the features where they are held. Unit: bytes.
  int64_t held_bytes() const { return record_bytes_ * rows(); }

 private:
  engine::data::Table table_;
  engine::data::FeatureReader reader_;
  std::vector<int64_t> rows_;
  engine::BatchLayout layout_;
  std::vector<int32_t> labels_;
  std::vector<float> targets_;
  std::vector<float> weights_;
  // A piece of a row's features that is held.
  struct Piece {
    int64_t first = 0;
    int64_t size = 0;
  };
  void Hold(const engine::data::FittedTransforms& held, const FeatureRoom& room);
  void Compute(const engine::data::FittedTransforms& held);
  void CopyRecord(const std::byte* record, size_t i, const engine::BatchView& out) const;

  FeaturePlace place_ = FeaturePlace::kTable;
  bool has_byte_columns_ = false;
  std::vector<Piece> pieces_;
  int64_t held_ = 0;  // features of a row in its record, before its codes
  int64_t record_bytes_ = 0;
  std::unique_ptr<engine::data::Workspace> workspace_;
  engine::data::Array<std::byte> records_;  // [rows, record_bytes_]
  std::unique_ptr<engine::data::ShuffledRecords> shuffled_;
};

}  // namespace beamline::pipeline
