// Rows of a table as a learner takes them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/table.h"
#include "engine/data/target.h"
#include "engine/data/transform.h"
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

// Some rows of a table. Thread-safe: immutable. Holds features in memory if they are no larger than
// `memory_bytes`, else reads them from the table batch by batch; the numbers are the same. Arrays
// of bytes (images) stay bytes in the table and become numbers when they are gathered.
class RowSource : public engine::BatchSource {
 public:
  // Throws engine::Error, naming row and column, for a value that the transforms do not accept, if
  // features are held in memory (else Gather throws). `table` is shared, not copied.
  RowSource(const engine::data::FittedTransforms& fitted, const engine::data::Table& table,
            std::vector<int64_t> rows, const engine::BatchLayout& layout, const Truth& truth,
            int64_t memory_bytes);

  int64_t rows() const override { return static_cast<int64_t>(rows_.size()); }
  const engine::BatchLayout& layout() const override { return layout_; }
  void Gather(std::span<const int64_t> rows, const engine::BatchView& out) const override;

 private:
  engine::data::Table table_;
  engine::data::FeatureReader reader_;
  std::vector<int64_t> rows_;
  engine::BatchLayout layout_;
  std::vector<int32_t> labels_;
  std::vector<float> targets_;
  std::vector<float> weights_;
  // A piece of a row's features that is held in memory.
  struct Piece {
    int64_t first = 0;
    int64_t size = 0;
  };
  void CopyFeatures(std::span<const int64_t> rows, float* out) const;

  bool in_memory_ = false;
  bool has_byte_columns_ = false;
  std::vector<Piece> pieces_;
  int64_t held_ = 0;  // features of a row in memory
  std::vector<float> features_;
  std::vector<int32_t> codes_;
};

}  // namespace beamline::pipeline
