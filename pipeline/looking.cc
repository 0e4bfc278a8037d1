#include "pipeline/looking.h"

#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/data/column_histogram.h"
#include "engine/data/columnar.h"
#include "engine/data/correlation.h"
#include "engine/data/workspace.h"
#include "pipeline/class_histograms.h"

namespace beamline::pipeline {
namespace {

using engine::data::ColumnHistogram;
using engine::data::Dataset;
using engine::data::Workspace;

// Thrown where the engine asks whether to go on.
struct NotToGoOn {};

// Calls body(open dataset, workspace).
template <typename Response, typename Body>
absl::StatusOr<Response> Look(const LookOptions& options, const Body& body) {
  try {
    const Dataset dataset = engine::data::OpenColumnar(options.path, {.verify = false});
    Workspace workspace({.threads = options.threads,
                         .memory_bytes = options.memory_bytes,
                         .folder = options.folder,
                         .disk_bytes = options.disk_bytes,
                         .progress = [&](int64_t, int64_t) {
                           if (options.go_on && !options.go_on()) throw NotToGoOn();
                         }});
    return body(dataset, workspace);
  } catch (const NotToGoOn&) {
    return absl::CancelledError("nobody waits for the answer");
  } catch (const engine::Error& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

v1::ComputeHistogramResponse ToProto(const ColumnHistogram& histogram) {
  v1::ComputeHistogramResponse response;
  response.mutable_edges()->Add(histogram.edges.begin(), histogram.edges.end());
  for (const std::string& name : histogram.categories) response.add_categories(name);
  for (const ColumnHistogram::Series& series : histogram.series) {
    auto& out = *response.add_series();
    out.set_category(series.category);
    out.mutable_counts()->Add(series.counts.begin(), series.counts.end());
    out.set_other(series.other);
  }
  return response;
}

// All columns of plain numbers, truth values not among them.
std::vector<std::string> NumberColumns(const engine::data::Table& table) {
  std::vector<std::string> names;
  for (const engine::data::Column& column : table.columns()) {
    const bool plain = column.is_numeric() && column.item_size() == 1;
    if (plain && column.type() != engine::data::ColumnType::kBool) names.push_back(column.name());
  }
  if (names.empty()) engine::Fail("the dataset has no columns of plain numbers");
  return names;
}

}  // namespace

absl::StatusOr<v1::ComputeHistogramResponse> ComputeHistogram(
    const v1::ComputeHistogramRequest& request, const LookOptions& options) {
  return Look<v1::ComputeHistogramResponse>(
      options, [&](const Dataset& dataset, Workspace& workspace) {
        engine::data::HistogramSpec spec;
        spec.column = request.column();
        spec.bins = request.bins() > 0 ? request.bins() : kDefaultBins;
        spec.by = request.by_column();
        if (request.has_min()) spec.min = request.min();
        if (request.has_max()) spec.max = request.max();
        spec.weight = request.weight_column();
        return ToProto(CountColumn(dataset, spec, workspace));
      });
}

absl::StatusOr<v1::ComputeCorrelationResponse> ComputeCorrelation(
    const v1::ComputeCorrelationRequest& request, const LookOptions& options) {
  return Look<v1::ComputeCorrelationResponse>(
      options, [&](const Dataset& dataset, Workspace& workspace) {
        const std::vector<std::string> columns =
            request.columns().empty()
                ? NumberColumns(dataset.table)
                : std::vector<std::string>(request.columns().begin(), request.columns().end());
        const auto method = request.method() == v1::ComputeCorrelationRequest::METHOD_SPEARMAN
                                ? engine::data::Correlation::kSpearman
                                : engine::data::Correlation::kPearson;
        const auto values = Correlate(dataset, columns, method, workspace);
        v1::ComputeCorrelationResponse response;
        for (const std::string& name : columns) response.add_columns(name);
        response.mutable_values()->Add(values.begin(), values.end());
        return response;
      });
}

}  // namespace beamline::pipeline
