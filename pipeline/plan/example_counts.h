// How many examples a training will have, from schemas and statistics alone.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "beamline/v1/dataset.pb.h"
#include "beamline/v1/pipeline.pb.h"

namespace beamline::pipeline {

struct ExampleCounts {
  int64_t train = 0;
  int64_t validation = 0;
  int64_t test = 0;
  // Rows of the table that the examples are made of, and arcs of its graph, one way.
  int64_t rows = 0;
  int64_t arcs = 0;
  // Nodes, or small graphs, of the graph.
  int64_t graphs = 0;
  // True: as MakeExamples (examples.h) will find; else what is to be expected if values are spread
  // evenly.
  bool exact = true;
};

// An input or a table that a step makes, by name; null if its schema is not known.
using TableLookup = std::function<const v1::Dataset*(const std::string& name)>;

// Of a step's own split, or with `fold` of one fold of its cross-validation. All 0 if the table is
// not known or not made yet.
ExampleCounts CountExamples(const v1::Step& step, const TableLookup& tables, bool fold);

}  // namespace beamline::pipeline
