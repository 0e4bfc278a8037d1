#include "pipeline/import.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/fitted.h"
#include "pipeline/ingest/ingest.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {
namespace {

namespace data = engine::data;

// COLUMN_TYPE_UNSPECIFIED has none.
bool ToEngine(v1::ColumnType type, data::ColumnType* out) {
  static const std::map<v1::ColumnType, data::ColumnType> kTypes = {
      {v1::COLUMN_TYPE_FLOAT64, data::ColumnType::kFloat64},
      {v1::COLUMN_TYPE_INT64, data::ColumnType::kInt64},
      {v1::COLUMN_TYPE_CATEGORICAL, data::ColumnType::kCategorical},
      {v1::COLUMN_TYPE_BOOL, data::ColumnType::kBool},
      {v1::COLUMN_TYPE_FLOAT32, data::ColumnType::kFloat32},
      {v1::COLUMN_TYPE_UINT8, data::ColumnType::kUint8}};
  const auto found = kTypes.find(type);
  if (found == kTypes.end()) return false;
  *out = found->second;
  return true;
}

IngestOptions ToIngestOptions(const v1::ImportOptions& options, int threads, int64_t max_bytes,
                              int files) {
  IngestOptions ingest;
  ingest.threads = threads;
  ingest.files = files;
  ingest.max_expanded_bytes = max_bytes;
  if (options.format() == v1::ImportOptions::FORMAT_CSV) ingest.format = FileFormat::kCsv;
  if (options.format() == v1::ImportOptions::FORMAT_NPY) ingest.format = FileFormat::kNpy;
  if (options.format() == v1::ImportOptions::FORMAT_NPZ) ingest.format = FileFormat::kNpz;
  if (options.format() == v1::ImportOptions::FORMAT_TEXT) ingest.format = FileFormat::kText;
  if (options.format() == v1::ImportOptions::FORMAT_HDF5) ingest.format = FileFormat::kHdf5;
  if (options.format() == v1::ImportOptions::FORMAT_IDX) ingest.format = FileFormat::kIdx;
  if (options.format() == v1::ImportOptions::FORMAT_LIBSVM) ingest.format = FileFormat::kLibsvm;
  if (options.format() == v1::ImportOptions::FORMAT_TS) ingest.format = FileFormat::kTimeSeries;
  if (options.format() == v1::ImportOptions::FORMAT_EDGE_LIST) {
    ingest.format = FileFormat::kEdgeList;
  }
  if (options.header() == v1::ImportOptions::HEADER_PRESENT) {
    ingest.csv.header = data::CsvHeader::kPresent;
  } else if (options.header() == v1::ImportOptions::HEADER_ABSENT) {
    ingest.csv.header = data::CsvHeader::kAbsent;
  }
  if (!options.delimiter().empty()) ingest.csv.delimiter = options.delimiter().front();
  if (!options.missing_markers().empty()) {
    ingest.csv.missing.assign(options.missing_markers().begin(), options.missing_markers().end());
  }
  ingest.csv.names.assign(options.column_names().begin(), options.column_names().end());
  for (const auto& [name, type] : options.column_types()) {
    ToEngine(static_cast<v1::ColumnType>(type), &ingest.csv.types[name]);
  }
  return ingest;
}

}  // namespace

absl::Status CheckImportOptions(const v1::ImportOptions& options) {
  Violations wrong;
  if (!v1::ImportOptions::Format_IsValid(options.format())) {
    wrong.Add("options.format", "is no format");
  }
  if (!v1::ImportOptions::Header_IsValid(options.header())) {
    wrong.Add("options.header", "is neither present nor absent");
  }
  if (options.delimiter().size() > 1) {
    wrong.Add("options.delimiter", "must be one ASCII character");
  }
  for (const auto& [name, type] : options.column_types()) {
    data::ColumnType known;
    if (!ToEngine(static_cast<v1::ColumnType>(type), &known)) {
      wrong.Add(absl::StrCat("options.column_types.", name), "is no column type");
    }
  }
  return ToInvalidArgument(wrong.list());
}

absl::StatusOr<v1::Dataset> ImportFile(const std::string& input, std::string_view display_name,
                                       const v1::ImportOptions& options, int threads,
                                       int64_t max_bytes, const std::string& output, int files) {
  RETURN_IF_ERROR(CheckImportOptions(options));
  ASSIGN_OR_RETURN(
      const Ingested ingested,
      Ingest(input, display_name, output, ToIngestOptions(options, threads, max_bytes, files)));
  v1::Dataset dataset;
  *dataset.mutable_options() = options;
  DescribeTable(ingested.dataset.table, ingested.dataset.statistics, &dataset);
  return dataset;
}

}  // namespace beamline::pipeline
