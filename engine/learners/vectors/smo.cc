#include "engine/learners/vectors/smo.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr float kNever = std::numeric_limits<float>::infinity();
// In place of curvatures that are not positive.
constexpr double kLeastCurvature = 1e-12;
constexpr int64_t kMostIterations = 10'000'000;

class Smo {
 public:
  Smo(std::vector<SmoPiece> pieces, double cost, double tolerance, KernelCache* kernels)
      : cost_(cost), tolerance_(tolerance), kernels_(*kernels) {
    for (SmoPiece& piece : pieces) {
      const auto size = static_cast<size_t>(kernels_.Size(piece.segment));
      Part& part = parts_.emplace_back();
      part.segment = piece.segment;
      part.sign = piece.sign;
      part.scores = std::move(piece.scores);
      part.values.resize(size);
      part.rise.assign(size, -kNever);
      part.fall.assign(size, kNever);
      for (size_t i = 0; i < size; ++i) {
        if (kernels_.RowAt(kernels_.Begin(part.segment) + static_cast<int64_t>(i)) < 0) continue;
        Bound(&part, i);
      }
    }
  }

  SmoSolution Solve() {
    const std::vector<float> nothing(static_cast<size_t>(LargestPart()));
    std::vector<const float*> zeros(parts_.size(), nothing.data());
    Move(0, zeros, 0, zeros);
    int64_t variables = 0;
    for (const Part& part : parts_) variables += static_cast<int64_t>(part.values.size());
    const int64_t most = std::max(kMostIterations, 100 * variables);
    SmoSolution solution;
    for (int64_t i = 0; highest_.value - lowest_.value >= tolerance_; ++i) {
      solution.converged = i < most;
      if (!solution.converged || !Improve()) break;
    }
    solution.constant = Constant();
    for (Part& part : parts_) solution.variables.push_back(std::move(part.values));
    return solution;
  }

 private:
  struct Part {
    int64_t segment;
    double sign;
    std::vector<double> scores;
    std::vector<double> values;
    std::vector<float> rise, fall;  // whether a score's sign times the variable may grow or shrink
  };
  struct Variable {
    double value = 0;  // what it was found by
    size_t part = 0;
    size_t at = 0;
  };

  int64_t LargestPart() const {
    int64_t largest = 0;
    for (const Part& part : parts_) largest = std::max(largest, kernels_.Size(part.segment));
    return largest;
  }

  void Bound(Part* part, size_t at) const {
    const bool grows = part->values[at]<cost_, shrinks = part->values[at]> 0;
    part->rise[at] = (part->sign > 0 ? grows : shrinks) ? 0 : -kNever;
    part->fall[at] = (part->sign > 0 ? shrinks : grows) ? 0 : kNever;
  }

  int64_t PlaceOf(const Variable& one) const {
    return kernels_.Begin(parts_[one.part].segment) + static_cast<int64_t>(one.at);
  }

  // Of a variable with those of all parts; valid until the kernels of two others are asked for.
  std::vector<const float*> KernelsOf(const Variable& one) {
    std::vector<const float*> rows;
    for (const Part& part : parts_) rows.push_back(kernels_.Kernels(PlaceOf(one), part.segment));
    return rows;
  }

  void Move(double a, const std::vector<const float*>& x, double b,
            const std::vector<const float*>& y) {
    highest_.value = -kInfinity;
    lowest_.value = kInfinity;
    for (size_t p = 0; p < parts_.size(); ++p) {
      Part& part = parts_[p];
      const auto range =
          loops_.MoveScores(a, x[p], b, y[p], part.rise.data(), part.fall.data(),
                            static_cast<int64_t>(part.scores.size()), part.scores.data());
      if (range.highest.value >= highest_.value) {
        highest_ = {range.highest.value, p, static_cast<size_t>(range.highest.at)};
      }
      if (range.lowest.value <= lowest_.value) {
        lowest_ = {range.lowest.value, p, static_cast<size_t>(range.lowest.at)};
      }
    }
  }

  // False if no pair lowers the sum.
  bool Improve() {
    const Variable first = highest_;
    const std::vector<const float*> of_first = KernelsOf(first);
    const double* diagonal = kernels_.Diagonal();
    const double own = diagonal[PlaceOf(first)];
    Variable second;
    for (size_t p = 0; p < parts_.size(); ++p) {
      const Part& part = parts_[p];
      const auto found = loops_.FindPartner(
          first.value, own, kLeastCurvature, of_first[p], diagonal + kernels_.Begin(part.segment),
          part.scores.data(), part.fall.data(), static_cast<int64_t>(part.scores.size()));
      if (found.value >= second.value) second = {found.value, p, static_cast<size_t>(found.at)};
    }
    if (!(second.value > 0)) return false;
    Part& rising = parts_[first.part];
    Part& falling = parts_[second.part];
    const double curvature =
        std::max(kLeastCurvature, own + diagonal[PlaceOf(second)] -
                                      2 * static_cast<double>(of_first[second.part][second.at]));
    double& up = rising.values[first.at];
    double& down = falling.values[second.at];
    const double room_up = rising.sign > 0 ? cost_ - up : up;
    const double room_down = falling.sign > 0 ? down : cost_ - down;
    const double wanted = (first.value - falling.scores[second.at]) / curvature;
    const double step = std::min({wanted, room_up, room_down});
    // At a bound exactly.
    up = step == room_up ? (rising.sign > 0 ? cost_ : 0) : up + rising.sign * step;
    down = step == room_down ? (falling.sign > 0 ? 0 : cost_) : down - falling.sign * step;
    Bound(&rising, first.at);
    Bound(&falling, second.at);
    Move(step, of_first, -step, KernelsOf(second));
    return true;
  }

  // Minus the mean score of the variables between their bounds; if there are none, of the range
  // that the others leave.
  double Constant() const {
    double sum = 0;
    int64_t count = 0;
    for (const Part& part : parts_) {
      for (size_t i = 0; i < part.values.size(); ++i) {
        if (!(part.values[i] > 0 && part.values[i] < cost_)) continue;
        sum += part.scores[i];
        ++count;
      }
    }
    if (count > 0) return -sum / static_cast<double>(count);
    return -(highest_.value + lowest_.value) / 2;
  }

  const double cost_;
  const double tolerance_;
  KernelCache& kernels_;
  const cpu::LearnerKernels& loops_ = cpu::FindLearnerKernels();
  std::vector<Part> parts_;
  Variable highest_, lowest_;
};

}  // namespace

SmoSolution SolveSmo(std::vector<SmoPiece> pieces, double cost, double tolerance,
                     KernelCache* kernels) {
  return Smo(std::move(pieces), cost, tolerance, kernels).Solve();
}

}  // namespace beamline::engine
