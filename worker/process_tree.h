// What a process and those below it use.
#pragma once

#include <cstdint>
#include <string>

namespace beamline::worker {

struct TreeUse {
  int processes = 0;
  int threads = 0;
  // Memory that is theirs alone or was copied from a parent; not files, not shared memory.
  int64_t memory_bytes = 0;
  // Shared memory that they have mapped. Much of it is counted once; little by each that has it.
  int64_t shared_bytes = 0;
};

// Of all processes below `pid`, a name in /proc, without it. Stops counting above `most_processes`
// and `most_threads`. Those that end or start meanwhile may be left out.
TreeUse UseBelow(const std::string& pid, int most_processes, int most_threads);

// Whether all threads of all processes below `pid` are stopped by a signal or have ended.
bool AllStoppedBelow(const std::string& pid);

}  // namespace beamline::worker
