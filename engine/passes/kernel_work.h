// What the nodes of a graph compute and move, whatever runs them: the base of all figures about
// cost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace beamline::engine {

// FLOPs of the node's matrix products and convolutions, a multiply-add counting 2; 0 of a node that
// has none.
int64_t ProductFlops(const Graph& graph, const Node& node);
// Of all nodes.
int64_t ProductFlops(const Graph& graph);

// One run of one kernel.
struct KernelWork {
  // Kernels of one name take time by the same rule: the op, and what of its attributes changes the
  // code that runs: "matmul", "matmul.transposed_a", "recurrent.lstm", "matmul/tanh". Behind a
  // slash is what is fused into it: where nobody knows that kernel, the part before it will do.
  std::string kernel;
  // As ProductFlops; of kernels without products one for each element that they read or write.
  double flops = 0;
  // Read and written, weights once for each step of a sequence. Unit: bytes.
  double bytes = 0;
};

// Of each node but reshapes, which cost nothing, in the order of the nodes.
std::vector<KernelWork> WorkOf(const Graph& graph);

}  // namespace beamline::engine
