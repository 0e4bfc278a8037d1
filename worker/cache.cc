#include "worker/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace beamline::worker {
namespace {

constexpr char kPartialSuffix[] = ".partial";

absl::Status ErrnoStatus(const std::string& what) {
  const int error = errno;
  const std::string message = absl::StrCat("cannot ", what, ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

}  // namespace

// ---- Pin ----

BlobCache::Pin::Pin(BlobCache* cache, std::string digest, std::string path)
    : cache_(cache), digest_(std::move(digest)), path_(std::move(path)) {}

BlobCache::Pin::Pin(Pin&& other) noexcept
    : cache_(std::exchange(other.cache_, nullptr)),
      digest_(std::move(other.digest_)),
      path_(std::move(other.path_)) {}

BlobCache::Pin& BlobCache::Pin::operator=(Pin&& other) noexcept {
  std::swap(cache_, other.cache_);
  std::swap(digest_, other.digest_);
  std::swap(path_, other.path_);
  return *this;
}

BlobCache::Pin::~Pin() {
  if (cache_ != nullptr) cache_->Unpin(digest_);
}

// ---- The folder ----

BlobCache::BlobCache(Token, std::string folder, int64_t max_bytes)
    : folder_(std::move(folder)), max_bytes_(max_bytes) {}

BlobCache::~BlobCache() = default;

absl::StatusOr<std::unique_ptr<BlobCache>> BlobCache::Open(const std::string& folder,
                                                           int64_t max_bytes) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(absl::StrCat("make the cache folder ", folder));
  }
  auto cache = std::make_unique<BlobCache>(Token(), folder, max_bytes);
  RETURN_IF_ERROR(cache->Load());
  return cache;
}

absl::Status BlobCache::Load() {
  std::error_code error;
  std::filesystem::directory_iterator files(folder_, error);
  if (error)
    return absl::InternalError(absl::StrCat("cannot list ", folder_, ": ", error.message()));
  // Oldest first: (time of the last use, digest, size).
  std::vector<std::tuple<int64_t, std::string, int64_t>> found;
  for (const auto& file : files) {
    const std::string name = file.path().filename().string();
    struct stat info;
    const bool whole =
        IsSha256Hex(name) && lstat(file.path().c_str(), &info) == 0 && S_ISREG(info.st_mode);
    if (whole) {
      found.emplace_back(info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, name,
                         info.st_size);
    } else {
      std::filesystem::remove_all(file.path(), error);
    }
  }
  std::sort(found.begin(), found.end());
  std::lock_guard lock(mutex_);
  for (const auto& [used, digest, size_bytes] : found) Insert(digest, size_bytes);
  return MakeRoom(0);
}

// ---- Entries; the lock is held ----

void BlobCache::Insert(const std::string& digest, int64_t size_bytes) {
  recent_.push_front(digest);
  entries_[digest] = Entry{.size_bytes = size_bytes,
                           .pins = 0,
                           .busy = false,
                           .checked = false,
                           .position = recent_.begin()};
  size_bytes_ += size_bytes;
}

void BlobCache::Erase(const std::string& digest) {
  const auto found = entries_.find(digest);
  size_bytes_ -= found->second.size_bytes;
  recent_.erase(found->second.position);
  entries_.erase(found);
  unlink(PathOf(digest).c_str());
}

absl::Status BlobCache::MakeRoom(int64_t size_bytes) {
  if (size_bytes > max_bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the data has ", size_bytes, " bytes, more than the whole cache of ",
                     max_bytes_, ": start the worker with a larger --cache"));
  }
  auto next = recent_.end();
  while (size_bytes_ + size_bytes > max_bytes_ && next != recent_.begin()) {
    const std::string digest = *--next;
    const Entry& entry = entries_.at(digest);
    if (entry.pins > 0 || entry.busy) continue;
    ++next;
    Erase(digest);
  }
  if (size_bytes_ + size_bytes <= max_bytes_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the cache of ", max_bytes_, " bytes is full of what running tasks use: start the worker ",
      "with a larger --cache"));
}

void BlobCache::Unpin(const std::string& digest) {
  std::lock_guard lock(mutex_);
  --entries_.at(digest).pins;
}

// ---- Getting ----

absl::StatusOr<BlobCache::Pin> BlobCache::Get(const std::string& digest, int64_t size_bytes,
                                              const Fetch& fetch) {
  if (!IsSha256Hex(digest)) return absl::InvalidArgumentError("no SHA-256 digest: " + digest);
  std::unique_lock lock(mutex_);
  settled_.wait(lock, [&] { return !entries_.contains(digest) || !entries_.at(digest).busy; });
  if (!entries_.contains(digest)) {
    RETURN_IF_ERROR(MakeRoom(size_bytes));
    Insert(digest, size_bytes);
  }
  // References to map entries stay good; a busy entry is erased by nobody else.
  Entry& entry = entries_.at(digest);
  if (entry.checked && entry.size_bytes != size_bytes) {
    return absl::DataLossError(absl::StrCat(digest, " has ", entry.size_bytes,
                                            " bytes, but is said to have ", size_bytes));
  }
  const bool there = entry.checked || access(PathOf(digest).c_str(), F_OK) == 0;
  if (!entry.checked) {
    entry.busy = true;
    lock.unlock();
    absl::Status status = absl::NotFoundError("");
    if (there) status = Check(digest, size_bytes);
    if (absl::IsDataLoss(status)) log::Warning("cache: %s; fetching it again", status.message());
    if (!status.ok()) status = Download(digest, size_bytes, fetch);
    lock.lock();
    entry.busy = false;
    settled_.notify_all();
    if (!status.ok()) {
      Erase(digest);
      return status;
    }
    entry.checked = true;
    size_bytes_ += size_bytes - entry.size_bytes;
    entry.size_bytes = size_bytes;
  }
  ++entry.pins;
  recent_.splice(recent_.begin(), recent_, entry.position);
  // Remembers the order of use over a restart.
  utimensat(AT_FDCWD, PathOf(digest).c_str(), nullptr, 0);
  return Pin(this, digest, PathOf(digest));
}

absl::Status BlobCache::Check(const std::string& digest, int64_t size_bytes) const {
  const std::string path = PathOf(digest);
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus("stat " + path);
  if (info.st_size != size_bytes) {
    return absl::DataLossError(
        absl::StrCat(digest, " has ", info.st_size, " bytes instead of ", size_bytes));
  }
  ASSIGN_OR_RETURN(const std::string found, Sha256HexOfFile(path));
  if (found == digest) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(digest, " holds other bytes, of digest ", found));
}

absl::Status BlobCache::Download(const std::string& digest, int64_t size_bytes,
                                 const Fetch& fetch) const {
  const std::string path = PathOf(digest);
  const std::string partial = path + kPartialSuffix;
  UniqueFd fd(open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444));
  if (!fd) return ErrnoStatus("create " + partial);
  Sha256 hash;
  int64_t received = 0;
  absl::Status status = fetch([&](std::string_view bytes) -> absl::Status {
    received += static_cast<int64_t>(bytes.size());
    if (received > size_bytes) {
      return absl::DataLossError(absl::StrCat(digest, " is longer than ", size_bytes, " bytes"));
    }
    hash.Update(bytes);
    absl::Status written = WriteFully(fd.get(), bytes);
    if (!written.ok()) return ErrnoStatus("write " + partial);
    return absl::OkStatus();
  });
  if (status.ok() && (received != size_bytes || hash.Hex() != digest)) {
    status = absl::DataLossError(absl::StrCat("got ", received, " bytes of digest ", hash.Hex(),
                                              " instead of ", size_bytes, " of ", digest));
  }
  if (status.ok() && rename(partial.c_str(), path.c_str()) != 0)
    status = ErrnoStatus("rename " + partial);
  if (!status.ok()) unlink(partial.c_str());
  return status;
}

void BlobCache::Adopt(const std::string& path, const std::string& digest, int64_t size_bytes) {
  std::lock_guard lock(mutex_);
  if (!IsSha256Hex(digest) || entries_.contains(digest) || !MakeRoom(size_bytes).ok()) return;
  if (chmod(path.c_str(), 0444) != 0 || rename(path.c_str(), PathOf(digest).c_str()) != 0) return;
  Insert(digest, size_bytes);
}

std::vector<std::string> BlobCache::Digests(size_t max_count) const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> digests;
  for (const std::string& digest : recent_) {
    if (digests.size() == max_count) break;
    if (!entries_.at(digest).busy) digests.push_back(digest);
  }
  return digests;
}

int64_t BlobCache::SizeBytes() const {
  std::lock_guard lock(mutex_);
  return size_bytes_;
}

}  // namespace beamline::worker
