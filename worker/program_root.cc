#include "worker/program_root.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "worker/image_folder.h"

namespace beamline::worker {
namespace {

namespace fs = std::filesystem;

// Names in the root that are ours, whatever the image has there.
const std::set<std::string>& OwnNames() {
  static const std::set<std::string> kNames = {"proc", "dev", "sys", "tmp", kWorkInImage + 1};
  return kNames;
}
constexpr uint64_t kNoPrivileges = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr unsigned long kOwnMount = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr std::array kDevices = {"null", "zero", "full", "random", "urandom"};

absl::Status Cannot(std::string_view what, std::string_view path) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", A(what), " ", A(path), ": ", std::strerror(errno)));
}

// What is mounted at `path` and below, to be mounted once more, so far nowhere.
UniqueFd CopyOf(const std::string& path) {
  return UniqueFd(
      open_tree(AT_FDCWD, path.c_str(),
                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW));
}

// Mounts it with more of these attributes than it had, before anybody can see it.
absl::Status Attach(const UniqueFd& tree, const std::string& at, uint64_t attributes) {
  mount_attr change{};
  change.attr_set = attributes;
  if (!tree) return Cannot("copy the mount for", at);
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0) {
    return Cannot("set attributes of", at);
  }
  if (move_mount(tree.get(), "", AT_FDCWD, at.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return Cannot("mount", at);
  }
  return absl::OkStatus();
}

absl::Status MakeFolder(const std::string& path) {
  return mkdir(path.c_str(), 0755) == 0 ? absl::OkStatus() : Cannot("make", path);
}

absl::Status MakeFile(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  return fd ? absl::OkStatus() : Cannot("make", path);
}

absl::Status MakeLink(const std::string& target, const std::string& path) {
  return symlink(target.c_str(), path.c_str()) == 0 ? absl::OkStatus() : Cannot("make", path);
}

absl::Status SetReadOnly(const std::string& path) {
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_RDONLY;
  return mount_setattr(AT_FDCWD, path.c_str(), 0, &change, sizeof change) == 0
             ? absl::OkStatus()
             : Cannot("set attributes of", path);
}

// One entry of the image's root, at the same name in the new one.
absl::Status Show(const fs::path& from, const std::string& to) {
  struct stat info;
  if (lstat(from.c_str(), &info) != 0) return Cannot("read", from.string());
  if (S_ISLNK(info.st_mode)) {
    std::error_code error;
    const fs::path target = fs::read_symlink(from, error);
    return error ? Cannot("read", from.string()) : MakeLink(target.string(), to);
  }
  // What else there may be, nobody needs.
  if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) return absl::OkStatus();
  RETURN_IF_ERROR(S_ISDIR(info.st_mode) ? MakeFolder(to) : MakeFile(to));
  return Attach(CopyOf(from.string()), to, MOUNT_ATTR_RDONLY | kNoPrivileges);
}

absl::Status ShowImage(const std::string& image, const std::string& place) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(image, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot read ", image, ": ", error.message()));
  if (names.size() > kMaxRootEntries) {
    return absl::UnavailableError(
        absl::StrCat("the root of ", image, " has more than ", kMaxRootEntries, " entries"));
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (OwnNames().contains(name)) continue;
    RETURN_IF_ERROR(Show(fs::path(image) / name, absl::StrCat(place, "/", name)));
  }
  return absl::OkStatus();
}

absl::Status MakeDevices(const std::string& place, int64_t memory_bytes) {
  const std::string folder = place + "/dev";
  RETURN_IF_ERROR(MakeFolder(folder));
  for (const char* name : kDevices) {
    const std::string path = absl::StrCat(folder, "/", name);
    RETURN_IF_ERROR(MakeFile(path));
    RETURN_IF_ERROR(Attach(CopyOf(absl::StrCat("/dev/", name)), path,
                           MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  }
  RETURN_IF_ERROR(MakeLink("/proc/self/fd", folder + "/fd"));
  RETURN_IF_ERROR(MakeLink("/proc/self/fd/0", folder + "/stdin"));
  RETURN_IF_ERROR(MakeLink("/proc/self/fd/1", folder + "/stdout"));
  RETURN_IF_ERROR(MakeLink("/proc/self/fd/2", folder + "/stderr"));
  RETURN_IF_ERROR(MakeFolder(folder + "/shm"));
  const std::string size = absl::StrCat("mode=0700,size=", memory_bytes);
  if (mount("tmpfs", (folder + "/shm").c_str(), "tmpfs", kOwnMount, size.c_str()) != 0) {
    return Cannot("mount", "/dev/shm");
  }
  return absl::OkStatus();
}

absl::Status MakeSystem(const std::string& place) {
  RETURN_IF_ERROR(MakeFolder(place + "/proc"));
  if (mount("proc", (place + "/proc").c_str(), "proc", kOwnMount, nullptr) != 0) {
    return Cannot("mount", "/proc");
  }
  RETURN_IF_ERROR(MakeFolder(place + "/sys"));
  RETURN_IF_ERROR(MakeFolder(place + "/sys/devices"));
  RETURN_IF_ERROR(MakeFolder(place + "/sys/devices/system"));
  return Attach(CopyOf("/sys/devices/system"), place + "/sys/devices/system",
                MOUNT_ATTR_RDONLY | kNoPrivileges | MOUNT_ATTR_NOEXEC);
}

// The old root lies over the new one then, and is taken away.
absl::Status Pivot(const std::string& place) {
  if (chdir(place.c_str()) != 0) return Cannot("enter", place);
  if (syscall(SYS_pivot_root, ".", ".") != 0) return Cannot("make a root of", place);
  if (umount2(".", MNT_DETACH) != 0) return Cannot("leave", "the machine's root");
  return chdir("/") == 0 ? absl::OkStatus() : Cannot("enter", "/");
}

}  // namespace

absl::Status EnterProgramRoot(const ProgramRoot& root) {
  // The new root is put together over the work folder, whose own mount is kept for later.
  const std::string& place = root.work_folder;
  const UniqueFd work = CopyOf(root.work_folder);
  if (mount("tmpfs", place.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
            "mode=0755,size=1m,nr_inodes=4k") != 0) {
    return Cannot("mount", "a root");
  }
  RETURN_IF_ERROR(ShowImage(root.image, place));
  RETURN_IF_ERROR(MakeDevices(place, root.memory_bytes));
  RETURN_IF_ERROR(MakeSystem(place));
  RETURN_IF_ERROR(MakeLink(absl::StrCat(kWorkInImage + 1, "/tmp"), place + "/tmp"));
  RETURN_IF_ERROR(MakeFolder(place + kWorkInImage));
  RETURN_IF_ERROR(Attach(work, place + kWorkInImage, kNoPrivileges));
  RETURN_IF_ERROR(SetReadOnly(place));
  return Pivot(place);
}

}  // namespace beamline::worker
