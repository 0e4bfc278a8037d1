#include "pipeline/ingest/decompress.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

namespace beamline::pipeline {
namespace {

using engine::Error;
using engine::Fail;

// What one step of a decompressor may leave unsaid: bytes may grow so much before max_expansion
// applies, since small files of one repeated value are harmless.
constexpr int64_t kFreeBytes = int64_t{16} << 20;

// One gzip file of one or more members (RFC 1952).
class GzipSource : public engine::data::ByteSource {
 public:
  GzipSource(std::string_view bytes, ExpansionLimit limit) : bytes_(bytes), limit_(limit) {
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
    Rewind();
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  void Rewind() override {
    inflateReset(&stream_);
    rest_ = bytes_;
    stream_.avail_in = 0;
    total_ = 0;
    ended_ = false;
  }

  size_t Read(char* buffer, size_t size) override {
    size_t got = 0;
    while (got < size && !ended_) {
      const size_t room = std::min(size - got, size_t{1} << 30);
      Feed();
      stream_.next_out = reinterpret_cast<Bytef*>(buffer + got);
      stream_.avail_out = static_cast<uInt>(room);
      const int result = inflate(&stream_, Z_NO_FLUSH);
      const size_t made = room - stream_.avail_out;
      got += made;
      total_ += static_cast<int64_t>(made);
      limit_.Check(total_);
      if (result == Z_STREAM_END) {
        NextMember();
      } else if (result == Z_BUF_ERROR && stream_.avail_in == 0 && rest_.empty()) {
        throw Error("the gzip file is truncated: fetch it again");
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        Fail("the gzip file is damaged (", stream_.msg == nullptr ? "bad data" : stream_.msg,
             "): fetch it again");
      }
    }
    return got;
  }

 private:
  void Feed() {
    if (stream_.avail_in > 0) return;
    const size_t size = std::min(rest_.size(), size_t{1} << 30);
    // zlib's interface is older than const.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest_.data()));
    stream_.avail_in = static_cast<uInt>(size);
    rest_.remove_prefix(size);
  }

  void NextMember() {
    Feed();
    ended_ = stream_.avail_in == 0;
    if (ended_) return;
    if (*stream_.next_in != 0x1F) throw Error("the gzip file has other bytes at its end");
    inflateReset(&stream_);
  }

  const std::string_view bytes_;
  const ExpansionLimit limit_;
  std::string_view rest_;
  z_stream stream_ = {};
  int64_t total_ = 0;
  bool ended_ = false;
};

// One zstd file of one or more frames (RFC 8878).
class ZstdSource : public engine::data::ByteSource {
 public:
  ZstdSource(std::string_view bytes, ExpansionLimit limit)
      : bytes_(bytes), limit_(limit), stream_(ZSTD_createDStream(), ZSTD_freeDStream) {
    if (stream_ == nullptr) throw std::bad_alloc();
    Rewind();
  }

  void Rewind() override {
    ZSTD_DCtx_reset(stream_.get(), ZSTD_reset_session_only);
    input_ = {bytes_.data(), bytes_.size(), 0};
    total_ = 0;
    expected_ = 0;
    full_ = false;
  }

  size_t Read(char* buffer, size_t size) override {
    ZSTD_outBuffer output = {buffer, size, 0};
    while (output.pos < output.size) {
      if (input_.pos == input_.size && !full_) {
        if (expected_ == 0) break;
        throw Error("the zstd file is truncated: fetch it again");
      }
      const size_t before = output.pos;
      expected_ = ZSTD_decompressStream(stream_.get(), &output, &input_);
      if (ZSTD_isError(expected_)) {
        Fail("the zstd file is damaged (", ZSTD_getErrorName(expected_), "): fetch it again");
      }
      // With the buffer full, more may be waiting inside.
      full_ = output.pos == output.size && expected_ != 0;
      total_ += static_cast<int64_t>(output.pos - before);
      limit_.Check(total_);
    }
    return output.pos;
  }

 private:
  const std::string_view bytes_;
  const ExpansionLimit limit_;
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  ZSTD_inBuffer input_ = {};
  int64_t total_ = 0;
  size_t expected_ = 0;  // 0: a frame has ended
  bool full_ = false;
};

}  // namespace

ExpansionLimit::ExpansionLimit(int64_t compressed_bytes, int64_t max_expanded_bytes,
                               int64_t max_expansion) {
  const int64_t room = std::numeric_limits<int64_t>::max() - kFreeBytes;
  const int64_t grown = max_expansion > 0 && compressed_bytes > room / max_expansion
                            ? room
                            : compressed_bytes * max_expansion;
  most_ = std::min(max_expanded_bytes, kFreeBytes + grown);
}

void ExpansionLimit::Check(int64_t bytes) const {
  if (bytes <= most_) return;
  throw LimitError(engine::Concat("the file becomes larger than ", most_,
                                  " bytes when decompressed: upload it in parts, or raise the "
                                  "limit"));
}

Compression DetectCompression(std::string_view bytes) {
  if (bytes.starts_with("\x1F\x8B")) return Compression::kGzip;
  return bytes.starts_with("\x28\xB5\x2F\xFD") ? Compression::kZstd : Compression::kNone;
}

std::unique_ptr<engine::data::ByteSource> Decompress(Compression compression,
                                                     std::string_view bytes, ExpansionLimit limit) {
  if (compression == Compression::kGzip) return std::make_unique<GzipSource>(bytes, limit);
  if (compression == Compression::kZstd) return std::make_unique<ZstdSource>(bytes, limit);
  return std::make_unique<engine::data::MemorySource>(bytes);
}

Content ReadAll(engine::data::ByteSource& source, engine::data::ValueStore& store) {
  std::string piece(size_t{4} << 20, '\0');
  size_t size = 0;
  while (const size_t got = source.Read(piece.data(), piece.size())) {
    store.Append(std::string_view(piece).substr(0, got));
    size += got;
  }
  Content all{{}, store.Finish()};
  all.bytes = {static_cast<const char*>(all.owner.get()), size};
  return all;
}

}  // namespace beamline::pipeline
