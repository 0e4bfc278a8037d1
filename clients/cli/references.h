// How users name things on the command line, turned into resource names.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "beamline/v1/project.pb.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

// A resource name, an id, the first 4 or more digits of one, or a display name.
// NotFound: no such dataset. UsageError: several; the message lists them.
absl::StatusOr<std::string> ResolveDataset(Invocation& invocation, std::string_view text);

// A resource name or an id; empty or "latest" is the newest run of the project.
absl::StatusOr<std::string> ResolveRun(Invocation& invocation, std::string_view text);

// A resource name, "NAME" (the latest version), "NAME/VERSION" or "NAME/production".
absl::StatusOr<std::string> ResolveModel(Invocation& invocation, std::string_view text);

// Of "viewer", "editor" or "admin". UsageError for any other word.
absl::StatusOr<v1::Role> ParseRole(std::string_view word);

// "users/U" from U.
std::string UserName(std::string_view text);

}  // namespace beamline::cli
