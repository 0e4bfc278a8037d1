// Windows and sequences of a table's rows as a learner takes them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/data/transform.h"
#include "engine/learners/batch_source.h"
#include "pipeline/examples.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline {

// An example is [steps, features] numbers, zeros behind the end of a short one, and [steps, codes]
// codes, -1 behind the end; where the next token is predicted, one step more of codes. Forecasts
// have [horizon, features] targets; with objective each_step there is a truth for each step.
// Thread-safe: immutable. Holds the rows' numbers in memory if they are no larger than
// `memory_bytes`, each row once however many windows see it; else reads them from the table batch
// by batch: the numbers are the same.
class SequenceSource : public engine::BatchSource {
 public:
  // Throws engine::Error, naming row and column, for a value that the transforms do not accept, if
  // rows are held in memory (else Gather throws). `table` is shared, not copied.
  SequenceSource(const engine::data::FittedTransforms& fitted, const engine::data::Table& table,
                 Examples examples, const ExampleShape& shape, const engine::BatchLayout& layout,
                 const Truth& truth, int64_t memory_bytes);

  int64_t rows() const override { return examples_.size(); }
  const engine::BatchLayout& layout() const override { return layout_; }
  void Gather(std::span<const int64_t> rows, const engine::BatchView& out) const override;

 private:
  // Features and codes of `count` rows from place `begin` of the order.
  void Read(int64_t begin, int64_t count, std::span<float> features,
            std::span<int32_t> codes) const;
  void GatherNumbers(size_t example, float* features, float* targets) const;
  void GatherCodes(size_t example, int32_t* codes) const;
  // Label, target and weight of an example, or of each of its steps, as number `i` of the batch.
  void GatherTruth(size_t example, size_t i, const engine::BatchView& out) const;
  int64_t LengthOf(size_t example, int64_t full) const;

  engine::data::Table table_;
  engine::data::FeatureReader reader_;
  Examples examples_;
  ExampleShape shape_;
  engine::BatchLayout layout_;
  std::vector<int32_t> labels_;
  std::vector<float> targets_;
  std::vector<float> weights_;
  // Where each step has a target: the first of each example among the three above.
  std::vector<size_t> first_truth_;
  int64_t features_per_step_ = 0;
  int64_t codes_per_step_ = 0;
  int64_t code_steps_ = 0;
  bool forecasts_ = false;

  bool in_memory_ = false;
  int64_t first_ = 0;  // place of the first row in memory
  std::vector<float> held_features_;
  std::vector<int32_t> held_codes_;
};

}  // namespace beamline::pipeline
