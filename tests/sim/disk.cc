#include "tests/sim/disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include "tests/sim/disk_state.h"

namespace beamline::sim {
namespace {

struct stat StatusOf(int fd) {
  struct stat status {};
  fstat(fd, &status);
  return status;
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

// What stands there. The descriptor may be for writing only; files that SQLite locks are not, and
// must not be closed, which would end its locks.
std::string ReadBack(int fd, const std::string& path, off_t offset, size_t size) {
  std::string bytes(size, '\0');
  ssize_t got = pread(fd, bytes.data(), size, offset);
  if (got < 0) {
    const int reading = real().openat(AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC);
    got = pread(reading, bytes.data(), size, offset);
    close(reading);
  }
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return bytes;
}

std::unique_ptr<DiskState> the_disk;

}  // namespace

DiskState* DiskAt(std::string_view path) {
  return the_disk != nullptr && the_disk->Covers(path) ? the_disk.get() : nullptr;
}

DiskState::DiskState(World& world, std::string folder)
    : world_(world), folder_(std::move(folder)), aside_(folder_ + ".aside") {
  mkdir(aside_.c_str(), 0700);
}

bool DiskState::Covers(std::string_view path) const {
  return path.starts_with(folder_) && path.substr(folder_.size()).starts_with("/") &&
         !path.ends_with("-shm");
}

bool DiskState::May(bool grows) {
  if (fuse_ > 0 && --fuse_ == 0) frozen_ = true;
  if (frozen_ || broken_) {
    errno = EIO;
    return false;
  }
  if (full_ && grows) {
    errno = ENOSPC;
    return false;
  }
  return true;
}

int DiskState::Stamp(int fd) {
  const timespec now = absl::ToTimespec(world_.Now());
  const timespec times[2] = {now, now};
  return real().futimens(fd, times);
}

void DiskState::Made(int fd, const std::string& path) {
  Stamp(fd);
  namings_.push_back({.kind = Naming::kMade, .path = path, .was = "", .kept = ""});
}

void DiskState::Note(Change change, int fd, const std::string& path) {
  const ino_t inode = StatusOf(fd).st_ino;
  changes_[inode].push_back(std::move(change));
  paths_[inode] = path;
}

ssize_t DiskState::Write(int fd, const std::string& path, const void* data, size_t size,
                         off_t offset) {
  if (!May(true)) return -1;
  Change change{.truncation = false,
                .offset = offset,
                .bytes = std::string(static_cast<const char*>(data), size),
                .before = ReadBack(fd, path, offset, size),
                .size_before = StatusOf(fd).st_size};
  const ssize_t written = real().pwrite(fd, data, size, offset);
  if (written < 0) return written;
  change.bytes.resize(static_cast<size_t>(written));
  Stamp(fd);
  Note(std::move(change), fd, path);
  return written;
}

int DiskState::Truncate(int fd, const std::string& path, off_t size) {
  const off_t before = StatusOf(fd).st_size;
  if (!May(size > before)) return -1;
  Change change{
      .truncation = true,
      .offset = size,
      .bytes = "",
      .before = size < before ? ReadBack(fd, path, size, static_cast<size_t>(before - size)) : "",
      .size_before = before};
  if (const int result = real().ftruncate(fd, size); result != 0) return result;
  Note(std::move(change), fd, path);
  return 0;
}

int DiskState::Sync(int fd, const std::string& path) {
  if (!May(false)) return -1;
  if (sync_ms_ > 0) world_.Pass(world_.Between(0, sync_ms_));
  const struct stat status = StatusOf(fd);
  if (S_ISDIR(status.st_mode)) {
    std::erase_if(namings_, [&](const Naming& naming) { return FolderOf(naming.path) == path; });
  } else {
    changes_.erase(status.st_ino);
  }
  return 0;
}

int DiskState::Rename(const std::string& from, const std::string& to) {
  if (!May(false)) return -1;
  std::string kept = KeepAside(to);
  if (const int result = real().rename(from.c_str(), to.c_str()); result != 0) return result;
  for (auto& [inode, path] : paths_) {
    if (path == from) path = to;
  }
  namings_.push_back({.kind = Naming::kMoved, .path = to, .was = from, .kept = std::move(kept)});
  return 0;
}

int DiskState::Unlink(const std::string& path) {
  if (!May(false)) return -1;
  std::string kept = KeepAside(path);
  if (const int result = real().unlinkat(AT_FDCWD, path.c_str(), 0); result != 0) return result;
  namings_.push_back({.kind = Naming::kRemoved, .path = path, .was = "", .kept = std::move(kept)});
  return 0;
}

std::string DiskState::KeepAside(const std::string& path) {
  std::string kept = aside_ + "/" + std::to_string(++kept_);
  return link(path.c_str(), kept.c_str()) == 0 ? kept : "";
}

void DiskState::Undo(const Naming& naming) {
  if (naming.kind == Naming::kMade) real().unlinkat(AT_FDCWD, naming.path.c_str(), 0);
  if (naming.kind == Naming::kMoved) real().rename(naming.path.c_str(), naming.was.c_str());
  if (!naming.kept.empty()) real().rename(naming.kept.c_str(), naming.path.c_str());
}

void DiskState::Thaw(bool power_was_lost) {
  frozen_ = false;
  fuse_ = 0;
  if (!power_was_lost) return;
  for (const auto& [inode, changes] : changes_) LoseWrites(paths_[inode], changes);
  changes_.clear();
  paths_.clear();
  // Names are lost from some moment on: file systems keep their order.
  const size_t kept = world_.Below(namings_.size() + 1);
  while (namings_.size() > kept) {
    Undo(namings_.back());
    namings_.pop_back();
    world_.Count(Fault::kWriteLost);
  }
  namings_.clear();
}

void DiskState::LoseWrites(const std::string& path, const std::vector<Change>& changes) {
  const int fd = real().openat(AT_FDCWD, path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    real().pwrite(fd, change->before.data(), change->before.size(), change->offset);
    real().ftruncate(fd, change->size_before);
  }
  const double kept = std::array{0.0, 0.5, 0.9, 1.0}[world_.Below(4)];
  for (const Change& change : changes) {
    if (!world_.Chance(kept)) {
      world_.Count(Fault::kWriteLost);
      continue;
    }
    size_t size = change.bytes.size();
    if (size > 0 && world_.Chance(0.1)) {
      constexpr size_t kSector = 512;
      size = world_.Below(size / kSector + 1) * kSector;
      world_.Count(Fault::kWriteTorn);
    }
    if (change.truncation) {
      real().ftruncate(fd, change.offset);
    } else {
      real().pwrite(fd, change.bytes.data(), size, change.offset);
    }
  }
  close(fd);
}

Disk::Disk(World& world, std::string folder) {
  the_disk = std::make_unique<DiskState>(world, std::move(folder));
}
Disk::~Disk() { the_disk.reset(); }
void Disk::Freeze() { the_disk->Freeze(); }
void Disk::FreezeAfter(int64_t changes) { the_disk->FreezeAfter(changes); }
bool Disk::frozen() const { return the_disk->frozen(); }
void Disk::Thaw(bool power_was_lost) { the_disk->Thaw(power_was_lost); }
void Disk::SetFull(bool full) { the_disk->SetFull(full); }
void Disk::SetBroken(bool broken) { the_disk->SetBroken(broken); }
void Disk::SetSyncMillis(int64_t millis) { the_disk->SetSyncMillis(millis); }

}  // namespace beamline::sim
