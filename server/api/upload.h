// Uploads under way: who writes one, its bytes, and how it becomes a dataset. For DatasetApi.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "beamline/v1/dataset.pb.h"
#include "server/api/byte_stream.h"
#include "server/api/context.h"
#include "server/api/done.h"
#include "store/datasets.h"
#include "store/store.h"

namespace beamline::server {

// Uploads that somebody writes or finishes: one at a time each. Thread-safe.
class BusyUploads {
 public:
  // Holds an upload until it goes. Movable.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();

   private:
    friend class BusyUploads;
    Lease(std::shared_ptr<BusyUploads> owner, std::string id)
        : owner_(std::move(owner)), id_(std::move(id)) {}
    std::shared_ptr<BusyUploads> owner_;
    std::string id_;
  };

  // Aborted if somebody has it. `self`: this object.
  absl::StatusOr<Lease> Take(const std::shared_ptr<BusyUploads>& self, const std::string& id);

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  std::set<std::string> ids_;
};

// "D" of "projects/P/datasets/D" for these bytes, read so.
std::string DatasetIdOf(const v1::Blob& source, const v1::ImportOptions& options);

// DataLoss if the file of the upload has lost bytes that were durable.
absl::StatusOr<std::unique_ptr<UploadSink>> OpenUploadSink(const ApiContext& context,
                                                           const auth::Principal& caller,
                                                           store::StoredUpload upload,
                                                           BusyUploads::Lease lease);

// Checks and reads the file, makes the dataset, and answers. For a thread that has time.
// On DataLoss, InvalidArgument and Unimplemented the upload is gone.
void FinishUploadNow(const ApiContext& context, const auth::Principal& caller,
                     const store::StoredUpload& upload, BusyUploads::Lease lease,
                     Done<v1::Dataset> done);

// The dataset that the upload became, for who asks a second time. NotFound if there is none.
absl::StatusOr<v1::Dataset> FindFinishedUpload(store::Store& store, std::string_view upload_name);

// Removes uploads that have expired, and files that belong to none. Call it at start and then
// now and then, from a thread that has time.
absl::Status RemoveExpiredUploads(const ApiContext& context);

}  // namespace beamline::server
