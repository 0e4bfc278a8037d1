#include "server/api/upload.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "pipeline/import.h"
#include "server/coordinator.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/quota.h"
#include "server/work_pool.h"
#include "store/blob_store.h"
#include "store/requests.h"
#include "store/time.h"
#include "store/upload_files.h"

namespace beamline::server {
namespace {

// Bytes after which an upload's progress is made durable in passing.
constexpr int64_t kSyncEveryBytes = int64_t{16} << 20;
// Finished uploads are remembered among the answers to requests, under this caller.
constexpr char kFinishedBy[] = "uploads";

// Notes that `size_bytes` of the upload are durable.
absl::StatusOr<v1::Upload> Record(Transaction& transaction, const std::string& project,
                                  const std::string& id, int64_t size_bytes,
                                  absl::Duration lifetime) {
  ASSIGN_OR_RETURN(store::StoredUpload upload, store::GetUpload(transaction.store(), project, id));
  upload.message.set_committed_size_bytes(
      std::max(upload.message.committed_size_bytes(), size_bytes));
  upload.expire_time = transaction.now() + lifetime;
  *upload.message.mutable_expire_time() = store::ToProto(upload.expire_time);
  RETURN_IF_ERROR(store::UpdateUpload(transaction.store(), upload));
  return upload.message;
}

// The bytes themselves are no part of what the audit has of a call.
absl::Status AuditWrite(Transaction& transaction, const auth::Principal& caller,
                        const v1::Upload& upload) {
  v1::WriteUploadRequest request;
  request.set_upload(upload.name());
  request.set_offset(upload.committed_size_bytes());
  return Audit(transaction, {.caller = caller,
                             .method = "DatasetService.WriteUpload",
                             .resource = upload.name(),
                             .request_id = "",
                             .request = request});
}

class Sink : public UploadSink {
 public:
  Sink(const ApiContext& context, auth::Principal caller, store::StoredUpload upload,
       store::UploadFile file, BusyUploads::Lease lease)
      : context_(context),
        caller_(std::move(caller)),
        upload_(std::move(upload)),
        state_(std::make_shared<State>(State{std::move(file), std::move(lease)})),
        recorded_(state_->file.size_bytes()) {}

  // The client left in the middle: what came is kept, so that it can go on from there.
  ~Sink() override {
    if (state_ == nullptr || state_->file.size_bytes() == recorded_) return;
    Keep([](const absl::StatusOr<v1::Upload>&) {});
  }

  absl::Status Write(int64_t offset, std::string_view data) override {
    const int64_t have = state_->file.size_bytes();
    if (offset < 0 || offset > have) {
      return absl::OutOfRangeError(absl::StrCat("offset is ", offset, ", and ", have,
                                                " bytes are there: go on from the upload's "
                                                "committed_size_bytes"));
    }
    const int64_t end = offset + static_cast<int64_t>(data.size());
    if (end > upload_.message.source().size_bytes()) {
      return absl::InvalidArgumentError(
          absl::StrCat("data: more bytes come than the ", upload_.message.source().size_bytes(),
                       " that were announced: begin the upload of the longer file"));
    }
    if (end <= have) return absl::OkStatus();
    RETURN_IF_ERROR(state_->file.Append(data.substr(static_cast<size_t>(have - offset))));
    if (state_->file.size_bytes() - recorded_ >= kSyncEveryBytes) {
      recorded_ = state_->file.size_bytes();
      RETURN_IF_ERROR(state_->file.Sync());
      Submit([](absl::StatusOr<v1::Upload>) {});
    }
    return absl::OkStatus();
  }

  void Finish(Done<v1::Upload> done) override {
    Keep(std::move(done));
    state_ = nullptr;
  }

 private:
  struct State {
    store::UploadFile file;
    // Until the size is recorded nobody else may open the file.
    BusyUploads::Lease lease;
  };

  void Submit(Done<v1::Upload> done, bool at_end = false) {
    context_.coordinator.Call<v1::Upload>(
        [caller = caller_, project = upload_.project, id = upload_.id, at_end,
         size = state_->file.size_bytes(), lifetime = context_.limits.upload_lifetime](
            Transaction& tx) -> absl::StatusOr<v1::Upload> {
          ASSIGN_OR_RETURN(v1::Upload upload, Record(tx, project, id, size, lifetime));
          if (at_end) RETURN_IF_ERROR(AuditWrite(tx, caller, upload));
          return upload;
        },
        [state = state_, done = std::move(done)](absl::StatusOr<v1::Upload> upload) mutable {
          state = nullptr;
          done(std::move(upload));
        });
  }

  // May wait for the disk.
  void Keep(Done<v1::Upload> done) {
    if (absl::Status synced = state_->file.Sync(); !synced.ok()) {
      return done(std::move(synced));
    }
    Submit(std::move(done), true);
  }

  const ApiContext context_;
  const auth::Principal caller_;
  const store::StoredUpload upload_;
  std::shared_ptr<State> state_;
  int64_t recorded_;
};

// A dataset whose blobs are in the blob store.
absl::StatusOr<v1::Dataset> Make(const ApiContext& context, const store::StoredUpload& upload) {
  const v1::Blob& source = upload.message.source();
  if (upload.message.committed_size_bytes() != source.size_bytes()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the upload has ", upload.message.committed_size_bytes(), " of ",
                     source.size_bytes(), " bytes: send the rest first"));
  }
  std::string path = context.uploads.PathOf(upload.id);
  // A server that died just before the end has moved the file already.
  const bool moved = !std::filesystem::exists(path);
  if (moved) {
    ASSIGN_OR_RETURN(path, context.blobs.PathOf(source.digest()));
  } else {
    ASSIGN_OR_RETURN(const std::string digest, Sha256HexOfFile(path));
    if (digest != source.digest()) {
      return absl::DataLossError(absl::StrCat("the uploaded bytes have the digest ", digest,
                                              ", not ", source.digest(),
                                              " as announced: upload the file again"));
    }
  }
  const std::string output = context.blobs.TemporaryPath();
  ASSIGN_OR_RETURN(
      v1::Dataset dataset,
      pipeline::ImportFile(path, upload.message.display_name(), upload.message.options(), 2,
                           context.limits.max_upload_bytes, output,
                           std::max(upload.message.file_count(), 1)));
  ASSIGN_OR_RETURN(*dataset.mutable_table(), context.blobs.Adopt(output, ""));
  if (!moved) RETURN_IF_ERROR(context.blobs.Adopt(path, source.digest()).status());
  *dataset.mutable_source() = source;
  dataset.set_name(DatasetName(upload.project, upload.dataset));
  dataset.set_display_name(upload.message.display_name());
  return dataset;
}

absl::StatusOr<v1::Dataset> Insert(Transaction& transaction, const store::StoredUpload& upload,
                                   const auth::Principal& caller, v1::Dataset dataset,
                                   const Limits& limits) {
  // Uploads that were begun side by side may fit one by one, but not together.
  RETURN_IF_ERROR(CheckStorage(transaction.store(), upload.project,
                               dataset.source().size_bytes() + dataset.table().size_bytes(),
                               limits));
  *dataset.mutable_create_time() = store::ToProto(transaction.now());
  dataset.set_creator(caller.name);
  RETURN_IF_ERROR(store::InsertDataset(transaction.store(), upload.project, dataset));
  const std::string owner = absl::StrCat("datasets/", upload.dataset);
  RETURN_IF_ERROR(
      store::AddBlobReference(transaction.store(), upload.project, dataset.source(), owner));
  RETURN_IF_ERROR(
      store::AddBlobReference(transaction.store(), upload.project, dataset.table(), owner));
  RETURN_IF_ERROR(store::DeleteUpload(transaction.store(), upload.id));
  RETURN_IF_ERROR(
      store::InsertRequest(transaction.store(), {.principal = kFinishedBy,
                                                 .request_id = upload.message.name(),
                                                 .method = "DatasetService.FinishUpload",
                                                 .digest = "",
                                                 .response = dataset.name(),
                                                 .create_time = transaction.now()}));
  v1::FinishUploadRequest request;
  request.set_name(upload.message.name());
  RETURN_IF_ERROR(Audit(transaction, {.caller = caller,
                                      .method = "DatasetService.FinishUpload",
                                      .resource = dataset.name(),
                                      .request_id = "",
                                      .request = request}));
  return dataset;
}

// Whether the failure is the file's, so that trying again cannot help.
bool IsFinal(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status) ||
         absl::IsUnimplemented(status);
}

}  // namespace

BusyUploads::Lease& BusyUploads::Lease::operator=(Lease&& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(id_, other.id_);
  return *this;
}

BusyUploads::Lease::~Lease() {
  if (owner_ == nullptr) return;
  const std::lock_guard lock(owner_->mutex_);
  owner_->ids_.erase(id_);
}

absl::StatusOr<BusyUploads::Lease> BusyUploads::Take(const std::shared_ptr<BusyUploads>& self,
                                                     const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (!ids_.insert(id).second) {
    return absl::AbortedError(
        "the upload is being written or finished by another call: wait for "
        "it, then ask GetUpload and go on from there");
  }
  return Lease(self, id);
}

std::string DatasetIdOf(const v1::Blob& source, const v1::ImportOptions& options) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream out(&bytes);
    google::protobuf::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    options.SerializeToCodedStream(&coded);
  }
  if (bytes.empty()) return source.digest();
  return absl::StrCat(source.digest(), "-", Sha256Hex(bytes).substr(0, 8));
}

absl::StatusOr<std::unique_ptr<UploadSink>> OpenUploadSink(const ApiContext& context,
                                                           const auth::Principal& caller,
                                                           store::StoredUpload upload,
                                                           BusyUploads::Lease lease) {
  ASSIGN_OR_RETURN(store::UploadFile file, context.uploads.OpenForAppending(
                                               upload.id, upload.message.committed_size_bytes()));
  return std::make_unique<Sink>(context, caller, std::move(upload), std::move(file),
                                std::move(lease));
}

void FinishUploadNow(const ApiContext& context, const auth::Principal& caller,
                     const store::StoredUpload& upload, BusyUploads::Lease lease,
                     Done<v1::Dataset> done) {
  auto held = std::make_shared<BusyUploads::Lease>(std::move(lease));
  auto dataset = Make(context, upload);
  if (dataset.ok()) {
    context.coordinator.Call<v1::Dataset>(
        [caller, upload, dataset = *std::move(dataset), limits = context.limits](Transaction& tx) {
          return Insert(tx, upload, caller, dataset, limits);
        },
        [held, done = std::move(done)](absl::StatusOr<v1::Dataset> answer) mutable {
          held = nullptr;
          done(std::move(answer));
        });
    return;
  }
  if (!IsFinal(dataset.status())) return done(dataset.status());
  context.coordinator.Submit(
      {.apply = [id = upload.id](Transaction& tx) { return store::DeleteUpload(tx.store(), id); },
       .done =
           [held, uploads = context.uploads, id = upload.id, failure = dataset.status(),
            done = std::move(done)](absl::Status deleted) mutable {
             if (deleted.ok()) uploads.Remove(id).IgnoreError();
             held = nullptr;
             done(deleted.ok() ? std::move(failure) : std::move(deleted));
           }});
}

absl::StatusOr<v1::Dataset> FindFinishedUpload(store::Store& store, std::string_view upload_name) {
  ASSIGN_OR_RETURN(const ChildName name, ParseUploadName("name", upload_name));
  ASSIGN_OR_RETURN(const store::Reader reader, store.Read());
  const auto finished = store::GetRequest(reader, kFinishedBy, upload_name);
  if (absl::IsNotFound(finished.status())) {
    return absl::NotFoundError(absl::StrCat(A(upload_name), " does not exist: begin it again"));
  }
  RETURN_IF_ERROR(finished.status());
  ASSIGN_OR_RETURN(const ChildName dataset, ParseDatasetName("dataset", finished->response));
  return store::GetDataset(reader, name.project, dataset.id);
}

absl::Status RemoveExpiredUploads(const ApiContext& context) {
  std::vector<store::StoredUpload> expired;
  std::vector<std::string> orphans;
  {
    ASSIGN_OR_RETURN(const store::Reader reader, context.store.Read());
    // Listed before the rows: a file that is there before its row is not taken for an orphan.
    ASSIGN_OR_RETURN(const auto files, context.uploads.List());
    ASSIGN_OR_RETURN(const auto ids, store::ListUploadIds(reader));
    const std::set<std::string> known(ids.begin(), ids.end());
    std::copy_if(files.begin(), files.end(), std::back_inserter(orphans),
                 [&](const std::string& file) { return !known.contains(file); });
    ASSIGN_OR_RETURN(expired, store::ListExpiredUploads(reader, context.clock.Now()));
  }
  for (const std::string& file : orphans) RETURN_IF_ERROR(context.uploads.Remove(file));
  for (const store::StoredUpload& upload : expired) {
    context.coordinator.Submit(
        {.apply = [id = upload.id](Transaction& tx) { return store::DeleteUpload(tx.store(), id); },
         .done =
             [uploads = context.uploads, id = upload.id](absl::Status deleted) {
               if (deleted.ok()) uploads.Remove(id).IgnoreError();
             }});
  }
  return absl::OkStatus();
}

}  // namespace beamline::server
