// Nodes and arcs of a request for predictions as a graph.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "engine/data/table.h"
#include "google/protobuf/struct.pb.h"
#include "pipeline/examples.h"
#include "pipeline/node_graph.h"

namespace beamline::pipeline {

// Arcs of one call.
inline constexpr int kMaxPredictArcs = 1'000'000;

struct RequestGraph {
  engine::data::Table nodes;
  Arcs arcs;
  // What is to be predicted: nodes or small graphs.
  Examples examples;
  // Of each example the name, if it is a small graph; else empty.
  std::vector<std::string> graphs;
};

// Rows are nodes, with what request_rows.h says a row has, and values of the columns by which the
// model's data names nodes and small graphs; arcs have values of the two columns that name their
// ends, and other fields are ignored. Names are texts or whole numbers. Throws engine::Error,
// naming row or arc (from 1) and column: as ToTable does; for a name that is missing or of another
// type; a node that is there twice, an arc that names no node; or says that there are no arcs, or
// more than kMaxPredictArcs. Examples are all nodes, or all small graphs in the order in which they
// first appear.
RequestGraph ToGraph(const v1::ModelCard& card,
                     const google::protobuf::RepeatedPtrField<google::protobuf::Struct>& rows,
                     const google::protobuf::RepeatedPtrField<google::protobuf::Struct>& arcs);

// The field by which a row names a node of a graph that is there already, or one of its small
// graphs: the column that does so in the model's data, or "node" where nodes go by their number.
std::string NameField(const v1::ModelCard& card);

// The rows name nodes or small graphs of the graph that these tables hold, and say nothing else.
// Throws engine::Error as above, and for a name that is not there.
RequestGraph FindInGraph(const v1::ModelCard& card,
                         const google::protobuf::RepeatedPtrField<google::protobuf::Struct>& rows,
                         const engine::data::Table& nodes, const engine::data::Table& arcs);

}  // namespace beamline::pipeline
