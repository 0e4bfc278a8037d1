#include "store/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace beamline::store {
namespace {

absl::Status ErrnoStatus(std::string_view doing, const std::string& path) {
  const int error = errno;
  const std::string message =
      absl::StrCat("cannot ", A(doing), " ", path, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

std::string TemporaryFolder(const std::string& folder) { return folder + "/tmp"; }

std::string NewTemporaryPath(const std::string& folder) {
  static std::atomic<int64_t> next = 0;
  return absl::StrCat(TemporaryFolder(folder), "/", next.fetch_add(1));
}

absl::StatusOr<std::string> FinalPath(const std::string& folder, std::string_view digest) {
  if (!IsSha256Hex(digest)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", A(digest.substr(0, 80)), "\" is no digest: 64 lower-case hexadecimal digits"));
  }
  return absl::StrCat(folder, "/", A(digest.substr(0, 2)), "/", A(digest));
}

// The last steps of every write: sync, move, sync the folder. `temporary` is complete.
absl::Status MoveIn(const std::string& folder, const std::string& temporary, int fd,
                    std::string_view digest) {
  if (fsync(fd) != 0) return ErrnoStatus("sync", temporary);
  ASSIGN_OR_RETURN(const std::string path, FinalPath(folder, digest));
  const std::string parent = absl::StrCat(folder, "/", A(digest.substr(0, 2)));
  if (mkdir(parent.c_str(), 0755) == 0) {
    RETURN_IF_ERROR(SyncDirectory(folder));
  } else if (errno != EEXIST) {
    return ErrnoStatus("create", parent);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus("rename to", path);
  return SyncDirectory(parent);
}

absl::Status CheckDigest(std::string_view actual, std::string_view expected) {
  if (expected.empty() || actual == expected) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the bytes have the digest ", A(actual), ", not ",
                                          A(expected), ": they were damaged on the way"));
}

bool IsOld(const struct stat& info, absl::Time before) {
  return absl::TimeFromTimespec(info.st_mtim) < before;
}

v1::Blob MakeBlob(std::string digest, int64_t size_bytes) {
  v1::Blob blob;
  blob.set_digest(std::move(digest));
  blob.set_size_bytes(size_bytes);
  return blob;
}

}  // namespace

absl::StatusOr<std::string> BlobReader::ReadAt(int64_t offset, size_t max_bytes) const {
  if (offset < 0 || offset > size_bytes_) {
    return absl::OutOfRangeError(
        absl::StrCat("offset ", offset, " lies beyond the end at ", size_bytes_));
  }
  std::string bytes(std::min<size_t>(max_bytes, static_cast<size_t>(size_bytes_ - offset)), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = pread(fd_.get(), bytes.data() + done, bytes.size() - done,
                              offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus("read", "a blob");
    if (got == 0) return absl::DataLossError("a blob has become shorter: check the disk");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

BlobWriter::~BlobWriter() {
  if (fd_) unlink(path_.c_str());
}

absl::Status BlobWriter::Append(std::string_view bytes) {
  RETURN_IF_ERROR(WriteFully(fd_.get(), bytes));
  digest_.Update(bytes);
  size_bytes_ += static_cast<int64_t>(bytes.size());
  return absl::OkStatus();
}

absl::StatusOr<v1::Blob> BlobWriter::Finish(std::string_view expected_digest) {
  const std::string digest = digest_.Hex();
  RETURN_IF_ERROR(CheckDigest(digest, expected_digest));
  RETURN_IF_ERROR(MoveIn(folder_, path_, fd_.get(), digest));
  fd_.Reset();
  return MakeBlob(digest, size_bytes_);
}

absl::StatusOr<BlobStore> BlobStore::Open(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove_all(TemporaryFolder(folder), error);
  if (!error) std::filesystem::create_directories(TemporaryFolder(folder), error);
  if (error) {
    return absl::InternalError(
        absl::StrCat("cannot prepare the folder ", folder, ": ", error.message()));
  }
  RETURN_IF_ERROR(SyncDirectory(folder));
  return BlobStore(folder);
}

absl::StatusOr<v1::Blob> BlobStore::Stat(std::string_view digest) const {
  ASSIGN_OR_RETURN(const std::string path, PathOf(digest));
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus("find", path);
  return MakeBlob(std::string(digest), info.st_size);
}

absl::StatusOr<v1::Blob> BlobStore::Renew(std::string_view digest) const {
  ASSIGN_OR_RETURN(const std::string path, FinalPath(folder_, digest));
  if (utimensat(AT_FDCWD, path.c_str(), nullptr, 0) != 0) return ErrnoStatus("find", path);
  return Stat(digest);
}

absl::StatusOr<std::vector<std::string>> BlobStore::ListOld(absl::Time before) const {
  std::vector<std::string> digests;
  std::error_code error;
  using std::filesystem::recursive_directory_iterator;
  recursive_directory_iterator entry(
      folder_, std::filesystem::directory_options::skip_permission_denied, error);
  for (const recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    struct stat info;
    if (!IsSha256Hex(name) || stat(entry->path().c_str(), &info) != 0) continue;
    if (IsOld(info, before)) digests.push_back(name);
  }
  if (error) {
    return absl::InternalError(absl::StrCat("cannot list ", folder_, ": ", error.message()));
  }
  return digests;
}

absl::StatusOr<int64_t> BlobStore::RemoveOld(std::string_view digest, absl::Time before) const {
  ASSIGN_OR_RETURN(const std::string path, FinalPath(folder_, digest));
  struct stat seen;
  if (stat(path.c_str(), &seen) != 0 || !IsOld(seen, before)) return 0;
  // Out of sight first: whoever wants to renew it from now on finds nothing, and writes it anew.
  const std::string aside = TemporaryPath();
  if (rename(path.c_str(), aside.c_str()) != 0) {
    return errno == ENOENT ? absl::StatusOr<int64_t>(0) : ErrnoStatus("remove", path);
  }
  struct stat info;
  if (stat(aside.c_str(), &info) != 0) return ErrnoStatus("find", aside);
  if (!IsOld(info, before)) {
    if (rename(aside.c_str(), path.c_str()) != 0) return ErrnoStatus("rename to", path);
    return 0;
  }
  if (unlink(aside.c_str()) != 0) return ErrnoStatus("remove", aside);
  return info.st_size;
}

absl::StatusOr<BlobReader> BlobStore::OpenForReading(std::string_view digest) const {
  ASSIGN_OR_RETURN(const std::string path, PathOf(digest));
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0) return ErrnoStatus("open", path);
  return BlobReader(std::move(fd), info.st_size);
}

absl::StatusOr<std::string> BlobStore::PathOf(std::string_view digest) const {
  ASSIGN_OR_RETURN(std::string path, FinalPath(folder_, digest));
  if (access(path.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("blob ", A(digest), " does not exist"));
  }
  return path;
}

absl::StatusOr<BlobWriter> BlobStore::Create() const {
  const std::string path = TemporaryPath();
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!fd) return ErrnoStatus("create", path);
  return BlobWriter(folder_, path, std::move(fd));
}

absl::StatusOr<v1::Blob> BlobStore::Adopt(const std::string& path,
                                          std::string_view expected_digest) const {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoStatus("open", path);
  ASSIGN_OR_RETURN(std::string digest, Sha256HexOfFile(path));
  RETURN_IF_ERROR(CheckDigest(digest, expected_digest));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus("stat", path);
  if (fchmod(fd.get(), 0444) != 0) return ErrnoStatus("protect", path);
  // New from now on, however long it took to arrive.
  if (futimens(fd.get(), nullptr) != 0) return ErrnoStatus("touch", path);
  RETURN_IF_ERROR(MoveIn(folder_, path, fd.get(), digest));
  return MakeBlob(std::move(digest), info.st_size);
}

std::string BlobStore::TemporaryPath() const { return NewTemporaryPath(folder_); }

}  // namespace beamline::store
