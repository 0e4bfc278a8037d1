#include "worker/image_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace beamline::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDigestPrefix = "sha256:";
constexpr std::string_view kFolderPrefix = "sha256-";
constexpr size_t kMaxEnvironmentBytes = 1 << 20;

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(fs::symlink_status(path, error));
}

}  // namespace

std::string ImageFolderName(std::string_view digest) {
  if (!pipeline::IsImageDigest(digest)) return "";
  return absl::StrCat(A(kFolderPrefix), A(digest.substr(kDigestPrefix.size())));
}

absl::StatusOr<Image> FindImage(const std::string& folder, std::string_view digest) {
  const std::string name = ImageFolderName(digest);
  const fs::path place = fs::path(folder) / name;
  if (folder.empty() || name.empty() || !IsFolder(place / "rootfs")) {
    return absl::NotFoundError(absl::StrCat("this worker has no image ", A(digest)));
  }
  std::error_code error;
  Image image{.root = fs::absolute(place / "rootfs", error).string(), .environment = {}};
  absl::StatusOr<std::string> text =
      ReadFile((place / "environment").string(), kMaxEnvironmentBytes);
  if (absl::IsNotFound(text.status())) return image;
  if (!text.ok()) return absl::InternalError(text.status().message());
  for (std::string& entry : std::vector<std::string>(absl::StrSplit(*text, '\0'))) {
    if (entry.find('=') != std::string::npos) image.environment.push_back(std::move(entry));
  }
  return image;
}

std::vector<std::string> ListImages(const std::string& folder) {
  std::vector<std::string> digests;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (!absl::StartsWith(name, A(kFolderPrefix)) || !IsFolder(at->path() / "rootfs")) continue;
    name.replace(0, kFolderPrefix.size(), kDigestPrefix);
    if (!ImageFolderName(name).empty()) digests.push_back(std::move(name));
  }
  std::sort(digests.begin(), digests.end());
  return digests;
}

}  // namespace beamline::worker
