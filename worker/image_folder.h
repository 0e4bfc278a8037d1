// Root file systems for programs of the user's, as a worker keeps them. In a folder of the
// operator's, for the image "sha256:HEX":
//   sha256-HEX/rootfs/      the root file system; programs see it read-only
//   sha256-HEX/environment  optional: "NAME=VALUE" of the image's own, each with a zero byte behind
// `beamline-worker image import` makes them (images/import.h); so may an operator.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "pipeline/programs.h"

namespace beamline::worker {

struct Image {
  // An absolute path; empty: the machine's own root.
  std::string root;
  std::vector<std::string> environment;
};

// In the root folder of an image.
inline constexpr size_t kMaxRootEntries = 1000;

// "sha256-HEX" of "sha256:HEX"; empty if that is no digest.
std::string ImageFolderName(std::string_view digest);

// The image of that digest in `folder`. NotFound if there is none; Internal if its environment
// cannot be read.
absl::StatusOr<Image> FindImage(const std::string& folder, std::string_view digest);

// Digests of all in `folder`, ascending; none if there is no such folder.
std::vector<std::string> ListImages(const std::string& folder);

}  // namespace beamline::worker
