// The file of "beamlined --issuers FILE": whose tokens are taken besides the server's own.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "beamline/v1/issuers.pb.h"

namespace beamline::server {

// The fields of v1.Issuers in YAML or JSON, by the rules of definitions (pipeline/yaml.h).
// InvalidArgument, with every error at once, each with its line where that is known; NotFound or
// Internal if the file cannot be read.
absl::StatusOr<v1::Issuers> ReadIssuers(const std::string& file);

}  // namespace beamline::server
