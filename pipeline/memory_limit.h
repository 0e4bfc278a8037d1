// What a training may take.
#pragma once

#include <cstdint>

#include "beamline/v1/common.pb.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline {

// At the most (unit: bytes), and the field that says so.
struct MemoryLimit {
  int64_t bytes = 0;
  const char* field = "";
  // It is a GPU's memory.
  bool of_gpu = false;
};

// Of main memory where processor cores compute; of a GPU's memory, as far as it is known, where one
// does.
MemoryLimit LimitOf(const v1::Resources& resources);

// Of main memory, whatever computes. Unit: bytes.
int64_t MainMemoryOf(const v1::Resources& resources);

// What the features of the rows that learn and of those that validate hold in main memory, if both
// have such room. Units: bytes.
int64_t HeldInMemory(int64_t training_bytes, int64_t validation_bytes, const FeatureRoom& room);

}  // namespace beamline::pipeline
