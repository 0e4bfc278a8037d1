// What a training may take.
#pragma once

#include <cstdint>

#include "beamline/v1/common.pb.h"

namespace beamline::pipeline {

// At the most (unit: bytes), and the field that says so.
struct MemoryLimit {
  int64_t bytes = 0;
  const char* field = "";
};

// Of main memory where processor cores compute; of a GPU's memory, as far as it is known, where one
// does.
MemoryLimit LimitOf(const v1::Resources& resources);

}  // namespace beamline::pipeline
