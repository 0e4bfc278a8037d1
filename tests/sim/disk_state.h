// What the simulated disk knows. Between disk.cc, which the simulation uses, and disk_calls.cc,
// which stands in the place of the C library's calls.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/world.h"

namespace beamline::sim {

// The C library's own functions.
struct RealCalls {
  int (*openat)(int, const char*, int, ...);
  ssize_t (*write)(int, const void*, size_t);
  ssize_t (*pwrite)(int, const void*, size_t, off_t);
  int (*ftruncate)(int, off_t);
  int (*fsync)(int);
  int (*rename)(const char*, const char*);
  int (*unlinkat)(int, const char*, int);
  int (*futimens)(int, const timespec*);
};
const RealCalls& real();

// Thread-safe by `mutex`, which callers hold.
class DiskState {
 public:
  DiskState(World& world, std::string folder);

  bool Covers(std::string_view path) const;

  // ---- What the process does: as the calls of these names ----
  // Whether something that changes the disk may begin; errno says why not. `grows`: it needs room.
  bool May(bool grows);
  // A file has been made.
  void Made(int fd, const std::string& path);
  // It counts as changed now, in the world's time.
  int Stamp(int fd);
  ssize_t Write(int fd, const std::string& path, const void* data, size_t size, off_t offset);
  int Truncate(int fd, const std::string& path, off_t size);
  int Sync(int fd, const std::string& path);
  int Rename(const std::string& from, const std::string& to);
  int Unlink(const std::string& path);

  // ---- What the simulation does: see Disk ----
  void Freeze() { frozen_ = true; }
  void FreezeAfter(int64_t changes) { fuse_ = changes; }
  bool frozen() const { return frozen_; }
  void Thaw(bool power_was_lost);
  void SetFull(bool full) { full_ = full; }
  void SetBroken(bool broken) { broken_ = broken; }
  void SetSyncMillis(int64_t millis) { sync_ms_ = millis; }

  std::recursive_mutex mutex;

 private:
  // A write or a truncation that was not synced.
  struct Change {
    bool truncation = false;
    off_t offset = 0;
    std::string bytes;
    // What was there before, and how long the file was.
    std::string before;
    off_t size_before = 0;
  };
  // What happened to a name in a folder that was not synced since.
  struct Naming {
    enum Kind { kMade, kMoved, kRemoved };
    Kind kind = kMade;
    std::string path;
    // Of one that was moved: where it was.
    std::string was;
    // What the name stood for before, kept aside; empty: nothing.
    std::string kept;
  };

  std::string KeepAside(const std::string& path);
  void Note(Change change, int fd, const std::string& path);
  static void Undo(const Naming& naming);
  // Of the changes since the last sync any may have reached the disk, and any not.
  void LoseWrites(const std::string& path, const std::vector<Change>& changes);

  World& world_;
  const std::string folder_;
  const std::string aside_;
  int kept_ = 0;
  bool frozen_ = false;
  // Changes until it freezes; 0: it does not.
  int64_t fuse_ = 0;
  bool full_ = false;
  bool broken_ = false;
  int64_t sync_ms_ = 0;
  // By inode.
  std::map<ino_t, std::vector<Change>> changes_;
  std::map<ino_t, std::string> paths_;
  std::vector<Naming> namings_;
};

// The disk that covers `path`, or null.
DiskState* DiskAt(std::string_view path);

}  // namespace beamline::sim
