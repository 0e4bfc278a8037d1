// The files of uploads under way: uploads/U.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"

namespace beamline::store {

// The file of one upload, open for writing. Movable; not thread-safe. One writer per upload: who
// opens it twice gets the bytes mixed.
class UploadFile {
 public:
  // Bytes below this are what an earlier Sync made durable, or what was written since.
  int64_t size_bytes() const { return size_bytes_; }
  // ResourceExhausted if the disk is full.
  absl::Status Append(std::string_view bytes);
  absl::Status Sync();

 private:
  friend class UploadFiles;
  UploadFile(UniqueFd fd, int64_t size_bytes) : fd_(std::move(fd)), size_bytes_(size_bytes) {}
  UniqueFd fd_;
  int64_t size_bytes_;
};

// Thread-safe. Ids are those of NewId: safe as file names.
class UploadFiles {
 public:
  // Creates the folder if needed.
  static absl::StatusOr<UploadFiles> Open(const std::string& folder);

  // Opens the file, made if it is not there, cut to `size_bytes`: what lies behind was never
  // acknowledged. DataLoss if it is shorter than that.
  absl::StatusOr<UploadFile> OpenForAppending(std::string_view upload, int64_t size_bytes) const;

  std::string PathOf(std::string_view upload) const;
  // Succeeds if there is none.
  absl::Status Remove(std::string_view upload) const;
  // Ids of all files there are.
  absl::StatusOr<std::vector<std::string>> List() const;

 private:
  explicit UploadFiles(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace beamline::store
