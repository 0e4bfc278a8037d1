// Data sets as benchmarks/learners/run writes them, for both sides.
#pragma once

#include <memory>
#include <string>

#include "engine/learners/batch_source.h"

namespace beamline::engine {

// Rows to learn from, and others to predict.
struct BenchData {
  std::unique_ptr<MemoryBatchSource> training;
  std::unique_ptr<MemoryBatchSource> test;
};

// Reads FOLDER/NAME.head, "rows test_rows features classes targets steps codes", and NAME.x,
// NAME.y, NAME.test_x, NAME.test_y: float32, but for labels and codes, which are int32. Exits with
// a message if one lacks.
BenchData ReadBenchData(const std::string& folder, const std::string& name);

// The same rows without their target.
std::unique_ptr<MemoryBatchSource> WithoutTarget(const MemoryBatchSource& source);

}  // namespace beamline::engine
