// Gives back the disk space of what was deleted.
#pragma once

#include <functional>

#include "server/api/context.h"

namespace beamline::server {

// Looks for blobs that are older than limits.blob_lifetime and that nothing refers to, and has the
// coordinator remove them, some at a time. Not on the coordinator's thread: it lists all blobs.
void RemoveUnusedBlobs(const ApiContext& context);

}  // namespace beamline::server
