#include "clients/cli/upload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/progress.h"

namespace beamline::cli {
namespace {

constexpr int64_t kChunkBytes = 512 << 10;
constexpr int64_t kRedrawMs = 100;
constexpr int64_t kGiveUpAfterMs = 60'000;
// Reading a large file into a table takes a while.
constexpr int64_t kFinishTimeoutMs = 3'600'000;

absl::Status CannotRead(const std::string& path, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrFormat("cannot read %s: %s", path, why));
}

// Local files that are read piece by piece, as if they were one.
class Source {
 public:
  static absl::StatusOr<Source> Open(const std::vector<std::string>& paths) {
    Source source;
    for (const std::string& path : paths) {
      Part part{path, UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC)), source.size_, 0};
      struct stat info = {};
      if (!part.fd || fstat(part.fd.get(), &info) != 0) {
        return CannotRead(path, std::strerror(errno));
      }
      if (!S_ISREG(info.st_mode)) return CannotRead(path, "it is not a plain file");
      part.size = info.st_size;
      source.size_ += part.size;
      source.parts_.push_back(std::move(part));
    }
    RETURN_IF_ERROR(source.CheckTogether());
    return source;
  }

  int64_t size() const { return size_; }

  // At most kChunkBytes from `offset` on, all of one file; none at the end.
  absl::Status ReadAt(int64_t offset, std::string* bytes) const {
    const auto after = std::upper_bound(
        parts_.begin(), parts_.end(), offset,
        [](int64_t position, const Part& part) { return position < part.begin + part.size; });
    bytes->clear();
    if (after == parts_.end()) return absl::OkStatus();
    const int64_t left = after->begin + after->size - offset;
    return ReadPart(*after, offset - after->begin, std::min(kChunkBytes, left), bytes);
  }

  absl::StatusOr<std::string> Digest() const {
    Sha256 digest;
    std::string bytes;
    for (int64_t offset = 0; offset < size_;) {
      if (InterruptCount() > 0) return InterruptedError();
      RETURN_IF_ERROR(ReadAt(offset, &bytes));
      if (bytes.empty()) return CannotRead(parts_[0].path, "it shrinks while it is read");
      digest.Update(bytes);
      offset += static_cast<int64_t>(bytes.size());
    }
    return digest.Hex();
  }

 private:
  struct Part {
    std::string path;
    UniqueFd fd;
    int64_t begin = 0;  // of its bytes among all
    int64_t size = 0;
  };

  static absl::Status ReadPart(const Part& part, int64_t offset, int64_t size, std::string* bytes) {
    bytes->resize(static_cast<size_t>(size));
    const ssize_t count = pread(part.fd.get(), bytes->data(), bytes->size(), offset);
    if (count < 0) return CannotRead(part.path, std::strerror(errno));
    bytes->resize(static_cast<size_t>(count));
    return absl::OkStatus();
  }

  // Only arrays can be joined, and only if they are compressed in one way. What is inside
  // compressed files the server finds out.
  absl::Status CheckTogether() const {
    if (parts_.size() < 2) return absl::OkStatus();
    std::string first_kind;
    for (const Part& part : parts_) {
      std::string head;
      RETURN_IF_ERROR(ReadPart(part, 0, 6, &head));
      const std::string kind = head.starts_with("\x1F\x8B")           ? "compressed by gzip"
                               : head.starts_with("\x28\xB5\x2F\xFD") ? "compressed by zstd"
                                                                      : "not compressed";
      const bool is_array = head.starts_with("\x93NUMPY") || head.starts_with(std::string(2, '\0'));
      if (kind == "not compressed" && !is_array) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "%s is neither IDX nor NPY: only such files are joined, each an array that becomes a "
            "column; join the rows of other files into one file first",
            part.path));
      }
      if (first_kind.empty()) first_kind = kind;
      if (kind != first_kind) {
        return absl::InvalidArgumentError(
            absl::StrFormat("%s is %s, but %s is %s: compress all in one way, or none", part.path,
                            kind, parts_[0].path, first_kind));
      }
    }
    return absl::OkStatus();
  }

  std::vector<Part> parts_;
  int64_t size_ = 0;
};

// Sends the bytes over as many calls as it takes.
class Sender {
 public:
  Sender(Invocation& invocation, Connection& server, const Source& source, std::string name)
      : invocation_(invocation),
        server_(server),
        source_(source),
        area_(STDERR_FILENO,
              invocation.json() || invocation.quiet() ? TerminalTraits() : invocation.err()) {
    transfer_.name = std::move(name);
    transfer_.total = source.size();
  }

  absl::Status Send(v1::Upload upload) {
    transfer_.resumed_from = upload.committed_size_bytes();
    start_ms_ = invocation_.clock().MonotonicMillis();
    int64_t failing_since_ms = -1;
    while (upload.committed_size_bytes() < source_.size()) {
      const int64_t committed = upload.committed_size_bytes();
      const absl::Status status = SendOnce(upload);
      if (status.ok() || upload.committed_size_bytes() > committed) failing_since_ms = -1;
      if (status.ok()) continue;
      if (!absl::IsUnavailable(status) && !absl::IsOutOfRange(status) && !absl::IsAborted(status)) {
        return status;
      }
      const int64_t now_ms = invocation_.clock().MonotonicMillis();
      if (failing_since_ms < 0) failing_since_ms = now_ms;
      if (now_ms - failing_since_ms > kGiveUpAfterMs) return status;
      if (WaitUnlessInterrupted(500)) return InterruptedError();
      v1::GetUploadRequest request;
      request.set_name(upload.name());
      auto current = server_.Call(kGetUpload, request);
      if (current.ok()) {
        upload = *std::move(current);
      } else if (!absl::IsUnavailable(current.status())) {
        return current.status();
      }
    }
    return absl::OkStatus();
  }

 private:
  // One call, from the committed size on. On success `upload` is the server's answer.
  absl::Status SendOnce(v1::Upload& upload) {
    const std::unique_ptr<Stream> stream = server_.Open(kWriteUpload.path);
    v1::WriteUploadRequest request;
    request.set_upload(upload.name());
    int64_t offset = upload.committed_size_bytes();
    while (offset < source_.size()) {
      request.set_offset(offset);
      RETURN_IF_ERROR(source_.ReadAt(offset, request.mutable_data()));
      if (request.data().empty()) return absl::InvalidArgumentError("the file has become shorter");
      if (!stream->Write(request)) return Failed(*stream);
      offset += static_cast<int64_t>(request.data().size());
      request.clear_upload();
      Show(offset);
    }
    v1::Upload answer;
    if (!stream->WritesDone() || !stream->Read(&answer)) return Failed(*stream);
    RETURN_IF_ERROR(stream->Finish());
    upload = std::move(answer);
    return absl::OkStatus();
  }

  static absl::Status Failed(Stream& stream) {
    const absl::Status status = stream.Finish();
    if (!status.ok()) return status;
    return absl::UnavailableError("the server ended the upload early");
  }

  void Show(int64_t offset) {
    const int64_t now_ms = invocation_.clock().MonotonicMillis();
    if (now_ms - drawn_ms_ < kRedrawMs && offset < transfer_.total) return;
    drawn_ms_ = now_ms;
    transfer_.done = offset;
    transfer_.seconds = static_cast<double>(now_ms - start_ms_) / 1000;
    area_.Draw({TransferLine(transfer_, invocation_.err())});
  }

  Invocation& invocation_;
  Connection& server_;
  const Source& source_;
  LiveArea area_;
  Transfer transfer_;
  int64_t start_ms_ = 0;
  int64_t drawn_ms_ = 0;
};

// "a.gz", or "a.gz + 1 more".
std::string DisplayName(const FileUpload& file) {
  if (!file.display_name.empty()) return file.display_name;
  const std::string first = std::filesystem::path(file.paths[0]).filename().string();
  if (file.paths.size() == 1) return first;
  return absl::StrFormat("%s + %d more", first, file.paths.size() - 1);
}

}  // namespace

absl::StatusOr<v1::Dataset> UploadFile(Invocation& invocation, const FileUpload& file) {
  ASSIGN_OR_RETURN(const Source source, Source::Open(file.paths));
  ASSIGN_OR_RETURN(Connection* const server, invocation.Server());
  v1::BeginUploadRequest begin;
  ASSIGN_OR_RETURN(std::string project, invocation.Project());
  begin.set_parent(std::move(project));
  ASSIGN_OR_RETURN(std::string digest, source.Digest());
  begin.mutable_source()->set_digest(std::move(digest));
  begin.mutable_source()->set_size_bytes(source.size());
  *begin.mutable_options() = file.options;
  begin.set_display_name(DisplayName(file));
  if (file.paths.size() > 1) begin.set_file_count(static_cast<int32_t>(file.paths.size()));
  ASSIGN_OR_RETURN(v1::BeginUploadResponse begun, server->Call(kBeginUpload, begin));
  if (begun.has_dataset()) {
    invocation.Note(absl::StrFormat("%s is there already (%d rows)\n", begin.display_name(),
                                    begun.dataset().row_count()));
    return begun.dataset();
  }
  const int64_t start_ms = invocation.clock().MonotonicMillis();
  {
    Sender sender(invocation, *server, source, begin.display_name());
    RETURN_IF_ERROR(sender.Send(begun.upload()));
  }
  v1::FinishUploadRequest finish;
  finish.set_name(begun.upload().name());
  ASSIGN_OR_RETURN(v1::Dataset dataset, server->Call(kFinishUpload, finish, kFinishTimeoutMs));
  const double seconds =
      static_cast<double>(invocation.clock().MonotonicMillis() - start_ms) / 1000;
  invocation.Note(absl::StrFormat("uploaded %s: %s, %d rows, %d columns, in %s\n",
                                  begin.display_name(), HumanBytes(source.size()),
                                  dataset.row_count(), dataset.columns_size(),
                                  HumanDuration(absl::Seconds(seconds))));
  return dataset;
}

}  // namespace beamline::cli
