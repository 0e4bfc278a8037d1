// Removing what a program that nobody trusts has left.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace beamline::worker {

// Removes `path` and all below it; OK if there is nothing. Needs a few descriptors and no path
// longer than `path`'s, however deep the folders lie in each other. Folders that may not be read
// are made readable. No link is followed. Internal if something cannot be removed: all else is, but
// folders may lie elsewhere below `path` then. What others make there meanwhile may stay.
absl::Status RemoveTree(const std::string& path);

}  // namespace beamline::worker
