// The simulated disk. It stands between this process and the kernel: open, write, fsync, rename and
// their like of this program come here first (disk_calls.cc defines them in the C library's place),
// SQLite's included. Below one folder it knows what is durable: what was written and not synced, or
// named in a folder that was not synced, may be lost or torn when the power goes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/sim/world.h"

namespace beamline::sim {

// One at a time. Files below `folder` whose names end in -shm are memory, not disk.
class Disk {
 public:
  // Neither is owned. `folder` is an absolute path without links.
  Disk(World& world, std::string folder);
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // From now on all that would change the disk fails with EIO: the process that does it is dead,
  // and what it still does while it is taken apart must not count.
  void Freeze();
  // The same, by itself, when so many more changes have been made: a death in the middle of
  // anything.
  void FreezeAfter(int64_t changes);
  bool frozen() const;
  // The machine is there again: as it was, or after a loss of power, which takes what was not
  // synced.
  void Thaw(bool power_was_lost);

  // Nothing more can be written (ENOSPC), or nothing works (EIO), until told otherwise.
  void SetFull(bool full);
  void SetBroken(bool broken);
  // Each sync takes up to this long. Unit: milliseconds.
  void SetSyncMillis(int64_t millis);
};

}  // namespace beamline::sim
