#include "server/api/worker_api.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "auth/authenticator.h"
#include "auth/certificate_authority.h"
#include "auth/secret.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "server/api/answer.h"
#include "server/coordinator.h"
#include "server/errors.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/quota.h"
#include "server/reports.h"
#include "server/work_pool.h"
#include "server/worker_sessions.h"
#include "store/blob_store.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/runs.h"
#include "store/workers.h"

namespace beamline::server {
namespace {

constexpr int kMaxHeld = 10'000;
constexpr int kMaxCached = 1'000;
constexpr int kMaxDevices = 1'024;
constexpr size_t kMaxNameLength = 256;
constexpr size_t kMaxWorkerIdLength = 40;

absl::Status CheckSynchronize(const v1::SynchronizeRequest& request) {
  FieldErrors errors;
  if (request.session().empty() || request.session().size() > kMaxNameLength) {
    errors.Add("session", "must have 1 to 256 characters");
  }
  if (request.held_size() > kMaxHeld) errors.Add("held", "has too many entries");
  if (request.cached_size() > kMaxCached) errors.Add("cached", "has more than 1000 entries");
  if (request.worker().devices_size() > kMaxDevices) {
    errors.Add("worker.devices", "has more than 1024 entries");
  }
  if (request.worker().hostname().size() > kMaxNameLength) {
    errors.Add("worker.hostname", "has more than 256 characters");
  }
  return errors.ToStatus();
}

// What a worker is called: its host's name as far as an id can have it, and something random behind
// it if that is taken.
absl::StatusOr<std::string> NewWorkerId(const store::View& view, std::string_view hostname,
                                        const ApiContext& context) {
  std::string id;
  for (const char c : hostname.substr(0, kMaxWorkerIdLength)) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c));
    id.push_back(plain ? absl::ascii_tolower(static_cast<unsigned char>(c)) : '-');
  }
  if (!CheckUserId(id).ok()) return NewId("w", context.clock.Now(), context.random);
  const auto taken = store::GetWorker(view, id);
  if (absl::IsNotFound(taken.status())) return id;
  RETURN_IF_ERROR(taken.status());
  return NewId(id, context.clock.Now(), context.random);
}

// The attempt, if `worker` holds it.
absl::StatusOr<store::StoredAttempt> HeldAttempt(const store::View& view, std::string_view worker,
                                                 std::string_view task, int32_t number) {
  ASSIGN_OR_RETURN(const TaskName name, ParseTaskName("task", task));
  auto attempt = store::GetAttempt(view, name.run, name.task, number);
  if (!absl::IsNotFound(attempt.status())) RETURN_IF_ERROR(attempt.status());
  if (!attempt.ok() || !attempt->live || attempt->worker != store::IdOf(worker)) {
    return absl::NotFoundError(
        absl::StrCat("attempt ", number, " at ", A(task), " is not held by ", A(worker)));
  }
  return attempt;
}

absl::Status CheckStored(const store::BlobStore& blobs, std::string_view field,
                         const v1::Blob& blob) {
  const auto found = blobs.Renew(blob.digest());
  if (absl::IsInvalidArgument(found.status())) return BadField(field, S(found.status().message()));
  if (!found.ok() && !absl::IsNotFound(found.status())) {
    return absl::UnavailableError(absl::StrCat(A(field), ": ", found.status().message()));
  }
  if (!found.ok() || found->size_bytes() != blob.size_bytes()) {
    return absl::FailedPreconditionError(
        absl::StrCat(A(field), ": blob ", blob.digest(), " of ", blob.size_bytes(),
                     " bytes is not there: write it before it is reported"));
  }
  return absl::OkStatus();
}

// Blobs are durable before anything refers to them.
absl::Status CheckBlobs(const store::BlobStore& blobs, const v1::ReportAttemptRequest& request) {
  for (const v1::AttemptReport& report : request.reports()) {
    if (report.has_event() && report.event().has_checkpoint()) {
      RETURN_IF_ERROR(CheckStored(blobs, "checkpoint", report.event().checkpoint().blob()));
    }
    if (report.result().outcome() != v1::AttemptResult::OUTCOME_SUCCEEDED) continue;
    for (const auto& [name, blob] : report.result().result().artifacts()) {
      RETURN_IF_ERROR(CheckStored(blobs, absl::StrCat("artifacts.", name), blob));
    }
  }
  return absl::OkStatus();
}

absl::Status JoinRefused() {
  return absl::UnauthenticatedError(
      "the join token is unknown, expired or used up: ask an operator for a new one");
}

class ArtifactSink : public BlobSink {
 public:
  ArtifactSink(store::BlobWriter writer, v1::Blob blob, WorkPool& pool)
      : writer_(std::make_shared<store::BlobWriter>(std::move(writer))),
        blob_(std::move(blob)),
        pool_(pool) {}

  absl::Status Write(int64_t, std::string_view data) override {
    if (writer_->size_bytes() + static_cast<int64_t>(data.size()) > blob_.size_bytes()) {
      return absl::DataLossError(
          absl::StrCat("more bytes came than the ", blob_.size_bytes(), " that were announced"));
    }
    return writer_->Append(data);
  }

  void Finish(Done<v1::WriteBlobResponse> done) override {
    auto answer = std::make_shared<Done<v1::WriteBlobResponse>>(std::move(done));
    const bool accepted = pool_.Run([writer = std::move(writer_), digest = blob_.digest(), answer] {
      const auto kept = writer->Finish(digest);
      if (kept.ok()) {
        (*answer)(v1::WriteBlobResponse());
      } else {
        (*answer)(kept.status());
      }
    });
    if (!accepted) (*answer)(absl::UnavailableError("the server is busy or stopping: try again"));
  }

 private:
  std::shared_ptr<store::BlobWriter> writer_;
  const v1::Blob blob_;
  WorkPool& pool_;
};

}  // namespace

WorkerApi::WorkerApi(ApiContext context) : context_(context) {}
WorkerApi::~WorkerApi() = default;

absl::StatusOr<WorkerApi::Joining> WorkerApi::Examine(const v1::JoinRequest& request) {
  const auto secret = auth::ParseSecret(auth::SecretKind::kJoinToken, request.join_token());
  if (!secret.has_value()) return JoinRefused();
  ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
  const auto token = store::GetJoinToken(reader, secret->id);
  if (absl::IsNotFound(token.status())) return JoinRefused();
  RETURN_IF_ERROR(token.status());
  if (!auth::HashesEqual(token->secret_hash, secret->hash)) return JoinRefused();
  if (request.hostname().size() > kMaxNameLength) {
    return BadField("hostname", "has more than 256 characters");
  }
  Joining joining{.token = secret->id, .worker = {}, .response = {}};
  ASSIGN_OR_RETURN(joining.worker.id, NewWorkerId(reader, request.hostname(), context_));
  joining.response.set_worker(absl::StrCat("workers/", joining.worker.id));
  ASSIGN_OR_RETURN(*joining.response.mutable_certificate(),
                   context_.authority.SignWorkerRequest(request.certificate_request(),
                                                        joining.response.worker()));
  joining.response.set_certificate_authority(context_.authority.root_certificate());
  joining.worker.certificate_digest = Sha256Hex(joining.response.certificate());
  joining.worker.pool = token->pool;
  joining.worker.message.set_name(joining.response.worker());
  joining.worker.message.set_hostname(request.hostname());
  joining.worker.message.set_pool(token->pool);
  return joining;
}

void WorkerApi::Join(const auth::Principal& caller, const v1::JoinRequest& request,
                     Done<v1::JoinResponse> done) {
  auth::FailureLimiter& failures = context_.authenticator.failures();
  if (absl::Status wait = failures.Check(caller.peer); !wait.ok()) return done(std::move(wait));
  auto joining = Examine(request);
  if (absl::IsUnauthenticated(joining.status())) failures.Count(caller.peer);
  if (!joining.ok()) return done(joining.status());
  context_.coordinator.Call<v1::JoinResponse>(
      [caller, request,
       joining = *std::move(joining)](Transaction& tx) mutable -> absl::StatusOr<v1::JoinResponse> {
        const absl::Status spent = store::SpendJoinToken(tx.store(), joining.token, tx.now());
        if (absl::IsNotFound(spent)) return JoinRefused();
        RETURN_IF_ERROR(spent);
        joining.worker.join_time = tx.now();
        const absl::Status inserted = store::InsertWorker(tx.store(), joining.worker);
        if (absl::IsAlreadyExists(inserted)) {
          return absl::UnavailableError("another worker of that name has just joined: try again");
        }
        RETURN_IF_ERROR(inserted);
        RETURN_IF_ERROR(Audit(tx, {.caller = caller,
                                   .method = "WorkerService.Join",
                                   .resource = joining.response.worker(),
                                   .request_id = "",
                                   .request = request}));
        return joining.response;
      },
      ForgetThen(context_.authenticator, std::move(done)));
}

void WorkerApi::RenewCertificate(const auth::Principal& caller,
                                 const v1::RenewCertificateRequest& request,
                                 Done<v1::RenewCertificateResponse> done) {
  auto certificate =
      context_.authority.SignWorkerRequest(request.certificate_request(), caller.name);
  if (!certificate.ok()) return done(certificate.status());
  v1::RenewCertificateResponse response;
  response.set_certificate(*std::move(certificate));
  response.set_certificate_authority(context_.authority.root_certificate());
  context_.coordinator.Call<v1::RenewCertificateResponse>(
      [caller, request, response](Transaction& tx) -> absl::StatusOr<v1::RenewCertificateResponse> {
        // NotFound if the worker was taken out since it was let in.
        RETURN_IF_ERROR(store::SetWorkerCertificate(tx.store(), store::IdOf(caller.name),
                                                    Sha256Hex(response.certificate())));
        RETURN_IF_ERROR(Audit(tx, {.caller = caller,
                                   .method = "WorkerService.RenewCertificate",
                                   .resource = caller.name,
                                   .request_id = "",
                                   .request = request}));
        return response;
      },
      std::move(done));
}

void WorkerApi::Synchronize(const auth::Principal& caller, const v1::SynchronizeRequest& request,
                            Done<v1::SynchronizeResponse> done) {
  if (absl::Status bad = CheckSynchronize(request); !bad.ok()) return done(std::move(bad));
  auto shared = std::make_shared<v1::SynchronizeRequest>(request);
  WorkerSessions& sessions = context_.sessions;
  context_.coordinator.Submit(
      {.apply = [&sessions, worker = caller.name,
                 shared](Transaction& tx) { return sessions.Take(tx, worker, *shared); },
       .done =
           [&sessions, worker = caller.name, shared,
            done = std::move(done)](absl::Status status) mutable {
             if (!status.ok()) return done(std::move(status));
             sessions.Park(worker, *shared, std::move(done));
           }});
}

void WorkerApi::ReportAttempt(const auth::Principal& caller,
                              const v1::ReportAttemptRequest& request,
                              Done<v1::ReportAttemptResponse> done) {
  absl::Status status = CheckReports(request);
  status.Update(CheckBlobs(context_.blobs, request));
  if (!status.ok()) return done(std::move(status));
  context_.coordinator.Call<v1::ReportAttemptResponse>(
      [worker = caller.name,
       request](Transaction& tx) -> absl::StatusOr<v1::ReportAttemptResponse> {
        v1::ReportAttemptResponse response;
        // First of all: leases are looked at after each event.
        tx.Schedule(scheduler::WorkerHeartbeat{.worker = scheduler::WorkerId(worker)});
        ASSIGN_OR_RETURN(const int64_t acknowledged, TakeReports(tx, worker, request));
        response.set_acknowledged(acknowledged);
        return response;
      },
      std::move(done));
}

absl::StatusOr<ByteSource> WorkerApi::ReadBlob(const auth::Principal& caller,
                                               const v1::ReadBlobRequest& request) {
  ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
  ASSIGN_OR_RETURN(const store::StoredAttempt attempt,
                   HeldAttempt(reader, caller.name, request.task(), request.number()));
  bool needed = attempt.message.checkpoint().digest() == request.digest();
  for (const auto& [name, blob] : attempt.message.inputs()) {
    needed = needed || blob.digest() == request.digest();
  }
  if (!needed || request.digest().empty()) {
    return absl::NotFoundError("the attempt needs no such blob");
  }
  return ByteSource::Open(context_.blobs, request.digest(), request.offset());
}

absl::StatusOr<std::unique_ptr<BlobSink>> WorkerApi::WriteBlob(const auth::Principal& caller,
                                                               const v1::WriteBlobRequest& first) {
  const v1::Blob& blob = first.blob();
  FieldErrors errors;
  if (!IsSha256Hex(blob.digest())) {
    errors.Add("blob.digest", "must be 64 lower-case hexadecimal digits");
  }
  if (blob.size_bytes() < 0 || blob.size_bytes() > context_.limits.max_artifact_bytes) {
    errors.Add("blob.size_bytes",
               absl::StrCat("must be from 0 to ", context_.limits.max_artifact_bytes));
  }
  RETURN_IF_ERROR(errors.ToStatus());
  ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
  RETURN_IF_ERROR(HeldAttempt(reader, caller.name, first.task(), first.number()).status());
  const auto present = context_.blobs.Renew(blob.digest());
  if (present.ok() && present->size_bytes() == blob.size_bytes()) {
    return std::unique_ptr<BlobSink>();
  }
  ASSIGN_OR_RETURN(const TaskName task, ParseTaskName("task", first.task()));
  RETURN_IF_ERROR(CheckStorage(reader, task.project, blob.size_bytes(), context_.limits));
  ASSIGN_OR_RETURN(store::BlobWriter writer, context_.blobs.Create());
  return std::make_unique<ArtifactSink>(std::move(writer), blob, context_.pool);
}

}  // namespace beamline::server
