// What the values of a dataset look like: histograms and correlations of its columns.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "beamline/v1/dataset.pb.h"

namespace beamline::pipeline {

struct LookOptions {
  // The columnar file of the dataset, which is not checked against its checksums.
  std::string path;
  int threads = 1;
  // Of large arrays; what needs more lies in files of `folder`, of at most `disk_bytes`.
  int64_t memory_bytes = 0;
  std::string folder;
  int64_t disk_bytes = 0;
  // Asked now and then, on the caller's thread; false ends it. May be null.
  std::function<bool()> go_on;
};

// What of a request is wrong in itself is InvalidArgument as violations of its fields say; so is
// what the columns are not fit for. Cancelled: it was not to go on. Block for as long as it takes;
// the same bits for any number of threads.
absl::StatusOr<v1::ComputeHistogramResponse> ComputeHistogram(
    const v1::ComputeHistogramRequest& request, const LookOptions& options);
absl::StatusOr<v1::ComputeCorrelationResponse> ComputeCorrelation(
    const v1::ComputeCorrelationRequest& request, const LookOptions& options);

}  // namespace beamline::pipeline
