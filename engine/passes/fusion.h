// Rewrites that make a graph cheaper without changing a bit of its results.
#pragma once

#include "engine/graph/graph.h"

namespace beamline::engine {

// Removes nodes whose results nobody uses. Nodes that change parameters or states stay.
void RemoveDeadNodes(Graph* graph);

// Merges into a matrix product or convolution what is done to its result alone: adding a bias, an
// activation (not softmax), or multiplying by an activation's gradient; into a convolution or batch
// norm also a sum with something made before, and into batch norm the activation. A result that
// something else reads too stays as it is, but for the input of GELU and SiLU in training: there a
// matrix product gives both.
void FuseIntoProducts(Graph* graph);

// Merges into the gradient of batch norm the gradient of the activation behind it, unless something
// else takes that too.
void FuseIntoBatchNormGrad(Graph* graph);

// Moves every update to just behind the last node that reads its parameter or makes its gradient:
// gradients die young, and are still in cache when they are used.
void HoistUpdates(Graph* graph);

// All of the above in order, and before the last of them Recompute (recompute.h).
void Optimize(Graph* graph, int recomputed_parts = 1);

}  // namespace beamline::engine
