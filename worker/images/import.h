// Images for programs: from an archive of one to a root file system that programs can have.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/images/root_writer.h"

namespace beamline::worker {

struct ImportedImage {
  // "sha256:...", of its manifest.
  std::string digest;
  // It was there already; nothing below is known then.
  bool was_there = false;
  int64_t bytes = 0;
  int64_t entries = 0;
  // Devices, pipes and sockets that were not made.
  int64_t left_out = 0;
};

// Unpacks `archive`, the image layout of the OCI in a tar (as `skopeo copy ... oci-archive:FILE`,
// `podman save --format oci-archive` and `docker save` of Docker 25 and later make it), into
// `folder` as image_folder.h says; makes the folder if it is not there. Every document and layer
// must have the digest by which it is named. The image appears when all of it is on the disk; on
// failure nothing stays. InvalidArgument if it is no such archive; ResourceExhausted beyond the
// limits, or if there are pipeline::kMaxImages; FailedPrecondition while another import into the
// folder is under way; NotFound or Internal if files cannot be read or written.
absl::StatusOr<ImportedImage> ImportImage(const std::string& archive, const std::string& folder,
                                          const ImageLimits& limits = {});

// Removes the image. NotFound if it is not there. Programs that run in it miss what they read next.
absl::Status RemoveImage(const std::string& folder, const std::string& digest);

}  // namespace beamline::worker
