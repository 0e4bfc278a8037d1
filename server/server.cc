#include "server/server.h"

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "auth/authenticator.h"
#include "auth/certificate_authority.h"
#include "auth/https_get.h"
#include "auth/issuers.h"
#include "auth/store_directory.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "server/api/upload.h"
#include "server/backup.h"
#include "server/call_log.h"
#include "server/coordinator.h"
#include "server/event_bus.h"
#include "server/folder_lock.h"
#include "server/issuers_file.h"
#include "server/run_actions.h"
#include "server/unused_blobs.h"
#include "server/work_pool.h"
#include "server/worker_sessions.h"
#include "store/audit.h"
#include "store/blob_store.h"
#include "store/identity.h"
#include "store/requests.h"
#include "store/store.h"
#include "store/upload_files.h"

namespace beamline::server {
namespace {

constexpr int kShortThreads = 2;
constexpr size_t kMaxWaitingWork = 10'000;
// Each may hold a request in memory.
constexpr size_t kMaxWaitingHeavyWork = 256;
// Between two looks at what can be tidied up. The WAL is copied back at each; the rest happens at
// every sixtieth.
constexpr std::chrono::seconds kHousekeeping{1};
constexpr int kRarely = 60;
constexpr int kVeryRarely = 3600;
constexpr absl::Duration kRequestLifetime = absl::Hours(24);

}  // namespace

struct Server::Parts {
  Parts(ServerOptions& options, UniqueFd lock, std::unique_ptr<store::Store> opened,
        store::BlobStore blob_store, store::UploadFiles upload_files,
        auth::CertificateAuthority certificate_authority, const Clock& the_clock,
        Random& the_random);

  // Tidies up until Shutdown.
  void KeepHouse();
  // What is to be done in this round; they count from 0, one each kHousekeeping.
  void KeepHouse(int round);
  // Without a thread for it: a round, if it is time.
  bool KeepHouseIfDue();
  // What one of the threads would do next. False: nothing.
  bool RunOne(size_t thread);
  void TidyUp();
  void StoreLastUses();
  // So that the log, which is kept elsewhere, has hashes that the audit must have.
  void LogAuditHead();
  absl::Status ReloadIssuers();
  void Shutdown();

  const Clock& clock;
  const UniqueFd lock;
  const std::unique_ptr<store::Store> store;
  store::BlobStore blobs;
  store::UploadFiles uploads;
  const auth::CertificateAuthority authority;
  auth::StoreDirectory directory;
  const std::string issuers_file;
  // Null: there is no file of them.
  const std::unique_ptr<auth::Issuers> issuers;
  auth::Authenticator authenticator;
  CallLog calls;
  EventBus bus;
  WorkPool pool;
  WorkPool heavy_pool;
  WorkerSessions sessions;
  Coordinator coordinator;
  const ApiContext context;
  ProjectApi projects;
  AuthApi auth;
  DatasetApi datasets;
  PipelineApi pipelines;
  RunApi runs;
  ModelApi models;
  ClusterApi cluster;
  WorkerApi workers;
  AuditApi audit;

  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex.
  bool stopping = false;
  std::thread housekeeper;
  // Without a housekeeper: rounds so far, and when the next is due.
  int rounds = 0;
  int64_t next_round_ms = 0;
};

Server::Parts::Parts(ServerOptions& options, UniqueFd lock_fd, std::unique_ptr<store::Store> opened,
                     store::BlobStore blob_store, store::UploadFiles upload_files,
                     auth::CertificateAuthority certificate_authority, const Clock& the_clock,
                     Random& random)
    : clock(the_clock),
      lock(std::move(lock_fd)),
      store(std::move(opened)),
      blobs(std::move(blob_store)),
      uploads(std::move(upload_files)),
      authority(std::move(certificate_authority)),
      directory(*store),
      issuers_file(options.issuers_file),
      issuers(issuers_file.empty() ? nullptr
                                   : std::make_unique<auth::Issuers>(clock, auth::HttpsGet)),
      authenticator(directory, clock, {.failures = options.failures, .issuers = issuers.get()}),
      calls(clock),
      pool(options.own_threads ? kShortThreads : 0, kMaxWaitingWork),
      heavy_pool(options.own_threads ? options.heavy_threads : 0, kMaxWaitingHeavyWork),
      sessions(*store, clock, options.scheduler.lease_ms, options.limits.max_hold_ms),
      coordinator(*store, bus, clock, ApplyAction,
                  {.scheduler = options.scheduler,
                   .on_fatal = std::move(options.on_fatal),
                   .own_thread = options.own_threads}),
      context{.store = *store,
              .blobs = blobs,
              .uploads = uploads,
              .coordinator = coordinator,
              .bus = bus,
              .sessions = sessions,
              .pool = pool,
              .heavy_pool = heavy_pool,
              .authenticator = authenticator,
              .calls = calls,
              .authority = authority,
              .clock = clock,
              .random = random,
              .limits = options.limits},
      projects(context),
      auth(context),
      datasets(context),
      pipelines(context),
      runs(context),
      models(context),
      cluster(context),
      workers(context),
      audit(context) {
  coordinator.Add(sessions);
}

absl::StatusOr<std::unique_ptr<Server>> Server::Open(ServerOptions options, const Clock& clock,
                                                     Random& random) {
  const std::string& folder = options.state_folder;
  ASSIGN_OR_RETURN(UniqueFd lock, LockFolder(folder));
  std::error_code ignored;
  std::filesystem::remove(folder + kBackupMark, ignored);
  ASSIGN_OR_RETURN(auto store, store::Store::Open(folder + "/beamline.db"));
  ASSIGN_OR_RETURN(store::BlobStore blobs, store::BlobStore::Open(folder + "/blobs"));
  ASSIGN_OR_RETURN(store::UploadFiles uploads, store::UploadFiles::Open(folder + "/uploads"));
  ASSIGN_OR_RETURN(auto authority,
                   auth::CertificateAuthority::Open(folder + "/tls", options.server_names, clock,
                                                    random, options.worker_certificate_lifetime));
  auto parts = std::make_unique<Parts>(options, std::move(lock), std::move(store), std::move(blobs),
                                       std::move(uploads), std::move(authority), clock, random);
  RETURN_IF_ERROR(parts->ReloadIssuers());
  RETURN_IF_ERROR(parts->coordinator.Start(RestoreScheduler));
  if (options.own_threads) {
    parts->housekeeper = std::thread([&parts = *parts] { parts.KeepHouse(); });
  }
  return std::make_unique<Server>(Key(), std::move(parts));
}

Server::Server(Key, std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { Shutdown(); }

ProjectApi& Server::projects() { return parts_->projects; }
AuthApi& Server::auth() { return parts_->auth; }
DatasetApi& Server::datasets() { return parts_->datasets; }
PipelineApi& Server::pipelines() { return parts_->pipelines; }
RunApi& Server::runs() { return parts_->runs; }
ModelApi& Server::models() { return parts_->models; }
ClusterApi& Server::cluster() { return parts_->cluster; }
WorkerApi& Server::workers() { return parts_->workers; }
AuditApi& Server::audit() { return parts_->audit; }
CallLog& Server::calls() { return parts_->calls; }
auth::Authenticator& Server::authenticator() { return parts_->authenticator; }
const auth::CertificateAuthority& Server::authority() const { return parts_->authority; }

absl::Status Server::ReloadIssuers() { return parts_->ReloadIssuers(); }

void Server::Shutdown() { parts_->Shutdown(); }

void Server::OnClockMoved() { parts_->coordinator.Poke(); }

bool Server::RunOne(absl::FunctionRef<size_t(size_t)> choose) {
  constexpr size_t kThreads = 4;
  const size_t first = choose(kThreads);
  for (size_t i = 0; i < kThreads; ++i) {
    if (parts_->RunOne((first + i) % kThreads)) return true;
  }
  return false;
}

bool Server::Parts::RunOne(size_t thread) {
  switch (thread) {
    case 0:
      return coordinator.RunOne();
    case 1:
      return pool.RunOne();
    case 2:
      return heavy_pool.RunOne();
    default:
      return KeepHouseIfDue();
  }
}

absl::Status Server::Parts::ReloadIssuers() {
  if (issuers == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const v1::Issuers read, ReadIssuers(issuers_file));
  issuers->Set(read);
  authenticator.Forget();
  return absl::OkStatus();
}

void Server::Parts::Shutdown() {
  {
    const std::lock_guard guard(mutex);
    if (stopping) return;
    stopping = true;
    changed.notify_all();
  }
  if (housekeeper.joinable()) housekeeper.join();
  bus.Stop();
  // What the pools still do may end with a command, so the coordinator goes after them.
  heavy_pool.Stop();
  pool.Stop();
  WriteCalls(context, true, [](const absl::StatusOr<bool>&) {});
  StoreLastUses();
  coordinator.Stop();
  LogAuditHead();
}

void Server::Parts::KeepHouse() {
  std::unique_lock guard(mutex);
  for (int round = 0; !stopping; ++round) {
    guard.unlock();
    KeepHouse(round);
    guard.lock();
    changed.wait_for(guard, kHousekeeping, [this] { return stopping; });
  }
}

void Server::Parts::KeepHouse(int round) {
  store->Checkpoint();
  WriteCalls(context, false, [](const absl::StatusOr<bool>&) {});
  if (round % kRarely == 0) TidyUp();
  if (round % kVeryRarely == 0) {
    RemoveUnusedBlobs(context);
    LogAuditHead();
  }
}

bool Server::Parts::KeepHouseIfDue() {
  if (clock.MonotonicMillis() < next_round_ms) return false;
  next_round_ms = clock.MonotonicMillis() + std::chrono::milliseconds(kHousekeeping).count();
  KeepHouse(rounds++);
  return true;
}

void Server::Parts::LogAuditHead() {
  const auto head = [&]() -> absl::StatusOr<store::AuditHead> {
    ASSIGN_OR_RETURN(const store::Reader reader, store->Read());
    return store::GetAuditHead(reader);
  }();
  if (head.ok()) {
    log::Info("audit: %d entries, head %s", head->sequence, head->hash);
  } else {
    log::Warning("cannot read the audit: %s", head.status().ToString());
  }
}

void Server::Parts::TidyUp() {
  if (absl::Status status = RemoveExpiredUploads(context); !status.ok()) {
    log::Warning("cannot remove expired uploads: %s", status.ToString());
  }
  StoreLastUses();
}

// And what else is due as rarely.
void Server::Parts::StoreLastUses() {
  coordinator.Submit(
      {.apply = [uses = authenticator.TakeLastUses()](Transaction& tx) -> absl::Status {
         for (const auto& [token, time] : uses) {
           RETURN_IF_ERROR(store::TouchToken(tx.store(), token, time));
         }
         return store::DeleteRequestsBefore(tx.store(), tx.now() - kRequestLifetime).status();
       },
       .done =
           [](const absl::Status& status) {
             if (!status.ok()) {
               log::Warning("cannot tidy up: %s", status.ToString());
             }
           }});
}

}  // namespace beamline::server
