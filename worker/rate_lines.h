// What beamline-task says of the rates that it measured, and the worker reads.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "beamline/v1/cluster.pb.h"

namespace beamline::worker {

// A line of `beamline-task --rates`: "matmul 2 1e+06 32768 0.00013".
std::string RateLine(const v1::MeasuredRate& rate);
// InvalidArgument if it is none.
absl::StatusOr<v1::MeasuredRate> ParseRateLine(const std::string& line);

// The last line: without it the others are not all.
inline constexpr char kLastRateLine[] = "end";

}  // namespace beamline::worker
