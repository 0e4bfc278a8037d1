// Files, with errors as absl::Status whose message names the path.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline {

// The whole file. NotFound if it does not exist, ResourceExhausted if it is larger than
// `max_bytes`, Internal for any other failure.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes = size_t{1} << 30);

// Durable and atomic: written to a temporary name beside `path`, synced, renamed, folder synced.
// On failure `path` is what it was. `mode`: permission bits of the new file.
absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes, int mode = 0644);

// Makes a directory entry (a rename, a new file) durable.
absl::Status SyncDirectory(const std::string& path);

// A file descriptor that closes itself. Movable; not thread-safe.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release();
  void Reset();

 private:
  int fd_ = -1;
};

// Writes all of `bytes` at the descriptor's position, through short writes and EINTR.
absl::Status WriteFully(int fd, std::string_view bytes);

// A fresh folder under $TMPDIR or /tmp, removed with all it holds when the object goes.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace beamline
