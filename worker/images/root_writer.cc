#include "worker/images/root_writer.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "worker/remove_tree.h"

namespace beamline::worker {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kWhiteoutMeta = ".wh..wh.";
// Everybody reads, only the owner writes; whoever may enter or run it, may.
constexpr unsigned kKept = 0755;
// Parts of a path, its own name included.
constexpr int kMaxDepth = 256;

// Where an entry goes: the folder, as a path below the root ("" is the root), and a name in it.
struct Place {
  std::string folder;
  std::string name;
  // It tells of layers below, or lies in such a folder: nothing that the image has.
  bool whiteout = false;
};

absl::Status Cannot(std::string_view what, const std::string& name) {
  const std::string message =
      absl::StrCat("cannot ", A(what), " \"", name, "\" of the image: ", std::strerror(errno));
  return errno == ENOSPC || errno == EDQUOT ? absl::ResourceExhaustedError(message)
                                            : absl::InternalError(message);
}

// An empty name: the root itself.
absl::StatusOr<Place> PlaceOf(const std::string& name) {
  Place place;
  int depth = 0;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(name, '/'))) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return absl::InvalidArgumentError(
          absl::StrCat("the image has an entry \"", name, "\", which leads out of its root"));
    }
    if (++depth > kMaxDepth) {
      return absl::InvalidArgumentError(
          absl::StrCat("the image has an entry \"", name.substr(0, 100),
                       "...\", which lies deeper than ", kMaxDepth, " folders"));
    }
    if (!place.name.empty())
      absl::StrAppend(&place.folder, place.folder.empty() ? "" : "/", place.name);
    place.name = part;
    place.whiteout = place.whiteout || std::string_view(part).starts_with(kWhiteout);
  }
  return place;
}

// Below `root` as if that were the machine's root, links included.
int OpenBelow(int root, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(
      syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how));
}

absl::Status RemoveIn(int parent, const std::string& name) {
  if (unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  return RemoveTree(absl::StrCat("/proc/self/fd/", parent, "/", name));
}

absl::Status RemoveAllIn(int parent) {
  const std::string folder = absl::StrCat("/proc/self/fd/", parent, "/");
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) return absl::InternalError(absl::StrCat("cannot read a folder: ", error.message()));
  for (const std::string& name : names) RETURN_IF_ERROR(RemoveIn(parent, name));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RootWriter> RootWriter::Open(const std::string& folder, const ImageLimits& limits) {
  UniqueFd root(open(folder.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) return Cannot("open the folder", folder);
  return RootWriter(std::move(root), limits);
}

absl::Status RootWriter::CountEntry() {
  if (++entries_ <= limits_.entries) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the image has more than ", limits_.entries, " entries"));
}

absl::Status RootWriter::Apply(const std::string& path) {
  const int64_t left = limits_.expanded_bytes() - expanded_;
  for (const bool removes : {true, false}) {
    ASSIGN_OR_RETURN(const auto reader, ArchiveReader::Open(path, left));
    while (true) {
      ASSIGN_OR_RETURN(const bool more, reader->Next());
      if (!more) break;
      if (removes) RETURN_IF_ERROR(CountEntry());
      RETURN_IF_ERROR(removes ? Remove(reader->entry()) : Add(*reader));
    }
    if (removes) expanded_ += reader->expanded();
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> RootWriter::Folder(const std::string& path) const {
  UniqueFd folder(OpenBelow(root_.get(), path, O_PATH | O_DIRECTORY));
  if (folder) return folder;
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
    return absl::NotFoundError(absl::StrCat("the image has no folder \"", path, "\""));
  }
  return Cannot("open", path);
}

// The folder, made if it is not there, with those that it lies in.
absl::StatusOr<UniqueFd> RootWriter::Parent(const std::string& folder) {
  absl::StatusOr<UniqueFd> there = Folder(folder);
  if (there.ok() || !absl::IsNotFound(there.status())) return there;
  std::string path;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(folder, '/'))) {
    const std::string below = absl::StrCat(path, path.empty() ? "" : "/", part);
    if (!Folder(below).ok()) {
      RETURN_IF_ERROR(CountEntry());
      ASSIGN_OR_RETURN(const UniqueFd parent, Folder(path));
      RETURN_IF_ERROR(MakeFolder(parent.get(), part, kKept));
    }
    path = below;
  }
  return Folder(folder);
}

absl::Status RootWriter::Remove(const ArchiveEntry& entry) {
  const absl::StatusOr<Place> place = PlaceOf(entry.name);
  RETURN_IF_ERROR(place.status());
  const std::string_view name = place->name;
  if (!name.starts_with(kWhiteout)) return absl::OkStatus();
  const std::string gone(name.substr(kWhiteout.size()));
  if (gone == "." || gone == "..") {
    return absl::InvalidArgumentError(
        absl::StrCat("the image removes \"", entry.name, "\", which leads out of its root"));
  }
  const absl::StatusOr<UniqueFd> folder = Folder(place->folder);
  // Of something that no layer before has.
  if (absl::IsNotFound(folder.status())) return absl::OkStatus();
  RETURN_IF_ERROR(folder.status());
  if (name == kOpaque) return RemoveAllIn(folder->get());
  if (name.starts_with(kWhiteoutMeta) || gone.empty()) return absl::OkStatus();
  return RemoveIn(folder->get(), gone);
}

absl::Status RootWriter::Add(ArchiveReader& reader) {
  const ArchiveEntry& entry = reader.entry();
  ASSIGN_OR_RETURN(const Place place, PlaceOf(entry.name));
  if (place.name.empty() || place.whiteout) return absl::OkStatus();
  if (entry.kind == ArchiveEntry::kOther) {
    ++left_out_;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const UniqueFd parent, Parent(place.folder));
  if (entry.kind == ArchiveEntry::kFolder) return MakeFolder(parent.get(), place.name, entry.mode);
  // First of all: it may be a link to what lies at its place.
  if (entry.kind == ArchiveEntry::kHardLink) return MakeHardLink(parent.get(), place.name, entry);
  RETURN_IF_ERROR(RemoveIn(parent.get(), place.name));
  if (entry.kind == ArchiveEntry::kFile) return WriteFile(parent.get(), place.name, reader);
  if (symlinkat(entry.target.c_str(), parent.get(), place.name.c_str()) != 0) {
    return Cannot("make the link", entry.name);
  }
  return absl::OkStatus();
}

absl::Status RootWriter::MakeFolder(int parent, const std::string& name, unsigned mode) {
  struct stat info;
  const bool there = fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
  if (!there || !S_ISDIR(info.st_mode)) {
    RETURN_IF_ERROR(RemoveIn(parent, name));
    if (mkdirat(parent, name.c_str(), 0700) != 0) return Cannot("make the folder", name);
  }
  const UniqueFd folder(
      openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder || fchmod(folder.get(), (mode & kKept) | 0755) != 0)
    return Cannot("make the folder", name);
  return absl::OkStatus();
}

absl::Status RootWriter::WriteFile(int parent, const std::string& name, ArchiveReader& reader) {
  const UniqueFd file(
      openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return Cannot("make the file", name);
  while (true) {
    ASSIGN_OR_RETURN(const std::string_view bytes, reader.Read());
    if (bytes.empty()) break;
    bytes_ += static_cast<int64_t>(bytes.size());
    if (bytes_ > limits_.bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the files of the image take more than ", limits_.bytes >> 20, " MiB"));
    }
    RETURN_IF_ERROR(WriteFully(file.get(), bytes));
  }
  // Interpreters compare times of files with what they have compiled of them.
  const timespec times[] = {{.tv_sec = reader.entry().changed_at, .tv_nsec = 0},
                            {.tv_sec = reader.entry().changed_at, .tv_nsec = 0}};
  futimens(file.get(), times);
  if (fchmod(file.get(), (reader.entry().mode & kKept) | 0644) != 0)
    return Cannot("make the file", name);
  return absl::OkStatus();
}

absl::Status RootWriter::MakeHardLink(int parent, const std::string& name,
                                      const ArchiveEntry& entry) {
  ASSIGN_OR_RETURN(const Place from, PlaceOf(entry.target));
  ASSIGN_OR_RETURN(const UniqueFd folder, Folder(from.folder));
  struct stat info;
  struct stat here;
  if (fstatat(folder.get(), from.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("the image has a link \"", entry.name,
                                                   "\" to \"", entry.target,
                                                   "\", which is no file of it"));
  }
  const bool there = fstatat(parent, name.c_str(), &here, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && here.st_ino == info.st_ino && here.st_dev == info.st_dev) return absl::OkStatus();
  RETURN_IF_ERROR(RemoveIn(parent, name));
  if (linkat(folder.get(), from.name.c_str(), parent, name.c_str(), 0) != 0) {
    return Cannot("make the link", entry.name);
  }
  return absl::OkStatus();
}

}  // namespace beamline::worker
