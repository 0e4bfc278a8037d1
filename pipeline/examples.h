// What a network learns from at once: a row of a table, a window of rows, a sequence, a node, a
// small graph or a pair of nodes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "beamline/v1/training_data.pb.h"
#include "engine/data/split.h"
#include "engine/data/table.h"
#include "pipeline/folds.h"

namespace beamline::pipeline {

// How many rows of a table make one example.
struct ExampleShape {
  int64_t steps = 0;    // rows that the network sees at once, at most; 0: an example is a row
  int64_t context = 0;  // rows of a window before those that are predicted
  int64_t span = 0;     // rows of a window in all
  int64_t stride = 1;   // from one training window to the next
  int64_t measured_stride = 1;  // where a model is measured
  int64_t horizon = 0;          // rows behind the network's that are predicted
};
ExampleShape ShapeOf(const v1::TrainingData& data);

// Some examples of a table.
struct Examples {
  // The row of each that target and weight are read from; where steps are 0 the example itself.
  std::vector<int64_t> heads;
  // Rows of the table; those of one example follow each other. Null: the table's own order.
  std::shared_ptr<const std::vector<int64_t>> order;
  // Where the rows of each begin among `order`; the number of each node or small graph; of pairs of
  // nodes both numbers; empty where an example is a row.
  std::vector<int64_t> begins;
  // Rows of each; empty: as many as the shape says.
  std::vector<int32_t> lengths;
  // Of pairs of nodes: 1 where an arc joins them, else 0.
  std::vector<int32_t> labels;

  int64_t size() const { return static_cast<int64_t>(heads.size()); }
  bool empty() const { return heads.empty(); }
};

struct SplitExamples {
  Examples train, validation, test;
  // Rows of the table that transforms are fitted on, ascending.
  std::vector<int64_t> training_rows;
};

// The parts of a table; without a split all train. train_on and limit are obeyed, and so is `fold`,
// which divides what they leave. Not for pairs of nodes (node_pairs.h). Throws engine::Error if
// nothing is left to train on, or a part that was asked for is too short for one window.
SplitExamples MakeExamples(const engine::data::Table& table, const v1::TrainingData& data,
                           uint64_t seed, const Fold& fold = {});

// The rows of the table whose targets and weights count: the head of each example, or with
// objective each_step those of all its steps, one example after the other.
std::vector<int64_t> JudgedRows(const Examples& examples, const v1::TrainingData& data);

// Every example of a table on which a model is measured. Throws engine::Error if it is too short
// for one window.
Examples AllExamples(const engine::data::Table& table, const v1::TrainingData& data);

// Every example that a model can be asked of: a window then needs only the rows that the network
// sees, not those that are predicted, and ends with its head. Throws engine::Error as AllExamples.
Examples SeenExamples(const engine::data::Table& table, const v1::TrainingData& data);

}  // namespace beamline::pipeline
