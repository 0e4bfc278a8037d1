// Files of arrays and tables but CSV, by the reader that the first byte chooses. What comes out of
// one can be written.
#include "engine/core/error.h"
#include "engine/data/columnar.h"
#include "engine/data/edge_list.h"
#include "engine/data/idx.h"
#include "engine/data/npy.h"
#include "engine/data/sparse_rows.h"
#include "engine/data/time_series.h"
#include "pipeline/ingest/decompress.h"
#include "pipeline/ingest/hdf5.h"
#include "pipeline/ingest/zip.h"
#include "tests/fuzz/fuzz.h"

namespace beamline::fuzz {
namespace {

constexpr int64_t kMost = int64_t{16} << 20;

engine::data::Table Read(unsigned format, std::string_view bytes) {
  const pipeline::ExpansionLimit limit(static_cast<int64_t>(bytes.size()), kMost, 1000);
  engine::data::Workspace workspace({});
  switch (format) {
    case 'n':
      return engine::data::ReadNpyFiles("x", {}, bytes);
    case 'z':
      return engine::data::ReadArrays(pipeline::ReadNpz(bytes, limit));
    case 'h':
      return pipeline::ReadHdf5(bytes, limit, workspace);
    case 'i': {
      engine::data::MemorySource source(bytes);
      return engine::data::ReadIdx(source, {.names = {}, .max_array_bytes = kMost, .store = {}});
    }
    case 't':
      return engine::data::ReadTimeSeries(bytes, {}, kMost);
    case 'e':
      return engine::data::ReadEdgeList(bytes, {});
    case 's':
      return engine::data::ReadSparseRows(bytes, kMost);
    default: {
      const auto compression = pipeline::DetectCompression(bytes);
      if (compression == pipeline::Compression::kNone) engine::Fail("it is not compressed");
      const auto source = pipeline::Decompress(compression, bytes, limit);
      engine::data::MemoryValueStore store;
      const pipeline::Content content = pipeline::ReadAll(*source, store);
      return engine::data::ReadEdgeList(content.bytes, {});
    }
  }
}

}  // namespace

void Fuzz(std::string_view bytes) {
  Choices choices(bytes);
  const unsigned format = choices.Byte();
  Thrown<engine::Error>([&] {
    const engine::data::Table table = Read(format, choices.rest());
    size_t size = 0;
    WriteColumnar(table, [&](std::string_view piece) { size += piece.size(); });
    Require(size > 0, "a table is written");
  });
}

}  // namespace beamline::fuzz
