#include "server/api/byte_stream.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace beamline::server {
namespace {

constexpr size_t kPieceBytes = 256 << 10;

}  // namespace

absl::StatusOr<ByteSource> ByteSource::Open(const store::BlobStore& blobs, std::string_view digest,
                                            int64_t offset) {
  ASSIGN_OR_RETURN(store::BlobReader blob, blobs.OpenForReading(digest));
  if (offset < 0 || offset > blob.size_bytes()) {
    return absl::OutOfRangeError(
        absl::StrCat("offset must be from 0 to the size, which is ", blob.size_bytes(), " bytes"));
  }
  return ByteSource(std::move(blob), offset);
}

absl::StatusOr<std::string> ByteSource::Next() {
  ASSIGN_OR_RETURN(std::string piece, blob_.ReadAt(offset_, kPieceBytes));
  offset_ += static_cast<int64_t>(piece.size());
  return piece;
}

}  // namespace beamline::server
