#include "store/backup.h"

#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "store/connection.h"
#include "store/migrations.h"

namespace beamline::store {
namespace {

bool Exists(const std::string& path) {
  struct stat ignored;
  return stat(path.c_str(), &ignored) == 0;
}

// Opening would create it.
absl::StatusOr<std::unique_ptr<Connection>> OpenExisting(const std::string& path) {
  if (!Exists(path)) return absl::NotFoundError(absl::StrCat(path, " does not exist"));
  return Connection::Open(path, Connection::Mode::kReadWrite);
}

std::string Folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

absl::Status CopyDatabase(const std::string& path, const std::string& copy) {
  {
    if (!Exists(path)) return absl::NotFoundError(absl::StrCat(path, " does not exist"));
    ASSIGN_OR_RETURN(const auto source, Connection::Open(path, Connection::Mode::kReadOnly));
    RETURN_IF_ERROR(source->Execute("VACUUM INTO ?1", copy).status());
  }
  ASSIGN_OR_RETURN(const auto target, Connection::Open(copy, Connection::Mode::kReadWrite));
  // Up to date first: what follows knows the newest schema.
  RETURN_IF_ERROR(Migrate(*target, Migrations()));
  RETURN_IF_ERROR(
      target->Script("BEGIN; DELETE FROM uploads; UPDATE workers SET session = ''; COMMIT;"
                     "PRAGMA wal_checkpoint(TRUNCATE);"));
  return SyncDirectory(Folder(copy));
}

absl::Status CheckDatabase(const std::string& path) {
  ASSIGN_OR_RETURN(const auto connection, OpenExisting(path));
  std::string wrong;
  for (const char* check : {"PRAGMA integrity_check", "PRAGMA foreign_key_check"}) {
    RETURN_IF_ERROR(connection->Query(check, [&](const Row& row) {
      if (wrong.empty() && row.Text(0) != "ok") wrong = absl::StrCat(check, ": ", A(row.Text(0)));
    }));
  }
  if (!wrong.empty()) return absl::DataLossError(absl::StrCat(path, " is damaged: ", wrong));
  return Migrate(*connection, Migrations());
}

absl::StatusOr<std::vector<v1::Blob>> ReferencedBlobs(const std::string& path) {
  ASSIGN_OR_RETURN(const auto connection, OpenExisting(path));
  std::vector<v1::Blob> blobs;
  RETURN_IF_ERROR(
      connection->Query("SELECT DISTINCT digest, size_bytes FROM blob_references ORDER BY digest",
                        [&](const Row& row) {
                          v1::Blob& blob = blobs.emplace_back();
                          blob.set_digest(std::string(row.Text(0)));
                          blob.set_size_bytes(row.Int(1));
                        }));
  return blobs;
}

}  // namespace beamline::store
