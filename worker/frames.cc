#include "worker/frames.h"

#include <google/protobuf/message_lite.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace beamline::worker {
namespace {

constexpr size_t kHeaderBytes = 4;

size_t DecodeLength(const char* header) {
  size_t length = 0;
  for (size_t i = 0; i < kHeaderBytes; ++i) {
    length |= static_cast<size_t>(static_cast<unsigned char>(header[i])) << (8 * i);
  }
  return length;
}

absl::Status TooLong(size_t length) {
  return absl::InvalidArgumentError(
      absl::StrCat("a message claims to have ", length, " bytes; the limit is ", kMaxFrameBytes));
}

// Cancelled at the end of the stream.
absl::Status ReadFully(int fd, char* data, size_t size) {
  while (size > 0) {
    const ssize_t got = read(fd, data, size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::UnavailableError(absl::StrCat("cannot read: ", std::strerror(errno)));
    }
    if (got == 0) return absl::CancelledError("the stream has ended");
    data += got;
    size -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EncodeFrame(const google::protobuf::MessageLite& message) {
  const size_t length = message.ByteSizeLong();
  if (length > kMaxFrameBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "a message of ", length, " bytes is longer than the limit of ", kMaxFrameBytes));
  }
  std::string frame(kHeaderBytes, '\0');
  for (size_t i = 0; i < kHeaderBytes; ++i) {
    frame[i] = static_cast<char>(length >> (8 * i) & 0xff);
  }
  if (!message.AppendToString(&frame)) return absl::InternalError("cannot encode a message");
  return frame;
}

void FrameReader::Append(std::string_view bytes) {
  buffer_.erase(0, consumed_);
  consumed_ = 0;
  buffer_.append(bytes);
}

absl::StatusOr<std::optional<std::string_view>> FrameReader::Next() {
  const std::string_view rest = std::string_view(buffer_).substr(consumed_);
  if (rest.size() < kHeaderBytes) return std::nullopt;
  const size_t length = DecodeLength(rest.data());
  if (length > kMaxFrameBytes) return TooLong(length);
  if (rest.size() < kHeaderBytes + length) return std::nullopt;
  consumed_ += kHeaderBytes + length;
  return rest.substr(kHeaderBytes, length);
}

absl::Status ReadFrame(int fd, google::protobuf::MessageLite& message) {
  char header[kHeaderBytes];
  RETURN_IF_ERROR(ReadFully(fd, header, sizeof header));
  const size_t length = DecodeLength(header);
  if (length > kMaxFrameBytes) return TooLong(length);
  std::string body(length, '\0');
  RETURN_IF_ERROR(ReadFully(fd, body.data(), length));
  if (!message.ParseFromString(body)) {
    return absl::InvalidArgumentError(absl::StrCat("these bytes are no ", message.GetTypeName()));
  }
  return absl::OkStatus();
}

absl::Status WriteFrame(int fd, const google::protobuf::MessageLite& message) {
  ASSIGN_OR_RETURN(const std::string frame, EncodeFrame(message));
  return WriteFully(fd, frame);
}

}  // namespace beamline::worker
