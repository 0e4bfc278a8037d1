#include "server/backup.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "server/folder_lock.h"
#include "store/backup.h"
#include "store/blob_store.h"

namespace beamline::server {
namespace {

namespace fs = std::filesystem;

constexpr char kDatabase[] = "/beamline.db";
// The database of a backup that is not complete yet.
constexpr char kUnfinished[] = "/beamline.db.new";
constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kMaxKeyBytes = 1 << 20;

bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

absl::Status CopyBlob(const store::BlobStore& from, const store::BlobStore& to,
                      const v1::Blob& blob) {
  ASSIGN_OR_RETURN(const store::BlobReader reader, from.OpenForReading(blob.digest()));
  ASSIGN_OR_RETURN(store::BlobWriter writer, to.Create());
  for (int64_t offset = 0; offset < reader.size_bytes();) {
    ASSIGN_OR_RETURN(const std::string chunk, reader.ReadAt(offset, kChunkBytes));
    RETURN_IF_ERROR(writer.Append(chunk));
    offset += static_cast<int64_t>(chunk.size());
  }
  return writer.Finish(blob.digest()).status();
}

// Those of `blobs` that `to` does not have.
absl::StatusOr<CopyReport> CopyBlobs(const std::vector<v1::Blob>& blobs,
                                     const store::BlobStore& from, const store::BlobStore& to,
                                     CopyProgress progress) {
  CopyReport report;
  const auto all = static_cast<int64_t>(blobs.size());
  for (const v1::Blob& blob : blobs) {
    const auto present = to.Stat(blob.digest());
    if (!present.ok() || present->size_bytes() != blob.size_bytes()) {
      progress(report.blobs, all);
      if (absl::Status copied = CopyBlob(from, to, blob); !copied.ok()) {
        return absl::Status(absl::IsNotFound(copied) ? absl::StatusCode::kDataLoss : copied.code(),
                            absl::StrCat("blob ", blob.digest(), ": ", copied.message()));
      }
      ++report.copied;
      report.copied_bytes += blob.size_bytes();
    }
    ++report.blobs;
  }
  progress(all, all);
  return report;
}

// Keys and certificates: without them workers and clients would not know the server again.
absl::Status CopyTls(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::create_directories(to + "/tls", error);
  fs::permissions(to + "/tls", fs::perms::owner_all, error);
  fs::directory_iterator listed(from + "/tls", error);
  for (const fs::directory_iterator end; !error && listed != end; listed.increment(error)) {
    const fs::directory_entry& entry = *listed;
    if (!entry.is_regular_file(error)) continue;
    ASSIGN_OR_RETURN(const std::string bytes, ReadFile(entry.path().string(), kMaxKeyBytes));
    const auto mode = static_cast<int>(entry.status().permissions() & fs::perms::mask);
    RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(to, "/tls/", entry.path().filename().string()),
                                        bytes, mode));
  }
  if (error)
    return absl::InternalError(absl::StrCat("cannot copy ", from, "/tls: ", error.message()));
  return absl::OkStatus();
}

// What a call that was killed has left.
void RemoveUnfinished(const std::string& folder) {
  std::error_code ignored;
  for (const char* end : {"", "-wal", "-shm", "-journal"}) {
    fs::remove(absl::StrCat(folder, kUnfinished, end), ignored);
  }
}

// From then on the folder holds what was copied.
absl::Status PutInPlace(const std::string& folder) {
  const std::string from = folder + kUnfinished;
  const std::string to = folder + kDatabase;
  // Of those who have read the one before.
  std::error_code ignored;
  for (const char* end : {"-wal", "-shm"}) fs::remove(to + end, ignored);
  if (std::rename(from.c_str(), to.c_str()) != 0) {
    return absl::InternalError(absl::StrCat("cannot rename ", from, ": ", std::strerror(errno)));
  }
  return SyncDirectory(folder);
}

// Copies everything; the database last.
absl::StatusOr<CopyReport> CopyState(const std::string& from, const std::string& to, bool check,
                                     CopyProgress progress) {
  RemoveUnfinished(to);
  const std::string database = to + kUnfinished;
  RETURN_IF_ERROR(store::CopyDatabase(from + kDatabase, database));
  if (check) RETURN_IF_ERROR(store::CheckDatabase(database));
  ASSIGN_OR_RETURN(const std::vector<v1::Blob> blobs, store::ReferencedBlobs(database));
  ASSIGN_OR_RETURN(const store::BlobStore target, store::BlobStore::Open(to + "/blobs"));
  ASSIGN_OR_RETURN(const CopyReport report,
                   CopyBlobs(blobs, store::BlobStore::Beside(from + "/blobs"), target, progress));
  RETURN_IF_ERROR(CopyTls(from, to));
  RETURN_IF_ERROR(PutInPlace(to));
  return report;
}

}  // namespace

absl::StatusOr<CopyReport> Backup(const std::string& state, const std::string& to,
                                  CopyProgress progress) {
  if (!Exists(state + kDatabase)) {
    return absl::NotFoundError(absl::StrCat(state, " is no state folder: it has no beamline.db"));
  }
  std::error_code ignored;
  if (fs::equivalent(state, to, ignored)) {
    return absl::InvalidArgumentError("a backup goes to another folder");
  }
  ASSIGN_OR_RETURN(const UniqueFd lock, LockFolder(to));
  if (Exists(to + kDatabase) && !Exists(to + kBackupMark)) {
    return absl::FailedPreconditionError(
        absl::StrCat(to, " is the state folder of a server: choose another one for backups"));
  }
  RETURN_IF_ERROR(WriteFileAtomically(to + kBackupMark, "A backup of beamlined.\n", 0600));
  // The server may remove a blob that the copy of its database still refers to: the next copy does
  // not.
  constexpr int kTries = 3;
  absl::StatusOr<CopyReport> report = CopyState(state, to, /*check=*/false, progress);
  for (int i = 1; i < kTries && absl::IsDataLoss(report.status()); ++i) {
    report = CopyState(state, to, /*check=*/false, progress);
  }
  return report;
}

absl::StatusOr<CopyReport> Restore(const std::string& from, const std::string& state,
                                   CopyProgress progress) {
  if (!Exists(from + kDatabase)) {
    return absl::NotFoundError(absl::StrCat(from, " is no backup: it has no beamline.db"));
  }
  ASSIGN_OR_RETURN(const UniqueFd lock, LockFolder(state));
  ASSIGN_OR_RETURN(const UniqueFd source_lock, LockFolder(from));
  if (Exists(state + kDatabase)) {
    return absl::FailedPreconditionError(
        absl::StrCat(state, " has a database already: restore into an empty folder"));
  }
  return CopyState(from, state, /*check=*/true, progress);
}

}  // namespace beamline::server
