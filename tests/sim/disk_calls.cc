// The calls of the C library that change files, in its place: those on files of the simulated disk
// go there, all others to the library. Libraries that this program uses (SQLite, the C++ library)
// come here too.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <string>

#include "tests/sim/disk_state.h"

namespace beamline::sim {
namespace {

template <class Function>
void Find(Function*& function, const char* name) {
  function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string PathOf(int fd) {
  char path[4096];
  const ssize_t size =
      readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path - 1);
  return size < 0 ? "" : std::string(path, static_cast<size_t>(size));
}

std::string Absolute(int folder, const char* path) {
  return path[0] == '/' || folder == AT_FDCWD ? path : PathOf(folder) + "/" + path;
}

int Open(int folder, const char* name, int flags, mode_t mode) {
  const std::string path = Absolute(folder, name);
  DiskState* const disk = DiskAt(path);
  if (disk == nullptr) return real().openat(folder, name, flags, mode);
  const std::lock_guard lock(disk->mutex);
  const bool exists = access(path.c_str(), F_OK) == 0;
  const bool makes = (flags & O_CREAT) != 0 && !exists;
  const bool empties = (flags & O_TRUNC) != 0 && exists;
  if ((makes || empties) && !disk->May(makes)) return -1;
  const int fd = real().openat(folder, name, flags & ~O_TRUNC, mode);
  if (fd >= 0 && makes) disk->Made(fd, path);
  if (fd >= 0 && empties) disk->Truncate(fd, path, 0);
  return fd;
}

ssize_t Write(int fd, const void* data, size_t size) {
  const std::string path = PathOf(fd);
  DiskState* const disk = DiskAt(path);
  if (disk == nullptr) return real().write(fd, data, size);
  const std::lock_guard lock(disk->mutex);
  const bool appends = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
  const off_t offset = lseek(fd, 0, appends ? SEEK_END : SEEK_CUR);
  const ssize_t written = disk->Write(fd, path, data, size, offset);
  if (written > 0) lseek(fd, offset + written, SEEK_SET);
  return written;
}

ssize_t WriteAt(int fd, const void* data, size_t size, off_t offset) {
  const std::string path = PathOf(fd);
  DiskState* const disk = DiskAt(path);
  if (disk == nullptr) return real().pwrite(fd, data, size, offset);
  const std::lock_guard lock(disk->mutex);
  return disk->Write(fd, path, data, size, offset);
}

int Truncate(int fd, off_t size) {
  const std::string path = PathOf(fd);
  DiskState* const disk = DiskAt(path);
  if (disk == nullptr) return real().ftruncate(fd, size);
  const std::lock_guard lock(disk->mutex);
  return disk->Truncate(fd, path, size);
}

int Sync(int fd) {
  const std::string path = PathOf(fd);
  // The folder itself is on the disk, too.
  DiskState* const disk = DiskAt(path + "/");
  if (disk == nullptr) return real().fsync(fd);
  const std::lock_guard lock(disk->mutex);
  return disk->Sync(fd, path);
}

int Remove(int folder, const char* name, int flags) {
  const std::string path = Absolute(folder, name);
  DiskState* const disk = DiskAt(path);
  if (disk == nullptr || (flags & AT_REMOVEDIR) != 0) return real().unlinkat(folder, name, flags);
  const std::lock_guard lock(disk->mutex);
  return disk->Unlink(path);
}

}  // namespace

const RealCalls& real() {
  static const RealCalls calls = [] {
    RealCalls found{};
    Find(found.openat, "openat");
    Find(found.write, "write");
    Find(found.pwrite, "pwrite");
    Find(found.ftruncate, "ftruncate");
    Find(found.fsync, "fsync");
    Find(found.rename, "rename");
    Find(found.unlinkat, "unlinkat");
    Find(found.futimens, "futimens");
    return found;
  }();
  return calls;
}

}  // namespace beamline::sim

namespace sim = beamline::sim;

namespace {
mode_t ModeOf(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}
}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return sim::Open(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return sim::Open(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return sim::Open(folder, path, flags, mode);
}
ssize_t write(int fd, const void* data, size_t size) { return sim::Write(fd, data, size); }
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return sim::WriteAt(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return sim::WriteAt(fd, data, size, offset);
}
int ftruncate(int fd, off_t size) noexcept { return sim::Truncate(fd, size); }
int ftruncate64(int fd, off64_t size) noexcept { return sim::Truncate(fd, size); }
int fsync(int fd) { return sim::Sync(fd); }
int fdatasync(int fd) { return sim::Sync(fd); }
int unlink(const char* path) noexcept { return sim::Remove(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char* path, int flags) noexcept {
  return sim::Remove(folder, path, flags);
}
int remove(const char* path) noexcept {
  struct stat status {};
  const bool folder = lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
  return sim::Remove(AT_FDCWD, path, folder ? AT_REMOVEDIR : 0);
}
int futimens(int fd, const timespec times[2]) noexcept {
  sim::DiskState* const disk = sim::DiskAt(sim::PathOf(fd));
  if (disk == nullptr || times != nullptr) return sim::real().futimens(fd, times);
  const std::lock_guard lock(disk->mutex);
  return disk->May(false) ? disk->Stamp(fd) : -1;
}
int utimensat(int folder, const char* path, const timespec times[2], int /*flags*/) noexcept {
  const int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const int result = futimens(fd, times);
  close(fd);
  return result;
}
int rename(const char* from, const char* to) noexcept {
  sim::DiskState* const disk = sim::DiskAt(to);
  if (disk == nullptr) return sim::real().rename(from, to);
  const std::lock_guard lock(disk->mutex);
  return disk->Rename(from, to);
}

}  // extern "C"
