#include "worker/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace beamline::worker {
namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

// With all rights for the owner. nullptr, with errno, if it is no folder or cannot be opened.
Folder OpenFolder(int parent, const char* name) {
  const UniqueFd place(openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!place) return {nullptr, closedir};
  // A descriptor that is only a place leads to the folder itself, whatever its mode.
  chmod(absl::StrCat("/proc/self/fd/", place.get()).c_str(), 0700);
  const int fd = openat(place.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return {nullptr, closedir};
  Folder folder(fdopendir(fd), closedir);
  if (folder == nullptr) close(fd);
  return folder;
}

// Empties a folder. Folders that hold something move up into it, where they are emptied in turn:
// so none is ever further down than its own entries.
class Emptier {
 public:
  explicit Emptier(DIR* top) : top_(top) {}

  // Whether all went.
  bool Run() {
    // Those that moved up may not be seen before the next time.
    do {
      changes_ = 0;
      left_ = 0;
      ForEach(top_, [this](const char* name) { RemoveFromTop(name); });
    } while (left_ > 0 && changes_ > 0);
    return left_ == 0;
  }
  // Of what was left, the last one.
  int error() const { return error_; }

 private:
  template <typename Body>
  static void ForEach(DIR* folder, const Body& body) {
    rewinddir(folder);
    while (const dirent* entry = readdir(folder)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") body(entry->d_name);
    }
  }

  // Whether it was a file, or a folder without entries, and is gone; else errno says why not.
  bool RemoveSimple(int folder, const char* name) {
    bool gone = unlinkat(folder, name, 0) == 0;
    if (!gone) {
      const int why = errno;
      gone = unlinkat(folder, name, AT_REMOVEDIR) == 0;
      if (!gone && errno == ENOTDIR) errno = why;
    }
    changes_ += gone ? 1 : 0;
    return gone;
  }

  void Leave() {
    error_ = errno;
    ++left_;
  }

  void RemoveFromTop(const char* name) {
    const int top = dirfd(top_);
    if (RemoveSimple(top, name)) return;
    const int why = errno;
    const Folder folder = OpenFolder(top, name);
    if (folder == nullptr) {
      if (errno == ENOTDIR || errno == ELOOP) errno = why;
      return Leave();
    }
    ForEach(folder.get(), [&](const char* child) { RemoveBelow(dirfd(folder.get()), child); });
    if (!RemoveSimple(top, name)) Leave();
  }

  void RemoveBelow(int folder, const char* name) {
    if (RemoveSimple(folder, name)) return;
    // A folder moves only if it may be written to.
    if (OpenFolder(folder, name) == nullptr) return;
    while (renameat2(folder, name, dirfd(top_), absl::StrCat("moved-", next_).c_str(),
                     RENAME_NOREPLACE) != 0) {
      if (errno != EEXIST) return;
      ++next_;
    }
    ++next_;
    ++changes_;
    // It is there for the next time at the latest.
    ++left_;
  }

  DIR* const top_;
  uint64_t next_ = 0;
  // Of one time: what went or moved, and what may still be there.
  int64_t changes_ = 0;
  int64_t left_ = 0;
  int error_ = 0;
};

}  // namespace

absl::Status RemoveTree(const std::string& path) {
  if (unlink(path.c_str()) == 0 || rmdir(path.c_str()) == 0 || errno == ENOENT) {
    return absl::OkStatus();
  }
  const auto failed = [&](int error) {
    return absl::InternalError(absl::StrCat("cannot remove ", path, ": ", std::strerror(error)));
  };
  const Folder top = OpenFolder(AT_FDCWD, path.c_str());
  if (top == nullptr) return failed(errno);
  Emptier emptier(top.get());
  if (!emptier.Run()) return failed(emptier.error());
  return rmdir(path.c_str()) == 0 ? absl::OkStatus() : failed(errno);
}

}  // namespace beamline::worker
