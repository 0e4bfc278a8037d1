// Reverse-mode differentiation, graph in, graph out.
#pragma once

#include <span>
#include <vector>

#include "engine/graph/graph.h"

namespace beamline::engine {

// Appends to `graph` the nodes that compute d loss / d p for each p of `parameters`, and returns
// those values in the same order; a parameter on which the loss does not depend has none:
// its entry is then no value. `loss` must be a Graph::Loss or a sum of such, each possibly
// multiplied by a Number. Throws Error if it is not a single number or an op on the way has no
// gradient.
//
// A node's gradient with respect to its input is appended before that with respect to its
// weights, so that an update of the weights may follow at once.
std::vector<Value> AppendGradients(Graph* graph, Value loss, std::span<const Value> parameters);

// The same for a value y of any shape, given d loss / d y. `parameters` may be any values that y
// depends on. What it appends can be differentiated once more where the layers allow it: see
// RequireSecondGradients.
std::vector<Value> AppendGradients(Graph* graph, Value y, Value dy,
                                   std::span<const Value> parameters);

// Throws Error, naming the layer and what to put in its place, if a node from `first` on (one that
// AppendGradients appended) has no gradient of its own.
void RequireSecondGradients(const Graph& graph, size_t first);

}  // namespace beamline::engine
