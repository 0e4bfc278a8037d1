// dataset histogram, correlation.

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/distributions.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/matrix_plot.h"
#include "clients/cli/references.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

constexpr int64_t kTimeoutMs = 600'000;
constexpr size_t kPairsShown = 20;

absl::Status WriteTo(Invocation& invocation, const char* flag, const std::string& bytes) {
  const std::string path = invocation.args().Get(flag);
  if (path.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(WriteFileAtomically(path, bytes));
  invocation.Note(absl::StrCat(path, "\n"));
  return absl::OkStatus();
}

absl::StatusOr<double> NumberFlag(Invocation& invocation, const char* flag) {
  const std::string text = invocation.args().Get(flag);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return UsageError(absl::StrFormat("--%s is \"%s\"; give a number", flag, text));
  }
  return value;
}

Distribution ToDistribution(const v1::ComputeHistogramRequest& request,
                            const v1::ComputeHistogramResponse& response) {
  Distribution distribution;
  distribution.column = request.column();
  distribution.edges = {response.edges().begin(), response.edges().end()};
  distribution.categories = {response.categories().begin(), response.categories().end()};
  for (const auto& series : response.series()) {
    distribution.series.push_back({.label = series.category(),
                                   .counts = {series.counts().begin(), series.counts().end()},
                                   .color = static_cast<int>(distribution.series.size())});
  }
  return distribution;
}

absl::StatusOr<ExitCode> Histogram(Invocation& invocation) {
  v1::ComputeHistogramRequest request;
  request.set_column(invocation.args().Get("column"));
  if (request.column().empty()) return UsageError("say of what: --column NAME");
  ASSIGN_OR_RETURN(const int64_t bins, invocation.args().Integer("bins", 50, 1, 1000));
  request.set_bins(static_cast<int>(bins));
  request.set_by_column(invocation.args().Get("by"));
  request.set_weight_column(invocation.args().Get("weight"));
  if (invocation.args().Has("min")) {
    ASSIGN_OR_RETURN(const double min, NumberFlag(invocation, "min"));
    request.set_min(min);
  }
  if (invocation.args().Has("max")) {
    ASSIGN_OR_RETURN(const double max, NumberFlag(invocation, "max"));
    request.set_max(max);
  }
  ASSIGN_OR_RETURN(const std::string name,
                   ResolveDataset(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::ComputeHistogramResponse response,
                   invocation.Call(kComputeHistogram, request, kTimeoutMs));
  const Distribution distribution = ToDistribution(request, response);
  const std::string title = request.by_column().empty()
                                ? request.column()
                                : absl::StrCat(request.column(), " by ", request.by_column());
  RETURN_IF_ERROR(WriteTo(invocation, "svg", DistributionSvg(distribution, title)));
  RETURN_IF_ERROR(WriteTo(invocation, "csv", DistributionCsv(distribution)));
  if (invocation.json()) {
    invocation.PrintJson(response);
    return ExitCode::kOk;
  }
  invocation.Print(DistributionText(distribution, invocation.out()));
  double other = 0;
  for (const auto& series : response.series()) other += series.other();
  if (other != 0) {
    invocation.Note(
        absl::StrCat(HumanNumber(other, 6), " rows are in no bin: missing or outside\n"));
  }
  return ExitCode::kOk;
}

// The pairs that go together most closely, of a table that is too wide for the terminal.
std::string StrongestPairs(const v1::ComputeCorrelationResponse& response) {
  struct Pair {
    int a, b;
    double value;
  };
  const int size = response.columns_size();
  std::vector<Pair> pairs;
  for (int i = 0; i < size; ++i) {
    for (int j = i + 1; j < size; ++j) {
      const double value = response.values(i * size + j);
      if (std::isfinite(value)) pairs.push_back({i, j, value});
    }
  }
  std::ranges::stable_sort(pairs, std::greater(),
                           [](const Pair& pair) { return std::abs(pair.value); });
  Table table({{"COLUMN"}, {"AND"}, {"CORRELATION", Table::Align::kRight}});
  for (size_t k = 0; k < std::min(pairs.size(), kPairsShown); ++k) {
    table.Add({response.columns(pairs[k].a), response.columns(pairs[k].b),
               absl::StrFormat("%.4f", pairs[k].value)});
  }
  return table.Render();
}

absl::StatusOr<ExitCode> Correlation(Invocation& invocation) {
  v1::ComputeCorrelationRequest request;
  const std::string method = invocation.args().Get("method", "pearson");
  if (method == "spearman") {
    request.set_method(v1::ComputeCorrelationRequest::METHOD_SPEARMAN);
  } else if (method != "pearson") {
    return UsageError(absl::StrFormat("--method is \"%s\"; give pearson or spearman", method));
  }
  if (const std::string columns = invocation.args().Get("columns"); !columns.empty()) {
    for (const auto& column : absl::StrSplit(columns, ',')) {
      request.add_columns(std::string(column.data(), column.size()));
    }
  }
  ASSIGN_OR_RETURN(const std::string name,
                   ResolveDataset(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::ComputeCorrelationResponse response,
                   invocation.Call(kComputeCorrelation, request, kTimeoutMs));
  const Matrix matrix{.row_axis = "",
                      .column_axis = "",
                      .names = {response.columns().begin(), response.columns().end()},
                      .values = {response.values().begin(), response.values().end()},
                      .shades = Shades::kSigned};
  RETURN_IF_ERROR(WriteTo(invocation, "csv", MatrixCsv(matrix)));
  if (const std::string svg = MatrixSvg(matrix, absl::StrCat("correlation (", method, ")"));
      !svg.empty()) {
    RETURN_IF_ERROR(WriteTo(invocation, "svg", svg));
  } else if (invocation.args().Has("svg")) {
    invocation.Note("there are too many columns for a picture: name some with --columns\n");
  }
  if (invocation.json()) {
    invocation.PrintJson(response);
    return ExitCode::kOk;
  }
  const std::string text = MatrixText(matrix);
  invocation.Print(text.empty() ? StrongestPairs(response) : text);
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> DatasetLookingCommands() {
  const Flag svg = {"svg", "FILE", "Write a picture", Completion::kFile};
  const Flag csv = {"csv", "FILE", "Write the numbers as a table", Completion::kFile};
  return {
      {.path = "dataset histogram",
       .summary = "Show how the values of a column are distributed, by classes of another",
       .positionals = {{.name = "DATASET"}},
       .flags = {{"column", "NAME", "Of numbers or of categories"},
                 {"by", "NAME", "A column with at most 100 different values: one line for each"},
                 {"bins", "N", "So many bins, or the most frequent categories (default 50)"},
                 {"min", "NUMBER", "Where the bins begin (default: the least value)"},
                 {"max", "NUMBER", "Where they end (default: the largest value)"},
                 {"weight", "NAME", "Count rows by this column"},
                 svg,
                 csv},
       .details = "DATASET is a name, or the first digits of its digest.",
       .run = Histogram},
      {.path = "dataset correlation",
       .summary = "Show how the columns of numbers go together",
       .positionals = {{.name = "DATASET"}},
       .flags = {{"columns", "A,B,...", "Only these (default: all columns of plain numbers)"},
                 {"method", "METHOD", "pearson, or spearman: of ranks (default pearson)"},
                 svg,
                 csv},
       .details = "Of more than 20 columns: the 20 pairs that go together most closely; --csv and\n"
                  "--json have all.",
       .run = Correlation},
  };
}

}  // namespace beamline::cli
