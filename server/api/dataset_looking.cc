// ComputeHistogram and ComputeCorrelation: looking at the values of a dataset.
#include <sys/statvfs.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "pipeline/class_histograms.h"
#include "pipeline/looking.h"
#include "server/api/dataset_api.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/work_pool.h"
#include "store/blob_store.h"
#include "store/datasets.h"

namespace beamline::server {
namespace {

constexpr int kThreads = 2;
constexpr int kMostColumns = 1000;
// Of one call; what needs more lies in files beside the blobs. Unit: bytes.
constexpr int64_t kMemoryBytes = int64_t{256} << 20;
constexpr int64_t kDiskBytes = int64_t{64} << 30;
// And of what is free at most this part: the database needs room, too.
constexpr int64_t kPartOfFree = 4;
// Others wait meanwhile. Unit: milliseconds.
constexpr int64_t kMostMs = 120'000;

int64_t DiskBytes(const std::string& folder) {
  struct statvfs status {};
  if (statvfs(folder.c_str(), &status) != 0) return 0;
  const auto free = static_cast<int64_t>(status.f_bavail * status.f_frsize);
  return std::min(kDiskBytes, free / kPartOfFree);
}

// Finds the dataset that `request` names, and calls compute(request, options) on the pool for long
// work.
template <typename Request, typename Response>
void Look(const ApiContext& context, const Request& request, Waiting waiting, Done<Response> done,
          absl::StatusOr<Response> (*compute)(const Request&, const pipeline::LookOptions&)) {
  auto path = [&]() -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(const ChildName name, ParseDatasetName("name", request.name()));
    ASSIGN_OR_RETURN(const store::Reader reader, context.store.Read());
    ASSIGN_OR_RETURN(const v1::Dataset dataset, store::GetDataset(reader, name.project, name.id));
    return context.blobs.PathOf(dataset.table().digest());
  }();
  if (!path.ok()) return done(path.status());
  const std::string folder =
      std::filesystem::path(context.blobs.TemporaryPath()).parent_path().string();
  pipeline::LookOptions options{.path = *std::move(path),
                                .threads = kThreads,
                                .memory_bytes = kMemoryBytes,
                                .folder = folder,
                                .disk_bytes = DiskBytes(folder),
                                .go_on = nullptr};
  auto answer = std::make_shared<Done<Response>>(std::move(done));
  const bool accepted = context.heavy_pool.Run([request, options = std::move(options), answer,
                                                compute, waiting = std::move(waiting),
                                                &context_pool = context.heavy_pool,
                                                &clock = context.clock]() mutable {
    const int64_t end_ms = clock.MonotonicMillis() + kMostMs;
    options.go_on = [&] {
      return clock.MonotonicMillis() < end_ms && !context_pool.stopping() &&
             (waiting == nullptr || waiting());
    };
    absl::StatusOr<Response> response = compute(request, options);
    if (!response.ok() && clock.MonotonicMillis() >= end_ms) {
      response = absl::ResourceExhaustedError(
          "it takes longer than two minutes: choose fewer columns, or look at a prepared sample");
    } else if (!response.ok() && context_pool.stopping()) {
      response = absl::UnavailableError("the server is stopping: try again when it is back");
    }
    (*answer)(std::move(response));
  });
  if (!accepted) (*answer)(Overloaded("too many files are being read: try again", 5'000));
}

absl::Status CheckHistogram(const v1::ComputeHistogramRequest& request) {
  FieldErrors errors;
  if (request.column().empty()) errors.Add("column", "is missing: name a column");
  if (request.bins() < 0 || request.bins() > pipeline::kMostBins) {
    errors.Add("bins", absl::StrCat("must be from 1 to ", pipeline::kMostBins));
  }
  if (request.has_min() && !std::isfinite(request.min())) errors.Add("min", "must be finite");
  if (request.has_max() && !std::isfinite(request.max())) errors.Add("max", "must be finite");
  if (request.has_min() && request.has_max() && request.min() >= request.max()) {
    errors.Add("max", "must be above min");
  }
  return errors.ToStatus();
}

}  // namespace

void DatasetApi::ComputeHistogram(const auth::Principal&,
                                  const v1::ComputeHistogramRequest& request, Waiting waiting,
                                  Done<v1::ComputeHistogramResponse> done) {
  if (absl::Status bad = CheckHistogram(request); !bad.ok()) return done(std::move(bad));
  Look(context_, request, std::move(waiting), std::move(done), &pipeline::ComputeHistogram);
}

void DatasetApi::ComputeCorrelation(const auth::Principal&,
                                    const v1::ComputeCorrelationRequest& request, Waiting waiting,
                                    Done<v1::ComputeCorrelationResponse> done) {
  if (!v1::ComputeCorrelationRequest::Method_IsValid(request.method())) {
    return done(BadField("method", "must be METHOD_PEARSON or METHOD_SPEARMAN"));
  }
  if (request.columns_size() > kMostColumns) {
    return done(BadField("columns", absl::StrCat("must be at most ", kMostColumns)));
  }
  Look(context_, request, std::move(waiting), std::move(done), &pipeline::ComputeCorrelation);
}

}  // namespace beamline::server
