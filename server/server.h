// The whole service without its wire, over one state folder:
//
//   STATE/lock         held while a server runs
//   STATE/beamline.db  metadata (SQLite; -wal and -shm beside it)
//   STATE/blobs/       bytes by digest
//   STATE/uploads/     uploads under way
//   STATE/tls/         the certificate authority and the server's certificate
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "auth/certificate_authority.h"
#include "auth/failure_limiter.h"
#include "base/clock.h"
#include "base/random.h"
#include "scheduler/scheduler.h"
#include "server/api/audit_api.h"
#include "server/api/auth_api.h"
#include "server/api/cluster_api.h"
#include "server/api/context.h"
#include "server/api/dataset_api.h"
#include "server/api/model_api.h"
#include "server/api/pipeline_api.h"
#include "server/api/project_api.h"
#include "server/api/run_api.h"
#include "server/api/worker_api.h"

namespace beamline::server {

struct ServerOptions {
  // Created if it does not exist.
  std::string state_folder;
  // Names and addresses under which clients reach the server, besides those of this machine.
  std::vector<std::string> server_names;
  // How long certificates of workers are good. They renew theirs after two thirds of it.
  absl::Duration worker_certificate_lifetime = auth::CertificateAuthority::kWorkerLifetime;
  Limits limits;
  scheduler::Options scheduler = {.preemption = true};
  // Threads for reading data sets and predicting. Default 2.
  int heavy_threads = 2;
  // Off, for the simulation: the server has no threads, and nothing happens but in RunOne.
  bool own_threads = true;
  // How wrong secrets are slowed down.
  auth::FailureLimiter::Options failures;
  // Whose tokens are taken besides its own, see server/issuers_file.h; empty: nobody's. Read at the
  // start and in ReloadIssuers.
  std::string issuers_file;
  // Called once, on any thread, when the database has failed: nothing is acknowledged from then
  // on, and the process should end. Default: nothing.
  absl::AnyInvocable<void(absl::Status)> on_fatal;
};

// Wires everything and owns it. Thread-safe after Open.
class Server {
  struct Key {};
  struct Parts;

 public:
  // Goes on where the last server on this folder stopped or died. Neither clock nor random is
  // owned. FailedPrecondition: another server runs on the folder, or its database is of a newer
  // version; InvalidArgument or NotFound: as ReadIssuers; Internal: it cannot be read or written.
  static absl::StatusOr<std::unique_ptr<Server>> Open(ServerOptions options, const Clock& clock,
                                                      Random& random);
  Server(Key, std::unique_ptr<Parts> parts);
  // Shuts down, if that has not been done.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  ProjectApi& projects();
  AuthApi& auth();
  DatasetApi& datasets();
  PipelineApi& pipelines();
  RunApi& runs();
  ModelApi& models();
  ClusterApi& cluster();
  WorkerApi& workers();
  AuditApi& audit();

  // For the gate: what becomes of calls that no transaction writes into the audit.
  CallLog& calls();
  // Who callers are. Forgets by itself what changes through the APIs.
  auth::Authenticator& authenticator();
  // Reads the file of issuers anew; what it says counts when this returns. If it is wrong, as
  // ReadIssuers says, what it said before goes on to count. No effect without such a file.
  absl::Status ReloadIssuers();
  // For the listener's certificate and for clients' trust.
  const auth::CertificateAuthority& authority() const;

  // Answers every call that waits (Synchronize, RunWatcher::Next) with Unavailable, finishes what
  // was accepted, and stops. Calls made afterwards are answered with Unavailable. Idempotent.
  // Call it before the listener waits for its calls to end.
  void Shutdown();

  // The clock has been moved: do what is due. Only needed with a FakeClock.
  void OnClockMoved();

  // Of a server without threads: does one piece of what waits or is due. What threads would do side
  // by side comes in the order that `choose` says: one of so many. False if there is nothing to do.
  bool RunOne(absl::FunctionRef<size_t(size_t)> choose);

 private:
  std::unique_ptr<Parts> parts_;
};

}  // namespace beamline::server
