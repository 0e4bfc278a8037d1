// Datasets and uploads, and which blobs a project may use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "beamline/v1/common.pb.h"
#include "beamline/v1/dataset.pb.h"
#include "store/store.h"

namespace beamline::store {

// An upload that is not finished yet; its bytes lie in a file of its id.
struct StoredUpload {
  std::string id;
  std::string project;
  // Id of the dataset that it will be.
  std::string dataset;
  absl::Time expire_time;
  v1::Upload message;
};

// A thing of a list, with its place in it: larger serials are newer.
template <class M>
using Listed = std::pair<int64_t, M>;

// Get: NotFound if the project has none of that id.
absl::StatusOr<StoredUpload> GetUpload(const View& view, std::string_view project,
                                       std::string_view upload);
// The upload under way for this dataset of the project.
absl::StatusOr<StoredUpload> FindUpload(const View& view, std::string_view project,
                                        std::string_view dataset);
// Of all projects: those that ended before `now`; at most 100.
absl::StatusOr<std::vector<StoredUpload>> ListExpiredUploads(const View& view, absl::Time now);
absl::StatusOr<int64_t> CountUploads(const View& view, std::string_view project);
// Ids of all uploads.
absl::StatusOr<std::vector<std::string>> ListUploadIds(const View& view);
absl::Status InsertUpload(Writer& writer, const StoredUpload& upload);
// Message and expiry. NotFound if it is gone.
absl::Status UpdateUpload(Writer& writer, const StoredUpload& upload);
// Succeeds if it is gone already.
absl::Status DeleteUpload(Writer& writer, std::string_view upload);

absl::StatusOr<v1::Dataset> GetDataset(const View& view, std::string_view project,
                                       std::string_view dataset);
// Newest first: serials below `before`.
absl::StatusOr<std::vector<Listed<v1::Dataset>>> ListDatasets(const View& view,
                                                              std::string_view project,
                                                              int64_t before, int64_t limit);
// AlreadyExists if the project has it.
absl::Status InsertDataset(Writer& writer, std::string_view project, const v1::Dataset& dataset);
absl::Status DeleteDataset(Writer& writer, std::string_view project, std::string_view dataset);

// Lets `project` use `blob` because of `owner` ("datasets/D", "runs/R", "models/M/versions/V").
// Repeating it changes nothing.
absl::Status AddBlobReference(Writer& writer, std::string_view project, const v1::Blob& blob,
                              std::string_view owner);
// Whether anything, of any project, refers to the blob.
absl::StatusOr<bool> IsBlobReferenced(const View& view, std::string_view digest);
absl::Status DropBlobReferences(Writer& writer, std::string_view project, std::string_view owner);
absl::StatusOr<bool> HasBlobReference(const View& view, std::string_view project,
                                      std::string_view digest);
// What the project's blobs take, each counted once. Unit: bytes.
absl::StatusOr<int64_t> StorageBytes(const View& view, std::string_view project);

}  // namespace beamline::store
