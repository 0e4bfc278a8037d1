// Keeping what a process has in its memory to itself: keys and tokens.
#pragma once

namespace beamline {

// No core file of this process or of those that it starts, whatever the limits were.
void ForbidCoreFiles();

// Besides, no other process of the same user may read this one's memory or environment, or trace
// it. Its entries in /proc then belong to root: not for processes that need /proc/self/fd.
void KeepMemoryPrivate();

}  // namespace beamline
