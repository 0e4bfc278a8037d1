// Length-delimited messages between the worker and a task's process: 4 bytes of length, little
// endian, then so many bytes. The empty message is 00 00 00 00; {0x08, 0x01} is 02 00 00 00 08 01.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace google::protobuf {
class MessageLite;
}

namespace beamline::worker {

// Unit: bytes. A longer message is the mark of a broken or hostile peer.
inline constexpr size_t kMaxFrameBytes = size_t{64} << 20;

// The message with its length before it. ResourceExhausted if it is longer than kMaxFrameBytes.
absl::StatusOr<std::string> EncodeFrame(const google::protobuf::MessageLite& message);

// Cuts a stream of bytes into messages. Holds at most one message and what came with it. Not
// thread-safe.
class FrameReader {
 public:
  // What the stream brought.
  void Append(std::string_view bytes);
  // The next whole message's bytes, valid until the next Append; nothing if it has not
  // yet come whole. InvalidArgument if its length is beyond the limit: the stream is then useless.
  absl::StatusOr<std::optional<std::string_view>> Next();
  // Bytes of a message that has begun, but is not whole.
  bool HasPartialFrame() const { return buffer_.size() > consumed_; }

 private:
  std::string buffer_;
  // Of buffer_: handed out already.
  size_t consumed_ = 0;
};

// Reads one message from a blocking descriptor. Cancelled at the end of the stream,
// InvalidArgument for a length beyond the limit or bytes that are no such message.
absl::Status ReadFrame(int fd, google::protobuf::MessageLite& message);

// Writes one message to a blocking descriptor.
absl::Status WriteFrame(int fd, const google::protobuf::MessageLite& message);

}  // namespace beamline::worker
