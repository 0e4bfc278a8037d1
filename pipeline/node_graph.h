// Graphs that networks learn on, from tables of nodes and arcs.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "beamline/v1/training_data.pb.h"
#include "engine/data/table.h"
#include "engine/data/transform.h"
#include "engine/nn/node_graph.h"

namespace beamline::pipeline {

// By the numbers of the nodes: arc k leads from sources[k] to targets[k].
struct Arcs {
  std::vector<int32_t> sources;
  std::vector<int32_t> targets;
};

// As the table has them, one way. Throws engine::Error, naming the row, for a node that is there
// twice and an arc that names no node.
Arcs ReadArcs(const engine::data::Table& nodes, const engine::data::Table& arcs,
              const v1::NodeGraph& graph);

// All nodes with their features, and the arcs between them. Small graphs are numbered in the order
// in which they first appear. Throws engine::Error, naming the row, for a value that the transforms
// do not accept, a node that is there twice, and an arc that names no node or leads to another
// small graph.
std::shared_ptr<const engine::NodeGraph> BuildGraph(const engine::data::FittedTransforms& fitted,
                                                    const engine::data::Table& nodes,
                                                    const engine::data::Table& arcs,
                                                    const v1::NodeGraph& graph);

// The same with arcs that are read already.
std::shared_ptr<const engine::NodeGraph> BuildGraph(const engine::data::FittedTransforms& fitted,
                                                    const engine::data::Table& nodes, Arcs arcs,
                                                    const v1::NodeGraph& graph);

// A few nodes that layers can be wired to before any data is read.
std::shared_ptr<const engine::NodeGraph> SmallestGraph(int64_t features, bool has_members);

}  // namespace beamline::pipeline
