#include "server/api/dataset_api.h"

#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/import.h"
#include "server/api/answer.h"
#include "server/api/upload.h"
#include "server/coordinator.h"
#include "server/errors.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/paging.h"
#include "server/quota.h"
#include "server/work_pool.h"
#include "store/blob_store.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/requests.h"
#include "store/runs.h"
#include "store/time.h"

namespace beamline::server {
namespace {

constexpr size_t kMaxDisplayName = 256;
// Of one dataset.
constexpr int kMaxFiles = 1000;

absl::Status CheckBeginUpload(const v1::BeginUploadRequest& request, const Limits& limits) {
  FieldErrors errors;
  if (!IsSha256Hex(request.source().digest())) {
    errors.Add("source.digest",
               "must be the SHA-256 of the file: 64 lower-case hexadecimal "
               "digits");
  }
  const int64_t size = request.source().size_bytes();
  if (size <= 0) {
    errors.Add("source.size_bytes", "must be positive: an empty file is no table");
  } else if (size > limits.max_upload_bytes) {
    errors.Add("source.size_bytes", absl::StrCat("is ", size, "; this server takes files of up to ",
                                                 limits.max_upload_bytes, " bytes"));
  }
  if (request.display_name().size() > kMaxDisplayName) {
    errors.Add("display_name", "must have at most 256 characters");
  }
  if (request.file_count() < 0 || request.file_count() > kMaxFiles) {
    errors.Add("file_count", absl::StrCat("must be from 1 to ", kMaxFiles));
  }
  RETURN_IF_ERROR(errors.ToStatus());
  return pipeline::CheckImportOptions(request.options());
}

absl::Status CheckQuota(Transaction& transaction, const std::string& project, int64_t size,
                        const Limits& limits) {
  ASSIGN_OR_RETURN(const int64_t uploads, store::CountUploads(transaction.store(), project));
  if (uploads >= limits.max_uploads) {
    return Overloaded(absl::StrCat("the project has begun ", uploads,
                                   " uploads: finish them before beginning another"),
                      60'000);
  }
  return CheckStorage(transaction.store(), project, size, limits);
}

absl::StatusOr<v1::BeginUploadResponse> Begin(Transaction& transaction, const std::string& project,
                                              const v1::BeginUploadRequest& request,
                                              const std::string& id, const Limits& limits) {
  v1::BeginUploadResponse response;
  const std::string dataset_id = DatasetIdOf(request.source(), request.options());
  auto dataset = store::GetDataset(transaction.store(), project, dataset_id);
  if (dataset.ok()) {
    *response.mutable_dataset() = *std::move(dataset);
    return response;
  }
  if (!absl::IsNotFound(dataset.status())) return dataset.status();
  auto upload = store::FindUpload(transaction.store(), project, dataset_id);
  if (!upload.ok() && !absl::IsNotFound(upload.status())) return upload.status();
  const absl::Time expiry = transaction.now() + limits.upload_lifetime;
  if (upload.ok()) {
    upload->expire_time = expiry;
    *upload->message.mutable_expire_time() = store::ToProto(expiry);
    RETURN_IF_ERROR(store::UpdateUpload(transaction.store(), *upload));
    *response.mutable_upload() = upload->message;
    return response;
  }
  RETURN_IF_ERROR(CheckQuota(transaction, project, request.source().size_bytes(), limits));
  store::StoredUpload fresh;
  fresh.id = id;
  fresh.project = project;
  fresh.dataset = dataset_id;
  fresh.expire_time = expiry;
  fresh.message.set_name(UploadName(project, id));
  *fresh.message.mutable_source() = request.source();
  *fresh.message.mutable_options() = request.options();
  fresh.message.set_display_name(request.display_name());
  fresh.message.set_file_count(request.file_count());
  *fresh.message.mutable_expire_time() = store::ToProto(expiry);
  RETURN_IF_ERROR(store::InsertUpload(transaction.store(), fresh));
  *response.mutable_upload() = fresh.message;
  return response;
}

}  // namespace

DatasetApi::DatasetApi(ApiContext context)
    : busy_(std::make_shared<BusyUploads>()), context_(context) {}
DatasetApi::~DatasetApi() = default;

void DatasetApi::BeginUpload(const auth::Principal& caller, const v1::BeginUploadRequest& request,
                             Done<v1::BeginUploadResponse> done) {
  const auto project = ParseProjectName("parent", request.parent());
  absl::Status bad = project.status();
  bad.Update(CheckBeginUpload(request, context_.limits));
  if (!bad.ok()) return done(std::move(bad));
  const std::string id = NewId("u", context_.clock.Now(), context_.random);
  context_.coordinator.Call<v1::BeginUploadResponse>(
      [caller, request, id, project = *project,
       limits = context_.limits](Transaction& tx) -> absl::StatusOr<v1::BeginUploadResponse> {
        ASSIGN_OR_RETURN(v1::BeginUploadResponse response, Begin(tx, project, request, id, limits));
        const Mutation mutation{.caller = caller,
                                .method = "DatasetService.BeginUpload",
                                .resource = request.parent(),
                                .request_id = "",
                                .request = request};
        RETURN_IF_ERROR(KeepAnswer(tx, mutation, response));
        return response;
      },
      std::move(done));
}

absl::StatusOr<std::unique_ptr<UploadSink>> DatasetApi::WriteUpload(
    const auth::Principal& caller, const v1::WriteUploadRequest& first) {
  ASSIGN_OR_RETURN(const ChildName name, ParseUploadName("upload", first.upload()));
  ASSIGN_OR_RETURN(BusyUploads::Lease lease, busy_->Take(busy_, name.id));
  ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
  ASSIGN_OR_RETURN(store::StoredUpload upload, store::GetUpload(reader, name.project, name.id));
  return OpenUploadSink(context_, caller, std::move(upload), std::move(lease));
}

void DatasetApi::GetUpload(const auth::Principal&, const v1::GetUploadRequest& request,
                           Done<v1::Upload> done) {
  done([&]() -> absl::StatusOr<v1::Upload> {
    ASSIGN_OR_RETURN(const ChildName name, ParseUploadName("name", request.name()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(store::StoredUpload upload, store::GetUpload(reader, name.project, name.id));
    return std::move(upload.message);
  }());
}

void DatasetApi::FinishUpload(const auth::Principal& caller, const v1::FinishUploadRequest& request,
                              Done<v1::Dataset> done) {
  auto lease = BusyUploads::Lease();
  auto upload = [&]() -> absl::StatusOr<store::StoredUpload> {
    ASSIGN_OR_RETURN(const ChildName name, ParseUploadName("name", request.name()));
    ASSIGN_OR_RETURN(lease, busy_->Take(busy_, name.id));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    return store::GetUpload(reader, name.project, name.id);
  }();
  if (absl::IsNotFound(upload.status())) {
    return done(FindFinishedUpload(context_.store, request.name()));
  }
  if (!upload.ok()) return done(upload.status());
  auto shared = std::make_shared<Done<v1::Dataset>>(std::move(done));
  const bool accepted =
      context_.heavy_pool.Run([context = context_, caller, upload = *std::move(upload),
                               lease = std::move(lease), shared]() mutable {
        FinishUploadNow(context, caller, upload, std::move(lease), std::move(*shared));
      });
  if (!accepted) (*shared)(Overloaded("too many files are being read: try again", 5'000));
}

void DatasetApi::GetDataset(const auth::Principal&, const v1::GetDatasetRequest& request,
                            Done<v1::Dataset> done) {
  done([&]() -> absl::StatusOr<v1::Dataset> {
    ASSIGN_OR_RETURN(const ChildName name, ParseDatasetName("name", request.name()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    return store::GetDataset(reader, name.project, name.id);
  }());
}

void DatasetApi::ListDatasets(const auth::Principal&, const v1::ListDatasetsRequest& request,
                              Done<v1::ListDatasetsResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListDatasetsResponse> {
    ASSIGN_OR_RETURN(const std::string project, ParseProjectName("parent", request.parent()));
    ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), 100, 1000));
    const std::string scope = absl::StrCat("datasets|", project);
    ASSIGN_OR_RETURN(const int64_t before, ReadPageNumber(scope, request.page_token(),
                                                          std::numeric_limits<int64_t>::max()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(auto datasets, store::ListDatasets(reader, project, before, size + 1));
    for (auto& [serial, dataset] : datasets) {
      for (v1::Column& column : *dataset.mutable_columns()) column.clear_statistics();
    }
    return PageOf<v1::ListDatasetsResponse>(std::move(datasets), size, scope,
                                            &v1::ListDatasetsResponse::mutable_datasets);
  }());
}

void DatasetApi::DeleteDataset(const auth::Principal& caller,
                               const v1::DeleteDatasetRequest& request,
                               Done<google::protobuf::Empty> done) {
  const auto name = ParseDatasetName("name", request.name());
  if (!name.ok()) return done(name.status());
  using google::protobuf::Empty;
  context_.coordinator.Call<Empty>(
      [caller, request, name = *name](Transaction& tx) -> absl::StatusOr<Empty> {
        ASSIGN_OR_RETURN(const bool in_use,
                         store::IsDatasetInUse(tx.store(), name.project, name.id));
        if (in_use) {
          return absl::FailedPreconditionError(
              "a run that has not ended uses the dataset: cancel it or wait for it");
        }
        RETURN_IF_ERROR(store::DeleteDataset(tx.store(), name.project, name.id));
        RETURN_IF_ERROR(store::DropBlobReferences(tx.store(), name.project,
                                                  absl::StrCat("datasets/", name.id)));
        const Mutation mutation{.caller = caller,
                                .method = "DatasetService.DeleteDataset",
                                .resource = request.name(),
                                .request_id = "",
                                .request = request};
        RETURN_IF_ERROR(KeepAnswer(tx, mutation, Empty()));
        return Empty();
      },
      std::move(done));
}

absl::StatusOr<ByteSource> DatasetApi::DownloadDataset(const auth::Principal&,
                                                       const v1::DownloadDatasetRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseDatasetName("name", request.name()));
  ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
  ASSIGN_OR_RETURN(const v1::Dataset dataset, store::GetDataset(reader, name.project, name.id));
  return ByteSource::Open(context_.blobs, dataset.source().digest(), request.offset());
}

}  // namespace beamline::server
