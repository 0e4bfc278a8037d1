// From a file as a user has it to the columnar file that everything else reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/data/columnar.h"
#include "engine/data/csv.h"

namespace beamline::pipeline {

enum class FileFormat {
  kDetect,
  kCsv,
  kNpy,
  kNpz,
  kIdx,
  kText,
  kLibsvm,
  kTimeSeries,
  kEdgeList,
  kHdf5
};

struct IngestOptions {
  // kDetect: by the first bytes, seen through gzip and zstd; all that is not NPY, NPZ, IDX,
  // HDF5 or kTimeSeries is CSV.
  FileFormat format = FileFormat::kDetect;
  // How a CSV file is read. Its `names` serve the others too; its `threads` is overridden by
  // the one below.
  engine::data::CsvOptions csv;
  // Of how many files the input consists, one after the other. More than one only of NPY or IDX.
  int files = 1;
  // Unit: threads. The result does not depend on it.
  int threads = 1;
  // A file that becomes larger than this when decompressed is refused, as is one that grows by
  // more than max_expansion beyond the first 16 MiB (a decompression bomb). Unit: bytes, times.
  int64_t max_expanded_bytes = int64_t{64} << 30;
  int64_t max_expansion = 1000;
  // The table lies in memory up to this, and beyond it in temporary files of up to
  // max_scratch_bytes, and no more than half of what the disk has free. Unit: bytes.
  int64_t memory_bytes = int64_t{64} << 20;
  int64_t max_scratch_bytes = int64_t{512} << 30;
};

// What the columnar file holds.
struct Ingested {
  engine::data::Dataset dataset;  // mapped from the output
  int64_t size_bytes = 0;         // of the output
};

// Reads `input` and writes the columnar file to `output`, durably: under a temporary name, synced,
// renamed. `name` is what the user calls the file: for messages, and for the name of the column of
// an NPY file ("x" for x.npy). Memory is options.memory_bytes, some MiB per thread, the categories
// of texts, and what decompresses, whatever the number of rows; more lies in files beside `output`
// that have no name, so that nothing is left of them. In memory are all of LIBSVM files (of at most
// kMostSparseBytes), TS files, plain text and texts of HDF5. InvalidArgument, naming line, row
// and column where there is one, if the input cannot be read as a table; ResourceExhausted if it
// grows beyond the limits or the disk is full; NotFound or Internal if files cannot be opened, read
// or written. On failure there is no output, and nothing is left beside it.
absl::StatusOr<Ingested> Ingest(const std::string& input, std::string_view name,
                                const std::string& output, const IngestOptions& options = {});

}  // namespace beamline::pipeline
