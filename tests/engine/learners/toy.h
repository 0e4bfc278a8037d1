// Small data sets and networks for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/learners/network_learner.h"

namespace beamline::engine::testing {

// Two classes inside and outside a circle, with weights and two code columns of 3 categories.
MemoryBatchSource Circle(int64_t rows, uint64_t seed);

// Dense, batch norm, dropout, embedding, concat, residual: a bit of everything.
NetworkSpec RichNetwork();

// A learner over the data; `validation` may be null.
std::unique_ptr<Learner> Make(const NetworkSpec& spec, const BatchSource& training,
                              const BatchSource* validation = nullptr);

// Steps until done (at most `steps`); the last report.
StepReport Train(Learner* learner, int64_t steps = 1'000'000);

// All weights as one string of bytes.
std::string WeightBytes(const Learner& learner);

// The folder of a public data set, or "" if it is not there: $BEAMLINE_DATASETS, then
// ../shared/datasets beside the tree.
std::string DatasetFolder(const std::string& name);

}  // namespace beamline::engine::testing
