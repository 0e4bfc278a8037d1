// Worker daemons that have joined.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "beamline/v1/cluster.pb.h"
#include "store/store.h"

namespace beamline::store {

struct StoredWorker {
  // "W" of "workers/W".
  std::string id;
  // SHA-256 of the certificate that it was given last, or empty.
  std::string certificate_digest;
  std::string pool;
  // Of the daemon's last start that was heard of; empty before the first.
  std::string session;
  // An operator asked for it.
  bool draining = false;
  absl::Time join_time;
  // As it described itself last.
  v1::Worker message;
};

// NotFound if it never joined.
absl::StatusOr<StoredWorker> GetWorker(const View& view, std::string_view worker);
// By id.
absl::StatusOr<std::vector<StoredWorker>> ListWorkers(const View& view);
// AlreadyExists if the id is taken.
absl::Status InsertWorker(Writer& writer, const StoredWorker& worker);
// Session, draining and message. NotFound if it never joined.
absl::Status UpdateWorker(Writer& writer, const StoredWorker& worker);
// The digest of the certificate that it was given last. NotFound if it never joined.
absl::Status SetWorkerCertificate(Writer& writer, std::string_view worker,
                                  std::string_view certificate_digest);

}  // namespace beamline::store
