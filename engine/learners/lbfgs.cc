#include "engine/learners/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

constexpr size_t kPairs = 10;
// Of the weak Wolfe conditions, and how often a step length is tried.
constexpr double kDecrease = 1e-4;
constexpr double kCurvature = 0.9;
constexpr int kTries = 60;

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double Largest(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

// to += factor * from
void AddTo(std::vector<double>* to, double factor, const std::vector<double>& from) {
  for (size_t i = 0; i < to->size(); ++i) (*to)[i] += factor * from[i];
}

void WriteNumbers(const std::vector<double>& numbers, CheckpointWriter* out) {
  out->Elements(Tensor::From<double>({static_cast<int64_t>(numbers.size())}, numbers));
}

std::vector<double> ReadNumbers(size_t size, CheckpointReader* in) {
  Tensor tensor({static_cast<int64_t>(size)}, DType::kFloat64);
  in->Elements(&tensor);
  const auto values = std::as_const(tensor).values<double>();
  return {values.begin(), values.end()};
}

}  // namespace

Lbfgs::Lbfgs(Function f, std::vector<double> x, double tolerance)
    : f_(std::move(f)), tolerance_(tolerance), x_(std::move(x)), gradient_(x_.size()) {}

void Lbfgs::Start() {
  value_ = f_(x_, &gradient_);
  started_ = true;
  done_ = Largest(gradient_) <= tolerance_;
}

// Minus the inverse Hessian, as the pairs have it, times the gradient.
std::vector<double> Lbfgs::Direction() const {
  std::vector<double> direction = gradient_;
  std::vector<double> factors(pairs_.size());
  for (size_t i = pairs_.size(); i-- > 0;) {
    const Pair& pair = pairs_[i];
    factors[i] = Dot(pair.step, direction) / Dot(pair.step, pair.change);
    AddTo(&direction, -factors[i], pair.change);
  }
  const double scale = pairs_.empty() ? 1 / std::max(1.0, std::sqrt(Dot(gradient_, gradient_)))
                                      : Dot(pairs_.back().step, pairs_.back().change) /
                                            Dot(pairs_.back().change, pairs_.back().change);
  for (double& number : direction) number *= scale;
  for (size_t i = 0; i < pairs_.size(); ++i) {
    const Pair& pair = pairs_[i];
    const double factor = Dot(pair.change, direction) / Dot(pair.step, pair.change);
    AddTo(&direction, factors[i] - factor, pair.step);
  }
  for (double& number : direction) number = -number;
  return direction;
}

bool Lbfgs::Step() {
  if (!started_) Start();
  if (done_) return false;
  const std::vector<double> direction = Direction();
  const double slope = Dot(direction, gradient_);
  double low = 0, high = 0, length = 1;
  std::vector<double> x, gradient(x_.size());
  double value = 0;
  bool found = false;
  for (int i = 0; i < kTries && !found; ++i) {
    x = x_;
    AddTo(&x, length, direction);
    value = f_(x, &gradient);
    if (!(value <= value_ + kDecrease * length * slope)) {
      high = length;
    } else if (Dot(direction, gradient) < kCurvature * slope) {
      low = length;
    } else {
      found = true;
      continue;
    }
    length = high > 0 ? (low + high) / 2 : 2 * low;
  }
  // As low as the numbers' precision allows.
  if (!found && !(value < value_)) {
    done_ = true;
    return false;
  }
  Pair pair{x, gradient};
  AddTo(&pair.step, -1, x_);
  AddTo(&pair.change, -1, gradient_);
  if (Dot(pair.step, pair.change) > 0) {
    if (pairs_.size() == kPairs) pairs_.erase(pairs_.begin());
    pairs_.push_back(std::move(pair));
  }
  x_ = std::move(x);
  gradient_ = std::move(gradient);
  value_ = value;
  done_ = Largest(gradient_) <= tolerance_;
  return true;
}

void Lbfgs::Save(CheckpointWriter* out) const {
  out->Integer(started_ ? 1 : 0);
  out->Integer(done_ ? 1 : 0);
  out->Number(value_);
  WriteNumbers(x_, out);
  WriteNumbers(gradient_, out);
  out->Integer(pairs_.size());
  for (const Pair& pair : pairs_) {
    WriteNumbers(pair.step, out);
    WriteNumbers(pair.change, out);
  }
}

void Lbfgs::Load(CheckpointReader* in) {
  started_ = in->Integer() != 0;
  done_ = in->Integer() != 0;
  value_ = in->Number();
  const size_t size = x_.size();
  x_ = ReadNumbers(size, in);
  gradient_ = ReadNumbers(size, in);
  const uint64_t pairs = in->Integer();
  if (pairs > kPairs) Fail("the checkpoint is damaged: ", pairs, " pairs of L-BFGS");
  pairs_.clear();
  for (uint64_t i = 0; i < pairs; ++i) {
    Pair pair{ReadNumbers(size, in), {}};
    pair.change = ReadNumbers(size, in);
    pairs_.push_back(std::move(pair));
  }
}

}  // namespace beamline::engine
