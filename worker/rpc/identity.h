// Who this worker is: its name, key and certificate, kept in the state folder.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "base/file.h"
#include "beamline/v1/worker.pb.h"
#include "worker/rpc/grpc_link.h"

namespace beamline::worker::rpc {

struct Identity {
  // "workers/W".
  std::string worker;
  Credentials credentials;
};

// Locks the state folder (made if needed, mode 0700) for this process. FailedPrecondition if
// another worker runs with it. The lock lasts as long as the descriptor.
absl::StatusOr<UniqueFd> LockState(const std::string& state);

// The identity in `state`. NotFound if this worker has not yet joined. FailedPrecondition if its
// certificate has expired by `now`: it has to join again.
absl::StatusOr<Identity> LoadIdentity(const std::string& state, absl::Time now);

// Keeps the credentials in `state`. Key and certificate are one file of mode 0600, which is the old
// one or the new one at any instant. Internal if they cannot be written.
absl::Status SaveCredentials(const std::string& state, const Credentials& credentials);

// Makes a key, has the server sign its certificate and keeps both in `state`, as SaveCredentials
// does, last of all, so that a crash in between only means to join again. `authority`: PEM. `join`
// does the call. Fails as `join` does, or Internal if the files cannot be written.
absl::StatusOr<Identity> JoinServer(
    const std::string& state, const std::string& authority, const std::string& join_token,
    const std::string& hostname,
    const std::function<absl::StatusOr<v1::JoinResponse>(const v1::JoinRequest&)>& join);

}  // namespace beamline::worker::rpc
