// Workloads of autoencoders.
#pragma once

#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine::benchmark {

// 784-256-64-256-784, ReLU, binary cross-entropy of each pixel, Adam, batches of 128.
NetworkSpec Autoencoder();
// The same widths around 64 means and log variances (Kingma, Welling 2014).
NetworkSpec VariationalAutoencoder();

// 16,384 rows of 784 numbers in [0, 1).
MemoryBatch RandomImages();

}  // namespace beamline::engine::benchmark
