// A server's blobs, in memory.
#pragma once

#include <unistd.h>

#include <map>
#include <mutex>
#include <string>

#include "base/digest.h"
#include "worker/server_link.h"

namespace beamline::worker {

// Thread-safe.
class MemoryBlobs : public BlobLink {
 public:
  absl::Status ReadBlob(const AttemptId&, const std::string& digest, int64_t offset,
                        const Sink& sink, Cancellation&) override {
    std::lock_guard lock(mutex_);
    const auto found = blobs_.find(digest);
    if (found == blobs_.end()) return absl::NotFoundError("no such blob");
    return sink(std::string_view(found->second).substr(offset));
  }
  absl::Status WriteBlob(const AttemptId&, const v1::Blob& blob, int fd, Cancellation&) override {
    std::string bytes(blob.size_bytes(), '\0');
    if (pread(fd, bytes.data(), bytes.size(), 0) != blob.size_bytes() ||
        Sha256Hex(bytes) != blob.digest()) {
      return absl::DataLossError("other bytes");
    }
    std::lock_guard lock(mutex_);
    blobs_[blob.digest()] = bytes;
    return absl::OkStatus();
  }
  v1::Blob Put(const std::string& bytes) {
    std::lock_guard lock(mutex_);
    v1::Blob blob;
    blob.set_digest(Sha256Hex(bytes));
    blob.set_size_bytes(static_cast<int64_t>(bytes.size()));
    blobs_[blob.digest()] = bytes;
    return blob;
  }
  std::string Bytes(const v1::Blob& blob) {
    std::lock_guard lock(mutex_);
    return blobs_.count(blob.digest()) > 0 ? blobs_[blob.digest()] : "(absent)";
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> blobs_;
};

}  // namespace beamline::worker
