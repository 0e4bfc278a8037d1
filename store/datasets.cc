#include "store/datasets.h"

#include "absl/strings/str_cat.h"
#include "store/identity.h"
#include "store/rows.h"

namespace beamline::store {
namespace {

constexpr char kUploadColumns[] = "id, project, dataset, expire_time, message";

absl::StatusOr<StoredUpload> ReadUpload(const Row& row) {
  StoredUpload upload{.id = std::string(row.Text(0)),
                      .project = std::string(row.Text(1)),
                      .dataset = std::string(row.Text(2)),
                      .expire_time = absl::FromUnixMicros(row.Int(3)),
                      .message = {}};
  RETURN_IF_ERROR(ParseMessage(row.Text(4), upload.message));
  return upload;
}

absl::StatusOr<int64_t> Number(const View& view, std::string_view sql, std::string_view argument) {
  int64_t number = 0;
  RETURN_IF_ERROR(view.connection().Query(
      sql, [&](const Row& row) { number = row.Int(0); }, argument));
  return number;
}

}  // namespace

absl::StatusOr<StoredUpload> GetUpload(const View& view, std::string_view project,
                                       std::string_view upload) {
  return One<StoredUpload>(
      view, absl::StrCat("upload ", A(upload)),
      absl::StrCat("SELECT ", kUploadColumns, " FROM uploads WHERE id = ?1 AND project = ?2"),
      ReadUpload, upload, project);
}

absl::StatusOr<StoredUpload> FindUpload(const View& view, std::string_view project,
                                        std::string_view dataset) {
  return One<StoredUpload>(
      view, "upload",
      absl::StrCat("SELECT ", kUploadColumns, " FROM uploads WHERE project = ?1 AND dataset = ?2"),
      ReadUpload, project, dataset);
}

absl::StatusOr<std::vector<StoredUpload>> ListExpiredUploads(const View& view, absl::Time now) {
  return Many<StoredUpload>(
      view,
      absl::StrCat("SELECT ", kUploadColumns, " FROM uploads WHERE expire_time < ?1 LIMIT 100"),
      ReadUpload, absl::ToUnixMicros(now));
}

absl::StatusOr<int64_t> CountUploads(const View& view, std::string_view project) {
  return Number(view, "SELECT count(*) FROM uploads WHERE project = ?1", project);
}

absl::StatusOr<std::vector<std::string>> ListUploadIds(const View& view) {
  return Many<std::string>(view, "SELECT id FROM uploads",
                           [](const Row& row) { return std::string(row.Text(0)); });
}

absl::Status InsertUpload(Writer& writer, const StoredUpload& upload) {
  return writer.connection()
      .Execute(
          absl::StrCat("INSERT INTO uploads (", kUploadColumns, ") VALUES (?1, ?2, ?3, ?4, ?5)"),
          upload.id, upload.project, upload.dataset, absl::ToUnixMicros(upload.expire_time),
          Bytes{upload.message.SerializeAsString()})
      .status();
}

absl::Status UpdateUpload(Writer& writer, const StoredUpload& upload) {
  return Changed(writer, absl::StrCat("upload ", upload.id),
                 "UPDATE uploads SET expire_time = ?2, message = ?3 WHERE id = ?1", upload.id,
                 absl::ToUnixMicros(upload.expire_time), Bytes{upload.message.SerializeAsString()});
}

absl::Status DeleteUpload(Writer& writer, std::string_view upload) {
  return writer.connection().Execute("DELETE FROM uploads WHERE id = ?1", upload).status();
}

absl::StatusOr<v1::Dataset> GetDataset(const View& view, std::string_view project,
                                       std::string_view dataset) {
  return OneMessage<v1::Dataset>(view, absl::StrCat("dataset ", A(dataset)),
                                 "SELECT message FROM datasets WHERE project = ?1 AND id = ?2",
                                 project, dataset);
}

absl::StatusOr<std::vector<Listed<v1::Dataset>>> ListDatasets(const View& view,
                                                              std::string_view project,
                                                              int64_t before, int64_t limit) {
  return ManyListed<v1::Dataset>(view,
                                 "SELECT message, serial FROM datasets WHERE project = ?1 AND "
                                 "serial < ?2 ORDER BY serial DESC LIMIT ?3",
                                 project, before, limit);
}

absl::Status InsertDataset(Writer& writer, std::string_view project, const v1::Dataset& dataset) {
  return writer.connection()
      .Execute("INSERT INTO datasets (project, id, message) VALUES (?1, ?2, ?3)", project,
               IdOf(dataset.name()), Bytes{dataset.SerializeAsString()})
      .status();
}

absl::Status DeleteDataset(Writer& writer, std::string_view project, std::string_view dataset) {
  return Changed(writer, absl::StrCat("dataset ", A(dataset)),
                 "DELETE FROM datasets WHERE project = ?1 AND id = ?2", project, dataset);
}

absl::Status AddBlobReference(Writer& writer, std::string_view project, const v1::Blob& blob,
                              std::string_view owner) {
  return writer.connection()
      .Execute(
          "INSERT INTO blob_references (project, digest, owner, size_bytes) "
          "VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
          project, blob.digest(), owner, blob.size_bytes())
      .status();
}

absl::StatusOr<bool> IsBlobReferenced(const View& view, std::string_view digest) {
  return One<bool>(
      view, "count", "SELECT EXISTS (SELECT 1 FROM blob_references WHERE digest = ?1)",
      [](const Row& row) { return row.Int(0) != 0; }, digest);
}

absl::Status DropBlobReferences(Writer& writer, std::string_view project, std::string_view owner) {
  return writer.connection()
      .Execute("DELETE FROM blob_references WHERE project = ?1 AND owner = ?2", project, owner)
      .status();
}

absl::StatusOr<bool> HasBlobReference(const View& view, std::string_view project,
                                      std::string_view digest) {
  bool found = false;
  RETURN_IF_ERROR(view.connection().Query(
      "SELECT 1 FROM blob_references WHERE project = ?1 AND digest = ?2 LIMIT 1",
      [&](const Row&) { found = true; }, project, digest));
  return found;
}

absl::StatusOr<int64_t> StorageBytes(const View& view, std::string_view project) {
  return Number(view,
                "SELECT coalesce(sum(size_bytes), 0) FROM (SELECT DISTINCT digest, size_bytes "
                "FROM blob_references WHERE project = ?1)",
                project);
}

}  // namespace beamline::store
