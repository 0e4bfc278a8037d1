// Small networks of all common kinds, on whose training a machine is measured.
#pragma once

#include <string>
#include <vector>

#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"

namespace beamline::pipeline {

struct SampleNetwork {
  std::string name;
  engine::NetworkSpec spec;
  engine::BatchLayout layout;
  // Each is measured.
  std::vector<int64_t> batches;
};

// Throws engine::Error if one of them is wrong, which a test would have found.
std::vector<SampleNetwork> SampleNetworks();

// So many rows of made-up data as the layout wants them; the same at each call.
engine::MemoryBatch SampleRows(const SampleNetwork& sample, int64_t rows);

}  // namespace beamline::pipeline
