#include "clients/cli/download.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/progress.h"

namespace beamline::cli {
namespace {

constexpr int64_t kRedrawMs = 100;

// A file under a temporary name that goes unless it is kept.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path)
      : path_(path),
        temporary_(absl::StrFormat("%s.part-%d", path, getpid())),
        fd_(open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) {}
  ~TemporaryFile() {
    if (fd_) unlink(temporary_.c_str());
  }

  absl::Status Error(const char* what) const {
    return absl::InvalidArgumentError(
        absl::StrFormat("cannot %s %s: %s", what, path_, std::strerror(errno)));
  }
  absl::Status Check() const { return fd_ ? absl::OkStatus() : Error("write"); }
  int fd() const { return fd_.get(); }

  absl::Status Keep() {
    if (fsync(fd_.get()) != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
      return Error("write");
    }
    fd_.Reset();
    return absl::OkStatus();
  }

 private:
  const std::string path_;
  const std::string temporary_;
  UniqueFd fd_;
};

}  // namespace

template <class Response>
absl::Status DownloadTo(Invocation& invocation, Stream& stream, const v1::Blob& blob,
                        const std::string& path) {
  TemporaryFile file(path);
  RETURN_IF_ERROR(file.Check());
  LiveArea area(STDERR_FILENO,
                invocation.json() || invocation.quiet() ? TerminalTraits() : invocation.err());
  Sha256 digest;
  Transfer transfer = {.name = path, .done = 0, .total = blob.size_bytes()};
  const int64_t start_ms = invocation.clock().MonotonicMillis();
  int64_t drawn_ms = 0;
  Response response;
  while (stream.Read(&response)) {
    digest.Update(response.data());
    RETURN_IF_ERROR(WriteFully(file.fd(), response.data()));
    transfer.done += static_cast<int64_t>(response.data().size());
    const int64_t now_ms = invocation.clock().MonotonicMillis();
    if (now_ms - drawn_ms < kRedrawMs) continue;
    drawn_ms = now_ms;
    transfer.seconds = static_cast<double>(now_ms - start_ms) / 1000;
    area.Draw({TransferLine(transfer, invocation.err())});
  }
  RETURN_IF_ERROR(stream.Finish());
  if (digest.Hex() != blob.digest()) {
    return absl::DataLossError(
        absl::StrFormat("the %d bytes that came do not have the digest %s; %s was not written; "
                        "try again",
                        transfer.done, blob.digest(), path));
  }
  return file.Keep();
}

template absl::Status DownloadTo<v1::DownloadModelResponse>(Invocation&, Stream&, const v1::Blob&,
                                                            const std::string&);
template absl::Status DownloadTo<v1::DownloadDatasetResponse>(Invocation&, Stream&, const v1::Blob&,
                                                              const std::string&);

absl::Status DownloadDataset(Invocation& invocation, const v1::Dataset& dataset,
                             const std::string& path) {
  ASSIGN_OR_RETURN(Connection* const server, invocation.Server());
  const std::unique_ptr<Stream> stream = server->Open(kDownloadDataset.path);
  v1::DownloadDatasetRequest request;
  request.set_name(dataset.name());
  if (stream->Write(request)) stream->WritesDone();
  return DownloadTo<v1::DownloadDatasetResponse>(invocation, *stream, dataset.source(), path);
}

}  // namespace beamline::cli
