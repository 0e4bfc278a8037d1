#include "engine/learners/vectors/trainer.h"

#include <map>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

// Rows by their class; of numbers all of them.
std::vector<std::vector<int64_t>> SegmentsOf(const RowMatrix& rows) {
  std::vector<std::vector<int64_t>> segments(1);
  for (int64_t row = 0; row < rows.rows; ++row) {
    const auto label = rows.labels.empty()
                           ? size_t{0}
                           : static_cast<size_t>(rows.labels[static_cast<size_t>(row)]);
    if (label >= segments.size()) segments.resize(label + 1);
    segments[label].push_back(row);
  }
  return segments;
}

}  // namespace

VectorTrainer::VectorTrainer(const SupportVectorSpec& spec, double gamma, const RowMatrix& rows,
                             ThreadPool* pool)
    : spec_(spec),
      y_(rows.y),
      kernels_(spec, gamma, rows, SegmentsOf(rows), int64_t{kKernelCacheMebibytes} << 20, pool) {}

Decision VectorTrainer::Solve(std::vector<SmoPiece> pieces) {
  std::vector<std::pair<int64_t, double>> parts;
  for (const SmoPiece& piece : pieces) parts.emplace_back(piece.segment, piece.sign);
  const SmoSolution solution = SolveSmo(std::move(pieces), spec_.cost, spec_.tolerance, &kernels_);
  if (!solution.converged) {
    Fail("the support vectors do not come within the tolerance of ", spec_.tolerance,
         ": scale the features, or take a lower cost or a larger tolerance");
  }
  std::map<int64_t, double> coefficients;
  for (size_t p = 0; p < parts.size(); ++p) {
    const auto& [segment, sign] = parts[p];
    const std::vector<double>& variables = solution.variables[p];
    for (size_t i = 0; i < variables.size(); ++i) {
      if (!(variables[i] > 0)) continue;
      const int64_t row = kernels_.RowAt(kernels_.Begin(segment) + static_cast<int64_t>(i));
      coefficients[row] += sign * variables[i];
    }
  }
  Decision decision;
  decision.constant = solution.constant;
  for (const auto& [row, coefficient] : coefficients) {
    decision.rows.push_back(row);
    decision.coefficients.push_back(coefficient);
  }
  return decision;
}

int64_t VectorTrainer::SizeOf(int32_t label) const {
  return label < kernels_.segments() ? kernels_.Size(label) : 0;
}

Decision VectorTrainer::Constant(int32_t first, int32_t second) const {
  Decision decision;
  if (SizeOf(first) > 0) decision.constant = -1;
  if (SizeOf(second) > 0) decision.constant = 1;
  return decision;
}

Decision VectorTrainer::TrainPair(int32_t first, int32_t second) {
  std::vector<SmoPiece> pieces;
  for (const int32_t label : {first, second}) {
    const int64_t size = SizeOf(label);
    if (size == 0) return Constant(first, second);
    const double sign = label == first ? 1 : -1;
    pieces.push_back({label, sign, std::vector<double>(static_cast<size_t>(size), sign)});
  }
  return Solve(std::move(pieces));
}

// Two variables a row, which pull what is said of it up and down.
Decision VectorTrainer::TrainNumbers() {
  std::vector<SmoPiece> pieces;
  for (const double sign : {1.0, -1.0}) {
    std::vector<double> scores(static_cast<size_t>(kernels_.Size(0)));
    for (size_t i = 0; i < y_.size(); ++i) {
      scores[i] = static_cast<double>(y_[i]) - sign * spec_.epsilon;
    }
    pieces.push_back({0, sign, std::move(scores)});
  }
  return Solve(std::move(pieces));
}

}  // namespace beamline::engine
