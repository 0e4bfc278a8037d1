// Measures how fast this machine trains, for those who plan.
#pragma once

#include <functional>
#include <vector>

#include "beamline/v1/cluster.pb.h"

namespace beamline::pipeline {

// Of the engine and the pipeline as they are built: rates that were measured with another version
// are of no use.
inline constexpr int kRatesVersion = 2;

// Trains small networks of all common kinds on made-up data with `threads` threads and notes how
// long each kernel takes, and what is beside them (task_time.h). Takes about a second. `stopped`
// is asked again and again; once it says true the answer is empty. Throws engine::Error if the
// backend fails.
std::vector<v1::MeasuredRate> MeasureRates(int threads, const std::function<bool()>& stopped);

// 1, 2, 4, ... up to `cpus`, and `cpus` itself: for how many threads rates are worth measuring.
std::vector<int> ThreadsToMeasure(double cpus);

}  // namespace beamline::pipeline
