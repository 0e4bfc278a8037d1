// The rows that a step asks a model of. Only for the files execute*.cc.
#pragma once

#include <string>

#include "engine/data/columnar.h"
#include "pipeline/examples.h"
#include "pipeline/execute_internal.h"
#include "pipeline/node_graph.h"

namespace beamline::pipeline::execution {

struct ChosenRows {
  engine::data::Dataset dataset;
  Examples examples;
  // "flowers, test".
  std::string description;
  // Of models of graphs.
  Arcs arcs;
};

// "rows", "windows", ...: what a model learns from.
const char* ExamplesName(const v1::TrainingData& data);

// Those that the evaluate or predict step under way names, of the model with that card; to predict
// windows of an input no rows behind those that the network sees are needed. Throws engine::Error.
ChosenRows ChooseRows(const Task& task, const v1::ModelCard& card);

// So many of `examples` from the one at `first`. Not of pairs of nodes.
Examples Some(const Examples& examples, int64_t first, int64_t count);

}  // namespace beamline::pipeline::execution
