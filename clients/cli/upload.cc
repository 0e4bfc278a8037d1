#include "clients/cli/upload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

// A local file that is read piece by piece.
class Source {
 public:
  static absl::StatusOr<Source> Open(const std::string& path) {
    Source source;
    source.path_ = path;
    source.fd_ = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info = {};
    if (!source.fd_ || fstat(source.fd_.get(), &info) != 0) {
      return CannotRead(path, std::strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) return CannotRead(path, "it is not a plain file");
    source.size_ = info.st_size;
    return source;
  }

  int64_t size() const { return size_; }

  // At most kChunkBytes from `offset` on; fewer at the end.
  absl::Status ReadAt(int64_t offset, std::string* bytes) const {
    bytes->resize(kChunkBytes);
    const ssize_t count = pread(fd_.get(), bytes->data(), bytes->size(), offset);
    if (count < 0) return CannotRead(path_, std::strerror(errno));
    bytes->resize(static_cast<size_t>(count));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Digest() const {
    Sha256 digest;
    std::string bytes;
    for (int64_t offset = 0; offset < size_;) {
      if (InterruptCount() > 0) return InterruptedError();
      RETURN_IF_ERROR(ReadAt(offset, &bytes));
      if (bytes.empty()) return CannotRead(path_, "it shrinks while it is read");
      digest.Update(bytes);
      offset += static_cast<int64_t>(bytes.size());
    }
    return digest.Hex();
  }

 private:
  std::string path_;
  UniqueFd fd_;
  int64_t size_ = 0;
};

// Sends one file over as many calls as it takes.
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

}  // namespace

absl::StatusOr<v1::Dataset> UploadFile(Invocation& invocation, const FileUpload& file) {
  ASSIGN_OR_RETURN(const Source source, Source::Open(file.path));
  ASSIGN_OR_RETURN(Connection* const server, invocation.Server());
  v1::BeginUploadRequest begin;
  ASSIGN_OR_RETURN(std::string project, invocation.Project());
  begin.set_parent(std::move(project));
  ASSIGN_OR_RETURN(std::string digest, source.Digest());
  begin.mutable_source()->set_digest(std::move(digest));
  begin.mutable_source()->set_size_bytes(source.size());
  *begin.mutable_options() = file.options;
  begin.set_display_name(file.display_name.empty()
                             ? std::filesystem::path(file.path).filename().string()
                             : file.display_name);
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
