// Optimisers as nodes of the graph.
//
// With g = clip * gradient + weight_decay * w, t the step from 1, r the learning rate:
//   SGD       w -= r g
//   momentum  v = momentum v + g;  w -= r v
//   Nesterov  v = momentum v + g;  w -= r (g + momentum v)
//   Adam      m = b1 m + (1 - b1) g;  s = b2 s + (1 - b2) g^2
//             w -= r / (1 - b1^t) * m / (sqrt(s) / sqrt(1 - b2^t) + epsilon)   (Kingma, Ba 2015)
//   AdamW     w *= 1 - r * weight_decay, then as Adam with g = clip * gradient
//             (Loshchilov, Hutter 2019)
//   RMSProp   s = decay s + (1 - decay) g^2;  w -= r g / (sqrt(s) + epsilon)
//             with momentum: v = momentum v + g / (sqrt(s) + epsilon);  w -= r v
//   AdaGrad   s += g^2;  w -= r g / (sqrt(s) + epsilon)   (Duchi et al. 2011)
//   LAMB      m and s as Adam with g = clip * gradient
//             u = m / (1 - b1^t) / (sqrt(s) / sqrt(1 - b2^t) + epsilon) + weight_decay * w
//             w -= r * |w| / |u| * u, the ratio 1 where a norm is 0   (You et al. 2020)
// All but LAMB are PyTorch's, to the bit of rounding. Weight decay applies to every parameter, or
// to those of two dimensions and more.
#pragma once

#include <array>
#include <span>

#include "engine/graph/graph.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine {

// Throws Error if a number of the optimiser makes no sense; the message names it.
void CheckOptimizer(const OptimizerSpec& optimizer);

UpdateRule RuleOf(const OptimizerSpec& optimizer);

// What the caller writes before each run of a graph with updates.
struct UpdateInputs {
  Value numbers;      // [kUpdateNumbers]: UpdateNumbers below
  Value undecayed;    // the same WithoutDecay; no value where all parameters decay
  Value clip_limit;   // []: the largest global norm; no value without clipping
  Value value_limit;  // []: the largest gradient of one number; idem
};

struct UpdateOptions {
  UpdateRule rule = UpdateRule::kSgd;
  // Gradients are scaled by min(1, limit / global L2 norm).
  bool clip_norm = false;
  // Before that, each number is kept within +-limit.
  bool clip_value = false;
  bool decay_matrices_only = false;
};

// Appends updates of `parameters` by their `gradients` (a parameter without gradient stays as it
// is). Optimiser state is called "optimizer/<parameter>/<i>".
UpdateInputs AppendUpdates(Graph* graph, std::span<const Value> parameters,
                           std::span<const Value> gradients, const UpdateOptions& options);

// The numbers of step `step` (from 0) at this learning rate.
std::array<double, kUpdateNumbers> UpdateNumbers(const OptimizerSpec& optimizer,
                                                 double learning_rate, int64_t step);

// Those numbers for parameters that do not decay.
std::array<double, kUpdateNumbers> WithoutDecay(std::array<double, kUpdateNumbers> numbers,
                                                UpdateRule rule);

}  // namespace beamline::engine
