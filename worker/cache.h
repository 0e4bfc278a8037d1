// Datasets, models and checkpoints on the worker's disk, by digest.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::worker {

// A folder of files named by the SHA-256 of their content, bounded in size; what was used least
// recently goes first, and nothing goes that somebody holds. A download has a temporary name until
// its digest is found right. Files that were there before the start are checked at first use.
// Thread-safe; one process per folder (the daemon's state lock sees to that).
class BlobCache {
  struct Token {
    explicit Token() = default;
  };

 public:
  // For Open only.
  BlobCache(Token, std::string folder, int64_t max_bytes);
  // Makes the folder if needed, removes unfinished downloads and files that are no blobs.
  static absl::StatusOr<std::unique_ptr<BlobCache>> Open(const std::string& folder,
                                                         int64_t max_bytes);
  ~BlobCache();

  // Keeps a blob in the cache while it lives; the cache must live longer. Not thread-safe.
  class Pin {
   public:
    Pin() = default;
    Pin(Pin&& other) noexcept;
    Pin& operator=(Pin&& other) noexcept;
    ~Pin();
    // The file, for reading only.
    const std::string& path() const { return path_; }

   private:
    friend class BlobCache;
    Pin(BlobCache* cache, std::string digest, std::string path);
    BlobCache* cache_ = nullptr;
    std::string digest_;
    std::string path_;
  };

  // Gets the blob's bytes by calling the sink with them in order.
  using Sink = std::function<absl::Status(std::string_view bytes)>;
  using Fetch = std::function<absl::Status(const Sink& sink)>;

  // The blob, from the disk or else by `fetch`. Callers that want the same blob share one download;
  // if that fails, one of those who wait tries with its own `fetch`.
  // DataLoss: the bytes have another digest or size. ResourceExhausted: larger than the cache, or
  // the rest is in use, or the disk is full. Otherwise what `fetch` returned. On failure nothing is
  // left behind.
  absl::StatusOr<Pin> Get(const std::string& digest, int64_t size_bytes, const Fetch& fetch);

  // Takes a file on the same file system into the cache, by renaming it, where it fits. The caller
  // vouches for digest and size. Failing to do so is no error: then the file stays where it is.
  void Adopt(const std::string& path, const std::string& digest, int64_t size_bytes);

  // What is there, most recently used first.
  std::vector<std::string> Digests(size_t max_count) const;
  // Unit: bytes.
  int64_t SizeBytes() const;

 private:
  struct Entry {
    int64_t size_bytes = 0;
    int pins = 0;
    // Somebody is downloading or checking it.
    bool busy = false;
    // Its content was checked in this process.
    bool checked = false;
    // Where in recent_.
    std::list<std::string>::iterator position;
  };

  absl::Status Load();
  std::string PathOf(const std::string& digest) const { return folder_ + "/" + digest; }
  absl::Status Check(const std::string& digest, int64_t size_bytes) const;
  absl::Status Download(const std::string& digest, int64_t size_bytes, const Fetch& fetch) const;
  absl::Status MakeRoom(int64_t size_bytes);
  void Insert(const std::string& digest, int64_t size_bytes);
  void Erase(const std::string& digest);
  void Unpin(const std::string& digest);

  const std::string folder_;
  const int64_t max_bytes_;

  mutable std::mutex mutex_;
  std::condition_variable settled_;
  // Guarded by mutex_. Entries that are busy have their size reserved.
  std::map<std::string, Entry> entries_;
  // Most recently used first.
  std::list<std::string> recent_;
  int64_t size_bytes_ = 0;
};

}  // namespace beamline::worker
