// Bytes by digest, in the folder blobs/ab/ab12...: whole, checked and durable, or not there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/file.h"
#include "beamline/v1/common.pb.h"

namespace beamline::store {

// A blob that is open. Reading is thread-safe.
class BlobReader {
 public:
  int64_t size_bytes() const { return size_bytes_; }
  // At most `max_bytes` from `offset` on; empty at the end. OutOfRange if `offset` lies beyond it.
  absl::StatusOr<std::string> ReadAt(int64_t offset, size_t max_bytes) const;

 private:
  friend class BlobStore;
  BlobReader(UniqueFd fd, int64_t size_bytes) : fd_(std::move(fd)), size_bytes_(size_bytes) {}
  UniqueFd fd_;
  int64_t size_bytes_;
};

// A blob on its way in, in a file of its own; that is removed when the object goes without Finish.
// Movable; not thread-safe.
class BlobWriter {
 public:
  BlobWriter(BlobWriter&&) noexcept = default;
  BlobWriter& operator=(BlobWriter&&) = delete;
  ~BlobWriter();

  // ResourceExhausted if the disk is full.
  absl::Status Append(std::string_view bytes);
  int64_t size_bytes() const { return size_bytes_; }
  // Makes the blob durable and visible. DataLoss if its digest is not `expected_digest` (any, if
  // that is empty); nothing is kept then.
  absl::StatusOr<v1::Blob> Finish(std::string_view expected_digest);

 private:
  friend class BlobStore;
  BlobWriter(std::string folder, std::string path, UniqueFd fd)
      : folder_(std::move(folder)), path_(std::move(path)), fd_(std::move(fd)) {}
  std::string folder_;
  std::string path_;
  UniqueFd fd_;
  Sha256 digest_;
  int64_t size_bytes_ = 0;
};

// Thread-safe; several writers of the same blob do not disturb each other.
class BlobStore {
 public:
  // Creates the folder if needed, and removes what writers that died have left in it. No other
  // process may use the folder.
  static absl::StatusOr<BlobStore> Open(const std::string& folder);

  // For reading only, beside the server whose folder it is. Creates and removes nothing.
  static BlobStore Beside(const std::string& folder) { return BlobStore(folder); }

  // Every method that takes a digest: InvalidArgument if it is none, NotFound if there is no such
  // blob.
  absl::StatusOr<v1::Blob> Stat(std::string_view digest) const;
  // As Stat, and the blob counts as new from now on: it stays for whoever is about to refer to it.
  absl::StatusOr<v1::Blob> Renew(std::string_view digest) const;
  absl::StatusOr<BlobReader> OpenForReading(std::string_view digest) const;
  // Where its bytes are, for readers that map files. Never write there.
  absl::StatusOr<std::string> PathOf(std::string_view digest) const;

  absl::StatusOr<BlobWriter> Create() const;

  // Makes the file at `path`, which must be on the same file system, a blob: it is read to find
  // its digest, synced and moved. DataLoss if the digest is not `expected_digest` (any, if that is
  // empty); the file then stays where it is.
  absl::StatusOr<v1::Blob> Adopt(const std::string& path, std::string_view expected_digest) const;

  // Blobs that were written or renewed before, by the file system's clock, in no order.
  absl::StatusOr<std::vector<std::string>> ListOld(absl::Time before) const;
  // Removes the blob, unless it was renewed since: its size then. 0: it is gone or renewed.
  absl::StatusOr<int64_t> RemoveOld(std::string_view digest, absl::Time before) const;

  // A name inside the store for a file that is to be adopted. Gone after a restart.
  std::string TemporaryPath() const;

 private:
  explicit BlobStore(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace beamline::store
