#include "store/upload_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace beamline::store {
namespace {

absl::Status ErrnoStatus(std::string_view doing, const std::string& path) {
  const int error = errno;
  const std::string message =
      absl::StrCat("cannot ", A(doing), " ", path, ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

}  // namespace

absl::Status UploadFile::Append(std::string_view bytes) {
  RETURN_IF_ERROR(WriteFully(fd_.get(), bytes));
  size_bytes_ += static_cast<int64_t>(bytes.size());
  return absl::OkStatus();
}

absl::Status UploadFile::Sync() {
  return fsync(fd_.get()) == 0 ? absl::OkStatus() : ErrnoStatus("sync", "an upload");
}

absl::StatusOr<UploadFiles> UploadFiles::Open(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InternalError(absl::StrCat("cannot create ", folder, ": ", error.message()));
  }
  return UploadFiles(folder);
}

absl::StatusOr<UploadFile> UploadFiles::OpenForAppending(std::string_view upload,
                                                         int64_t size_bytes) const {
  const std::string path = PathOf(upload);
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0) return ErrnoStatus("open", path);
  if (info.st_size < size_bytes) {
    return absl::DataLossError(absl::StrCat("the upload's file has ", info.st_size, " of ",
                                            size_bytes, " bytes: begin the upload again"));
  }
  if (ftruncate(fd.get(), size_bytes) != 0) return ErrnoStatus("cut", path);
  RETURN_IF_ERROR(SyncDirectory(folder_));
  return UploadFile(std::move(fd), size_bytes);
}

std::string UploadFiles::PathOf(std::string_view upload) const {
  return absl::StrCat(folder_, "/", A(upload));
}

absl::Status UploadFiles::Remove(std::string_view upload) const {
  const std::string path = PathOf(upload);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus("remove", path);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> UploadFiles::List() const {
  std::vector<std::string> ids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    ids.push_back(entry.path().filename().string());
  }
  if (error) {
    return absl::InternalError(absl::StrCat("cannot list ", folder_, ": ", error.message()));
  }
  return ids;
}

}  // namespace beamline::store
