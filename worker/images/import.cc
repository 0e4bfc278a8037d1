#include "worker/images/import.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "worker/image_folder.h"
#include "worker/images/archive_reader.h"
#include "worker/images/oci.h"
#include "worker/remove_tree.h"

namespace beamline::worker {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxDocumentBytes = 4 << 20;
constexpr char kUnderWay[] = "/.importing";
constexpr std::string_view kBlobs = "blobs/sha256/";

absl::Status Cannot(std::string_view what, const std::string& path) {
  return absl::InternalError(
      absl::StrCat("cannot ", A(what), " ", path, ": ", std::strerror(errno)));
}

// The folder, there is no other import or removal in it while this lives.
absl::StatusOr<UniqueFd> LockFolder(const std::string& folder) {
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd && errno == ENOENT) {
    return absl::NotFoundError(absl::StrCat("there is no folder ", folder));
  }
  if (!fd) return Cannot("open", folder);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("images in ", folder, " are being imported or removed: wait for it"));
  }
  return fd;
}

// What the archive holds of a layout: index.json, and documents and layers by their digests.
class Layout {
 public:
  // `folder` exists and is empty.
  explicit Layout(std::string folder) : folder_(std::move(folder)) {}

  absl::Status Read(const std::string& archive, const ImageLimits& limits) {
    ASSIGN_OR_RETURN(const auto reader, ArchiveReader::Open(archive, limits.expanded_bytes()));
    int64_t left = limits.bytes;
    while (true) {
      ASSIGN_OR_RETURN(const bool more, reader->Next());
      if (!more) break;
      if (--entries_left_ < 0) return TooLarge(archive);
      std::string_view name = reader->entry().name;
      if (name.starts_with("./")) name.remove_prefix(2);
      if (reader->entry().kind != ArchiveEntry::kFile) continue;
      if (name == "index.json") {
        RETURN_IF_ERROR(TakeIndex(*reader));
      } else if (name.starts_with(kBlobs) && IsSha256Hex(name.substr(kBlobs.size()))) {
        RETURN_IF_ERROR(TakeBlob(*reader, std::string(name.substr(kBlobs.size())), left));
        if (left < 0) return TooLarge(archive);
      }
    }
    if (!index_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(archive,
                     " is no OCI archive (it has no index.json): make one by \"skopeo copy "
                     "docker-archive:FILE oci-archive:OTHER\" or Docker 25"));
  }

  const std::string& index() const { return index_; }
  std::string PathOf(const OciDigest& digest) const {
    return absl::StrCat(folder_, "/", ImageFolderName(digest));
  }
  absl::StatusOr<std::string> Document(const OciDigest& digest) const {
    RETURN_IF_ERROR(Has(digest));
    return ReadFile(PathOf(digest), kMaxDocumentBytes);
  }
  absl::Status Has(const OciDigest& digest) const {
    if (access(PathOf(digest).c_str(), R_OK) == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("the archive lacks ", digest, " of the image"));
  }

 private:
  static absl::Status TooLarge(const std::string& archive) {
    return absl::ResourceExhaustedError(absl::StrCat(archive, " holds more than an image may"));
  }

  absl::Status TakeIndex(ArchiveReader& reader) {
    index_.clear();
    while (true) {
      ASSIGN_OR_RETURN(const std::string_view bytes, reader.Read());
      if (bytes.empty()) return absl::OkStatus();
      if (index_.size() + bytes.size() > kMaxDocumentBytes) {
        return absl::InvalidArgumentError("index.json is too large");
      }
      index_.append(bytes);
    }
  }

  absl::Status TakeBlob(ArchiveReader& reader, const std::string& hex, int64_t& left) {
    const std::string path = PathOf("sha256:" + hex);
    const UniqueFd file(
        open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return Cannot("make", path);
    Sha256 digest;
    while (true) {
      ASSIGN_OR_RETURN(const std::string_view bytes, reader.Read());
      left -= static_cast<int64_t>(bytes.size());
      if (bytes.empty() || left < 0) break;
      digest.Update(bytes);
      RETURN_IF_ERROR(WriteFully(file.get(), bytes));
    }
    if (left < 0 || digest.Hex() == hex) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("the archive's blobs/sha256/", hex,
                                                   " does not have that digest: it is damaged"));
  }

  const std::string folder_;
  std::string index_;
  // Of an archive of a layout, a few thousand are many.
  int64_t entries_left_ = 100'000;
};

absl::Status WriteEnvironment(const OciImage& image, const std::string& path) {
  std::string text;
  for (const std::string& entry : image.environment) {
    text += entry;
    text += '\0';
  }
  return WriteFileAtomically(path, text);
}

// What program_root.h could not show would be found out by every task only.
absl::Status CheckRoot(const std::string& root) {
  std::error_code error;
  const auto entries = std::distance(fs::directory_iterator(root, error), fs::directory_iterator());
  if (error) return absl::InternalError(absl::StrCat("cannot read ", root, ": ", error.message()));
  if (entries <= static_cast<std::ptrdiff_t>(kMaxRootEntries)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the image has ", entries,
                                                 " entries in its root folder, of which at most ",
                                                 kMaxRootEntries, " are possible"));
}

// The image as a folder that is complete, still under another name.
absl::Status Unpack(const Layout& layout, const OciImage& image, const std::string& place,
                    const ImageLimits& limits, ImportedImage* imported) {
  for (const std::string& path : {place, place + "/rootfs"}) {
    if (mkdir(path.c_str(), 0755) != 0 || chmod(path.c_str(), 0755) != 0)
      return Cannot("make", path);
  }
  ASSIGN_OR_RETURN(RootWriter root, RootWriter::Open(place + "/rootfs", limits));
  for (const OciDigest& layer : image.layers) RETURN_IF_ERROR(layout.Has(layer));
  for (const OciDigest& layer : image.layers) RETURN_IF_ERROR(root.Apply(layout.PathOf(layer)));
  RETURN_IF_ERROR(CheckRoot(place + "/rootfs"));
  RETURN_IF_ERROR(WriteEnvironment(image, place + "/environment"));
  imported->bytes = root.bytes();
  imported->entries = root.entries();
  imported->left_out = root.left_out();
  return absl::OkStatus();
}

absl::StatusOr<ImportedImage> ImportBeside(const std::string& archive, const std::string& folder,
                                           const UniqueFd& locked, const ImageLimits& limits) {
  const std::string under_way = folder + kUnderWay;
  for (const std::string& path : {under_way, under_way + "/blobs"}) {
    if (mkdir(path.c_str(), 0700) != 0) return Cannot("make", path);
  }
  Layout layout(under_way + "/blobs");
  RETURN_IF_ERROR(layout.Read(archive, limits));
  ASSIGN_OR_RETURN(const OciImage image,
                   ReadOciImage(layout.index(), OciMachine(),
                                [&](const OciDigest& digest) { return layout.Document(digest); }));
  ImportedImage imported{.digest = image.digest};
  imported.was_there = FindImage(folder, image.digest).ok();
  if (imported.was_there) return imported;
  if (std::ssize(ListImages(folder)) >= pipeline::kMaxImages) {
    return absl::ResourceExhaustedError(absl::StrCat("there are ", pipeline::kMaxImages,
                                                     " images in ", folder,
                                                     ", and workers tell of no more: remove one"));
  }
  const std::string place = under_way + "/image";
  RETURN_IF_ERROR(Unpack(layout, image, place, limits, &imported));
  if (syncfs(locked.get()) != 0) return Cannot("write", folder);
  const std::string name = absl::StrCat(folder, "/", ImageFolderName(image.digest));
  if (rename(place.c_str(), name.c_str()) != 0) return Cannot("make", name);
  RETURN_IF_ERROR(SyncDirectory(folder));
  return imported;
}

}  // namespace

absl::StatusOr<ImportedImage> ImportImage(const std::string& archive, const std::string& folder,
                                          const ImageLimits& limits) {
  std::error_code error;
  fs::create_directories(folder, error);
  ASSIGN_OR_RETURN(const UniqueFd locked, LockFolder(folder));
  // What an import that was killed has left.
  RETURN_IF_ERROR(RemoveTree(folder + kUnderWay));
  absl::StatusOr<ImportedImage> imported = ImportBeside(archive, folder, locked, limits);
  const absl::Status removed = RemoveTree(folder + kUnderWay);
  if (imported.ok()) RETURN_IF_ERROR(removed);
  return imported;
}

absl::Status RemoveImage(const std::string& folder, const std::string& digest) {
  ASSIGN_OR_RETURN(const UniqueFd locked, LockFolder(folder));
  const std::string name = ImageFolderName(digest);
  const std::string path = absl::StrCat(folder, "/", name);
  if (name.empty() || access(path.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no image ", digest, " in ", folder));
  }
  // From now on no task begins with half of it.
  RETURN_IF_ERROR(RemoveTree(folder + kUnderWay));
  if (rename(path.c_str(), (folder + kUnderWay).c_str()) != 0) return Cannot("remove", path);
  return RemoveTree(folder + kUnderWay);
}

}  // namespace beamline::worker
