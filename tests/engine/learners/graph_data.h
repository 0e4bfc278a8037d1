// Graphs for tests: public ones where they are at hand, and one that is made.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/learners/batch_source.h"

namespace beamline::engine::testing {

struct NodeTask {
  std::shared_ptr<const NodeGraph> graph;
  std::vector<int32_t> labels;       // of each node
  std::vector<int32_t> train, test;  // node numbers
  int64_t classes = 0;
};

// Rows that name `items` (nodes or small graphs) by one code each, with their labels.
MemoryBatchSource RowsOf(const NodeTask& task, const std::vector<int32_t>& items);

// Planetoid's split of Cora; features normalised by row.
NodeTask ReadCora(const std::string& folder);

// MUTAG's graphs, of which `labels`, `train` and `test` speak; features: the node's tag, one-hot.
NodeTask ReadMutag(const std::string& folder, int fold);

// Two communities of 20 nodes each, densely linked inside; the features are mostly noise. Labels of
// four nodes train.
NodeTask TwoCommunities();

}  // namespace beamline::engine::testing
