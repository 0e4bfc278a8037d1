// Activations that are computed again instead of kept: memory for time.
#pragma once

#include "engine/graph/graph.h"

namespace beamline::engine {

// Splits what stands before the gradients into `parts` that keep about as much for them, and has
// each part but the last compute that again just before its gradients: kept is only what later
// parts read (Chen et al. 2016). What changes a state (batch statistics) is not done twice: its
// results stay. No bit of any result changes, for the same kernels run on the same numbers. The
// graph's updates must stand behind all nodes that read what they change: before HoistUpdates.
// Deterministic; nothing for fewer than 2 parts, or a graph without gradients.
void Recompute(Graph* graph, int parts);

}  // namespace beamline::engine
