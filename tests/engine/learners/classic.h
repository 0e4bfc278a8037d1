// What every learner that is no network must hold, whatever it learns.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/learners/learner.h"

namespace beamline::engine::testing {

// Makes the learner that is tested on such data, with so many threads.
using MakeClassic = std::function<std::unique_ptr<Learner>(const LearnerData&, int threads)>;

// The same weights and predictions for 1, 2, 3, 4 and 8 threads; however often the training was
// stopped and resumed; and of a learner for prediction that was given the weights. No prediction is
// NaN, damaged checkpoints and weights are refused, and the peak memory is not less than the
// weights.
void ExpectToHold(const MakeClassic& make, const BatchSource& training,
                  const BatchSource* validation = nullptr);

// Steps until done; the reports.
std::vector<StepReport> TrainFully(Learner* learner);

// The message of the Error that `act` throws; "" if it throws none.
std::string ErrorOf(const std::function<void()>& act);

// `rows` rows of `features` numbers around `centres` points, the last feature being constant.
MemoryBatch Blobs(int64_t rows, int64_t features, int64_t centres, uint64_t seed);

// Rows without chance: those of rows() in classic_reference.py.
MemoryBatch Waves(int64_t rows, int64_t features, double salt);

// An array that classic_reference.py or word_vectors_reference.py wrote.
std::vector<double> Recorded(const std::string& name);
void ExpectNear(std::span<const float> values, const std::vector<double>& expected,
                double tolerance);

}  // namespace beamline::engine::testing
