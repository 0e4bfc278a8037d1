// What keeps a task away from everything but its own work. Applied by beamline-task to itself
// before it reads any data: in two parts, so that an idle process can be kept ready.
//
// A machine gives what it can: containers often deny namespaces, old kernels have no Landlock. What
// is missing is never an error; it is found out once per worker, logged and shown in
// Worker.confinement.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace beamline::worker {

// What a task may use.
struct ConfinementLimits {
  // Its current folder, the only place where it may write.
  std::string work_folder;
  // Files that it may read, beside the system's libraries.
  std::vector<std::string> readable_files;
  // Private memory. Unit: bytes. 0: no limit.
  int64_t memory_bytes = 0;
  // Largest file that it may write. Unit: bytes.
  int64_t file_bytes = int64_t{64} << 30;
  int open_files = 256;
  // Beyond these it can make no threads (where a user namespace makes that countable).
  int threads = 256;
  // Whether it may use the GPUs that its environment names: the driver's device files, more memory
  // and threads for the driver's library, names for its threads, local sockets that lead nowhere.
  bool gpus = false;
  // Whether it is a program of the user's: it may start others, and its own files, and reads more
  // of the system. What they send signals to is only ever their own.
  bool program = false;
  // Of a program: it has a namespace of processes, a /proc that shows only these, a /dev/shm.
  bool own_processes = false;
  bool own_proc = false;
  bool own_shared_memory = false;
  // Of a program: its root file system is that of an image, in which it may read everything.
  bool own_root = false;
  // Of a program: all but its own folder is mounted read-only. Else changing modes, owners, times
  // and attributes of files by path, which Landlock does not know of, is denied everywhere.
  bool read_only_system = false;
};

// What was applied and what was not, in words: "seccomp", "no network namespace: not permitted".
using ConfinementReport = std::vector<std::string>;

// The line of a machine that can show programs the root file system of an image.
inline constexpr char kProgramsInImages[] = "programs in images";

// First part, at the start of the process, before any thread: own session, death with the parent,
// no core dumps, no new privileges, namespaces for users, network and System V IPC.
ConfinementReport EnterSandbox();

// Second part, when the task is known: limits, Landlock, no capabilities, and a seccomp filter that
// denies sockets, new processes, tracing, mounting, keys, modules and the like with EPERM. Threads
// made afterwards inherit it all. Internal if the work folder cannot be entered.
absl::Status ConfineToWork(const ConfinementLimits& limits, ConfinementReport& report);

// The version of Landlock that the kernel has; below 1 if none.
long LandlockVersion();

// The parts of ConfineToWork; each appends one line to the report.
void RestrictFiles(const ConfinementLimits& limits, ConfinementReport& report);  // Landlock
void DropCapabilities(ConfinementReport& report);
void FilterSystemCalls(const ConfinementLimits& limits, ConfinementReport& report);  // seccomp

}  // namespace beamline::worker
