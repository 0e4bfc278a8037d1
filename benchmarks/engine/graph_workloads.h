// Workloads of graph networks.
#pragma once

#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine::benchmark {

// Two graph convolutions, 16 units and 7 classes, Adam with L2 (Kipf, Welling 2017), without
// dropout; a step is an epoch.
NetworkSpec GraphConvolutions();

// 140 labelled nodes of a random graph of Cora's shape: 2,708 nodes, 5,278 edges, 1,433 features of
// which 1.3% are not 0.
MemoryBatch CitationRows();

}  // namespace beamline::engine::benchmark
