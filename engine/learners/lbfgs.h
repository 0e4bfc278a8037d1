// Minimises a smooth function by its gradients: limited-memory BFGS.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/learners/checkpoint.h"

namespace beamline::engine {

// Liu, Nocedal 1989, with ten pairs; the step length satisfies the weak Wolfe conditions (bisection
// of Lewis, Overton 2013). Not thread-safe. Everything is a function of what `f` gives.
class Lbfgs {
 public:
  // Gives f(x) and its gradient.
  using Function =
      std::function<double(const std::vector<double>& x, std::vector<double>* gradient)>;

  // Starts at `x`. `tolerance`: ends when no element of the gradient is larger.
  Lbfgs(Function f, std::vector<double> x, double tolerance);

  // One iteration, which lowers f. False, and nothing changed, if it cannot be lowered any more.
  bool Step();
  // No element of the gradient is above the tolerance, or no step lowers f.
  bool done() const { return done_; }
  const std::vector<double>& x() const { return x_; }
  double value() const { return value_; }

  // Everything that the rest depends on.
  void Save(CheckpointWriter* out) const;
  // Throws Error, and leaves this object unfit for use, if the bytes are of another size.
  void Load(CheckpointReader* in);

 private:
  struct Pair {
    std::vector<double> step;
    std::vector<double> change;  // of the gradient
  };
  std::vector<double> Direction() const;
  void Start();

  Function f_;
  double tolerance_;
  std::vector<double> x_;
  std::vector<double> gradient_;
  double value_ = 0;
  bool started_ = false;
  bool done_ = false;
  std::vector<Pair> pairs_;  // the oldest first
};

}  // namespace beamline::engine
