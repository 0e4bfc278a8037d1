#include "pipeline/class_histograms.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "engine/data/histogram.h"
#include "pipeline/training.h"

namespace beamline::pipeline {
namespace {

using engine::data::Bins;
using engine::data::Column;

Bins BinsOf(const Column& column, const std::vector<int64_t>& rows,
            const v1::HistogramRequest& request) {
  double min = std::numeric_limits<double>::infinity();
  double max = -min;
  for (const int64_t row : rows) {
    const double value = column.Number(row);
    if (!std::isfinite(value)) continue;
    min = std::min(min, value);
    max = std::max(max, value);
  }
  if (min > max && !(request.has_min() && request.has_max())) {
    engine::Fail("column \"", column.name(), "\" has no value in the rows that are measured");
  }
  return Bins(request.has_min() ? request.min() : min, request.has_max() ? request.max() : max,
              request.bins() > 0 ? request.bins() : kDefaultBins);
}

void AddHistogram(const Column& column, const ClassifiedRows& rows,
                  const v1::HistogramRequest& request, v1::Evaluation* evaluation) {
  if (!column.is_numeric() || column.item_size() != 1) {
    engine::Fail("column \"", column.name(), "\" is ", column.is_numeric() ? "of arrays" : "text",
                 ": histograms by class are of plain numbers");
  }
  const Bins bins = BinsOf(column, rows.rows, request);
  const auto classes = static_cast<size_t>(evaluation->classes_size());
  const auto width = static_cast<size_t>(bins.size());
  std::vector<double> counts(2 * classes * width);
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    const int64_t bin = bins.Find(column.Number(rows.rows[i]));
    if (bin < 0) continue;
    const double weight = rows.weights.empty() ? 1 : static_cast<double>(rows.weights[i]);
    const auto label = static_cast<size_t>(rows.labels[i]);
    const auto predicted = static_cast<size_t>(rows.predicted[i]);
    counts[label * width + static_cast<size_t>(bin)] += weight;
    counts[(classes + predicted) * width + static_cast<size_t>(bin)] += weight;
  }
  v1::ClassHistogram& out = *evaluation->add_histograms();
  out.set_column(column.name());
  out.mutable_edges()->Add(bins.edges().begin(), bins.edges().end());
  for (size_t k = 0; k < 2 * classes; ++k) {
    v1::ClassHistogram::Series& series = *out.add_series();
    series.set_class_(evaluation->classes(static_cast<int>(k % classes)));
    series.set_predicted(k >= classes);
    const auto first = counts.begin() + static_cast<int64_t>(k * width);
    series.mutable_counts()->Add(first, first + bins.size());
  }
}

}  // namespace

void AddHistograms(const engine::data::Table& table, const ClassifiedRows& rows,
                   const google::protobuf::RepeatedPtrField<v1::HistogramRequest>& requests,
                   const std::string& path, v1::Evaluation* evaluation) {
  int64_t counts = 0;
  for (int i = 0; i < requests.size(); ++i) {
    const int64_t bins = requests[i].bins() > 0 ? requests[i].bins() : kDefaultBins;
    counts += 2 * bins * evaluation->classes_size();
    if (counts > kMostCounts) {
      throw PlacedError(
          absl::StrCat("histograms of ", evaluation->classes_size(), " classes have more than ",
                       kMostCounts, " counts together: ask for fewer bins or columns"),
          path);
    }
    At(absl::StrCat(path, ".", i, ".column"),
       [&] { AddHistogram(table.Get(requests[i].column()), rows, requests[i], evaluation); });
  }
}

}  // namespace beamline::pipeline
