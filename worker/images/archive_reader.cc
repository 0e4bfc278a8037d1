#include "worker/images/archive_reader.h"

#include <archive.h>
#include <archive_entry.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace beamline::worker {
namespace {

constexpr size_t kBlockBytes = 256 << 10;

ArchiveEntry::Kind KindOf(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) return ArchiveEntry::kHardLink;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return ArchiveEntry::kFile;
    case AE_IFDIR:
      return ArchiveEntry::kFolder;
    case AE_IFLNK:
      return ArchiveEntry::kLink;
    default:
      return ArchiveEntry::kOther;
  }
}

// Null if it is no text in this process's encoding.
const char* TargetOf(archive_entry* entry, ArchiveEntry::Kind kind) {
  if (kind == ArchiveEntry::kHardLink) return archive_entry_hardlink(entry);
  return kind == ArchiveEntry::kLink ? archive_entry_symlink(entry) : "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<ArchiveReader>> ArchiveReader::Open(const std::string& path,
                                                                   int64_t max_bytes) {
  archive* const reader = archive_read_new();
  if (reader == nullptr) return absl::InternalError("libarchive is out of memory");
  auto opened = std::unique_ptr<ArchiveReader>(new ArchiveReader(path, max_bytes, reader));
  archive_read_support_format_tar(reader);
  archive_read_support_format_empty(reader);
  archive_read_support_filter_none(reader);
  archive_read_support_filter_gzip(reader);
  archive_read_support_filter_zstd(reader);
  if (archive_read_open_filename(reader, path.c_str(), kBlockBytes) != ARCHIVE_OK) {
    return opened->Damaged();
  }
  return opened;
}

ArchiveReader::ArchiveReader(std::string path, int64_t max_bytes, archive* reader)
    : path_(std::move(path)), max_bytes_(max_bytes), reader_(reader), buffer_(kBlockBytes) {}

ArchiveReader::~ArchiveReader() { archive_read_free(reader_); }

absl::Status ArchiveReader::Damaged() const {
  const char* why = archive_error_string(reader_);
  return absl::InvalidArgumentError(
      absl::StrCat(path_, " cannot be read as a tar archive: ", why == nullptr ? "damaged" : why));
}

int64_t ArchiveReader::expanded() const { return archive_filter_bytes(reader_, 0); }

absl::Status ArchiveReader::CheckSize() const {
  if (expanded() <= max_bytes_) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(path_, " becomes larger than ", max_bytes_, " bytes when it is decompressed"));
}

// What is left of the entry. A few bytes may become very many: libarchive would skip them in one
// go, without a bound.
absl::Status ArchiveReader::Skip() {
  if (archive_filter_code(reader_, 0) == ARCHIVE_FILTER_NONE) return absl::OkStatus();
  while (true) {
    const void* bytes = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(reader_, &bytes, &size, &offset);
    if (result == ARCHIVE_EOF) return absl::OkStatus();
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Damaged();
    RETURN_IF_ERROR(CheckSize());
  }
}

absl::StatusOr<bool> ArchiveReader::Next() {
  if (in_entry_) RETURN_IF_ERROR(Skip());
  in_entry_ = false;
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(reader_, &entry);
  if (result == ARCHIVE_EOF) return false;
  // A warning is of something that is not kept anyway, or of a name: these are looked at below.
  if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Damaged();
  entry_.kind = KindOf(entry);
  RETURN_IF_ERROR(CheckSize());
  in_entry_ = true;
  const char* name = archive_entry_pathname(entry);
  const char* target = TargetOf(entry, entry_.kind);
  if (name == nullptr || target == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(path_, " has a name that is not UTF-8"));
  }
  entry_.name = name;
  entry_.target = target;
  entry_.mode = static_cast<unsigned>(archive_entry_perm(entry));
  entry_.changed_at = archive_entry_mtime(entry);
  return true;
}

absl::StatusOr<std::string_view> ArchiveReader::Read() {
  const la_ssize_t got = archive_read_data(reader_, buffer_.data(), buffer_.size());
  if (got < 0) return Damaged();
  RETURN_IF_ERROR(CheckSize());
  return std::string_view(buffer_.data(), static_cast<size_t>(got));
}

}  // namespace beamline::worker
