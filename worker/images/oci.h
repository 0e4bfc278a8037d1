// What the documents of an OCI image say (github.com/opencontainers/image-spec), as far as a root
// file system needs it. All of them are somebody else's words: nothing is taken without a look.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace beamline::worker {

// Of a document or a layer: "sha256:" and 64 hexadecimal digits. No other digests are taken.
using OciDigest = std::string;
// The bytes of a document of that digest, which they have. NotFound if it is not there.
using OciDocuments = std::function<absl::StatusOr<std::string>(const OciDigest& digest)>;

struct OciImage {
  // Of its manifest: the image's name.
  OciDigest digest;
  // Archives, the lowest first.
  std::vector<OciDigest> layers;
  // "NAME=VALUE".
  std::vector<std::string> environment;
};

// The one image for this machine that index.json leads to, by way of further indexes. `machine`: as
// such documents name it, "amd64". InvalidArgument if there is none or are several, or a document
// is not what it should be.
absl::StatusOr<OciImage> ReadOciImage(std::string_view index, std::string_view machine,
                                      const OciDocuments& documents);

// This machine's name; empty if none is known.
std::string OciMachine();

}  // namespace beamline::worker
