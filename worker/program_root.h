// A root file system of their own for programs: that of an image, and nothing of the machine's.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace beamline::worker {

// Where programs of an image find their work folder.
inline constexpr char kWorkInImage[] = "/beamline";

struct ProgramRoot {
  // The image's root file system.
  std::string image;
  // The programs' work folder.
  std::string work_folder;
  // Bound of /dev/shm. Unit: bytes.
  int64_t memory_bytes = 0;
};

// Makes this process see another root, in which there are
//   what is in the image, read-only; but for the names below
//   /proc              of this process's own namespace, read-only
//   /dev               null, zero, full, random, urandom, shm (empty, its own), fd and the like
//   /sys/devices/system  the machine's processors and memory, read-only
//   /tmp               a link to the work folder's tmp
//   /beamline          the work folder: beside /dev/shm all that can be written to
// Nothing of it may be a device, or change who somebody is, but what /dev has. All mounts that the
// process had are gone from its view. To be called in namespaces of mounts and of processes of its
// own, whose mounts are private, by a process that may mount there, before any thread and any
// program. Unavailable, with what this machine does not let, on failure: the process is good for
// nothing then.
absl::Status EnterProgramRoot(const ProgramRoot& root);

}  // namespace beamline::worker
