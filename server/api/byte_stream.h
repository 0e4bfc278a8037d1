// Long bytes, a piece at a time: what the streaming calls send and receive.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/dataset.pb.h"
#include "beamline/v1/worker.pb.h"
#include "server/api/done.h"
#include "store/blob_store.h"

namespace beamline::server {

// A blob on its way out. Movable; not thread-safe.
class ByteSource {
 public:
  // The blob from `offset` on. NotFound if it is not there, OutOfRange if it is shorter.
  static absl::StatusOr<ByteSource> Open(const store::BlobStore& blobs, std::string_view digest,
                                         int64_t offset);
  // The next piece, at most 256 KiB; empty at the end. May wait for the disk.
  absl::StatusOr<std::string> Next();

 private:
  ByteSource(store::BlobReader blob, int64_t offset) : blob_(std::move(blob)), offset_(offset) {}
  store::BlobReader blob_;
  int64_t offset_;
};

// Something on its way in. Ends with Finish, or is given up when the object goes. Not thread-safe.
template <class Answer>
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Keeps `data`, which begins at `offset` of the whole. At most 1 MiB. May wait for the disk.
  // After a failure nothing more may be called.
  virtual absl::Status Write(int64_t offset, std::string_view data) = 0;
  // Makes everything durable. The object may go before `done` is called.
  virtual void Finish(Done<Answer> done) = 0;
};

using UploadSink = ByteSink<v1::Upload>;
// `offset` counts for nothing here: pieces come in order.
using BlobSink = ByteSink<v1::WriteBlobResponse>;

}  // namespace beamline::server
