// Tar archives, plain or compressed, entry by entry: libarchive behind our own errors. The only
// place that sees libarchive.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

struct archive;

namespace beamline::worker {

struct ArchiveEntry {
  enum Kind { kFile, kFolder, kLink, kHardLink, kOther };
  Kind kind = kOther;
  // As the archive has it: nothing of it is to be trusted.
  std::string name;
  // Of kLink what it holds; of kHardLink the name of another entry.
  std::string target;
  // Permission bits, those for other users' identities included.
  unsigned mode = 0;
  // Unit: seconds since 1970.
  int64_t changed_at = 0;
};

// Not thread-safe.
class ArchiveReader {
 public:
  // A tar archive (POSIX, GNU), as it is or in gzip or zstd. NotFound or Internal if the file
  // cannot be read; InvalidArgument if it is no such archive. Beyond `max_bytes` of it, as it is
  // when it is not compressed any more, Next and Read give ResourceExhausted, headers and what is
  // not read of a file included.
  static absl::StatusOr<std::unique_ptr<ArchiveReader>> Open(const std::string& path,
                                                             int64_t max_bytes);
  ~ArchiveReader();

  // On to the next entry; false at the end. InvalidArgument if the archive is damaged.
  absl::StatusOr<bool> Next();
  const ArchiveEntry& entry() const { return entry_; }
  // The next piece of a file's bytes, good until the next call; empty at its end. InvalidArgument
  // if the archive is damaged.
  absl::StatusOr<std::string_view> Read();
  // Of the archive so far, as it is when it is not compressed any more.
  int64_t expanded() const;

 private:
  ArchiveReader(std::string path, int64_t max_bytes, archive* reader);
  absl::Status Damaged() const;
  absl::Status CheckSize() const;
  absl::Status Skip();

  const std::string path_;
  const int64_t max_bytes_;
  archive* const reader_;
  ArchiveEntry entry_;
  bool in_entry_ = false;
  std::vector<char> buffer_;
};

}  // namespace beamline::worker
