// gzip and zstd files as sources of bytes. Internal to ingesting.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/core/error.h"
#include "engine/data/source.h"
#include "engine/data/value_store.h"

namespace beamline::pipeline {

// Thrown where bytes grow beyond a limit: becomes ResourceExhausted, not InvalidArgument.
class LimitError : public engine::Error {
 public:
  using engine::Error::Error;
};

// How much `compressed_bytes` may become. Not thread-safe.
class ExpansionLimit {
 public:
  ExpansionLimit(int64_t compressed_bytes, int64_t max_expanded_bytes, int64_t max_expansion);
  // Throws LimitError if `bytes` in all are too many.
  void Check(int64_t bytes) const;

 private:
  int64_t most_;
};

enum class Compression { kNone, kGzip, kZstd };
Compression DetectCompression(std::string_view bytes);

// The content of compressed `bytes`, which must outlive it. Its Read throws Error if they
// are damaged or truncated, LimitError beyond `limit`.
std::unique_ptr<engine::data::ByteSource> Decompress(Compression compression,
                                                     std::string_view bytes, ExpansionLimit limit);

// All of a source, in `store`; `owner` keeps it.
struct Content {
  std::string_view bytes;
  std::shared_ptr<const void> owner;
};
Content ReadAll(engine::data::ByteSource& source, engine::data::ValueStore& store);

}  // namespace beamline::pipeline
