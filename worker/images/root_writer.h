// Writes the layers of an image, one over the other, as a root file system.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "worker/images/archive_reader.h"

namespace beamline::worker {

// Bounds of an image; beyond them it is refused.
struct ImageLimits {
  // Of all its files, and of its archive's.
  int64_t bytes = int64_t{64} << 30;
  int64_t entries = 2'000'000;

  // Of an archive, and of all layers together, when they are not compressed any more: headers and
  // padding come to the bytes of the files.
  int64_t expanded_bytes() const { return bytes + 4096 * entries; }
};

// Nothing that an archive says leads out of the root: ".." is refused, links are followed as if the
// root were the machine's, and files are written where nothing was. Owners, extended attributes and
// the bits that change who somebody is (setuid, setgid) are not kept, nor are devices, pipes and
// sockets. Everybody may read all of it, only the owner may write. Not thread-safe.
class RootWriter {
 public:
  // `folder` exists, is empty, and nobody else changes it meanwhile.
  static absl::StatusOr<RootWriter> Open(const std::string& folder, const ImageLimits& limits);

  // The layer that is the archive at `path` over those before: first what it removes of them
  // (whiteouts of the OCI image specification), then what it adds. InvalidArgument if it is no such
  // layer or leads out of the root; ResourceExhausted beyond the limits; Internal if files cannot
  // be written. The root is unfinished then.
  absl::Status Apply(const std::string& path);

  int64_t bytes() const { return bytes_; }
  int64_t entries() const { return entries_; }
  // Devices, pipes and sockets that were not made.
  int64_t left_out() const { return left_out_; }

 private:
  RootWriter(UniqueFd root, const ImageLimits& limits) : root_(std::move(root)), limits_(limits) {}

  absl::Status CountEntry();
  absl::Status Remove(const ArchiveEntry& entry);
  absl::Status Add(ArchiveReader& reader);
  absl::StatusOr<UniqueFd> Parent(const std::string& folder);
  absl::StatusOr<UniqueFd> Folder(const std::string& path) const;
  absl::Status MakeFolder(int parent, const std::string& name, unsigned mode);
  absl::Status WriteFile(int parent, const std::string& name, ArchiveReader& reader);
  absl::Status MakeHardLink(int parent, const std::string& name, const ArchiveEntry& entry);

  UniqueFd root_;
  ImageLimits limits_;
  int64_t bytes_ = 0;
  int64_t entries_ = 0;
  int64_t left_out_ = 0;
  int64_t expanded_ = 0;  // of the layers so far
};

}  // namespace beamline::worker
