// What the API classes share.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/random.h"

namespace beamline::auth {
class Authenticator;
class CertificateAuthority;
}  // namespace beamline::auth
namespace beamline::store {
class BlobStore;
class Store;
class UploadFiles;
}  // namespace beamline::store

namespace beamline::server {

class CallLog;
class Coordinator;
class EventBus;
class WorkerSessions;
class WorkPool;

// Bounds that keep one caller from using up the server.
struct Limits {
  // Of one dataset's file. Default 64 GiB; the disk should hold it three times.
  int64_t max_upload_bytes = int64_t{64} << 30;
  // Of what one project keeps, unless its quota says otherwise. Default 1 TiB.
  int64_t max_storage_bytes = int64_t{1} << 40;
  // Runs of one project that wait, unless its quota says otherwise.
  int32_t max_queued_runs = 1000;
  // Uploads that one project has begun and not finished.
  int32_t max_uploads = 100;
  // Of one blob that a task writes: a model or a checkpoint. Default 64 GiB.
  int64_t max_artifact_bytes = int64_t{64} << 30;
  // An upload without a new chunk for so long is forgotten.
  absl::Duration upload_lifetime = absl::Hours(24 * 7);
  // Bytes that nothing refers to are removed when they are so old. Longer than any worker may be
  // away between writing a blob and reporting it.
  absl::Duration blob_lifetime = absl::Hours(24 * 7);
  // A Synchronize is answered after this at the latest. Below a third of the lease. Unit:
  // milliseconds.
  int64_t max_hold_ms = 3'000;
  // Memory of the models that Predict keeps loaded, by the size of their files. Unit: bytes.
  int64_t predictor_cache_bytes = int64_t{256} << 20;
};

// Nothing is owned; everything outlives the APIs.
struct ApiContext {
  store::Store& store;
  store::BlobStore& blobs;
  store::UploadFiles& uploads;
  Coordinator& coordinator;
  EventBus& bus;
  WorkerSessions& sessions;
  // Short work: reads that somebody waits for.
  WorkPool& pool;
  // Long work: reading data sets, predictions.
  WorkPool& heavy_pool;
  auth::Authenticator& authenticator;
  CallLog& calls;
  const auth::CertificateAuthority& authority;
  const Clock& clock;
  Random& random;
  const Limits limits;
};

}  // namespace beamline::server
