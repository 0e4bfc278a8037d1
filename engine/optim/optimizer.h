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
//   AdaGrad   s += g^2;  w -= r g / (sqrt(s) + epsilon)   (Duchi et al. 2011)
// These are PyTorch's, to the bit of rounding. Weight decay applies to every parameter.
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
  Value numbers;     // [kUpdateNumbers]: UpdateNumbers below
  Value clip_limit;  // []: the largest global norm; no value without clipping
};

// Appends updates of `parameters` by their `gradients` (a parameter without gradient stays as it
// is). Optimiser state is called "optimizer/<parameter>/<i>". With `clip`, all gradients are scaled
// by min(1, limit / global L2 norm) first.
UpdateInputs AppendUpdates(Graph* graph, std::span<const Value> parameters,
                           std::span<const Value> gradients, UpdateRule rule, bool clip);

// The numbers of step `step` (from 0) at this learning rate.
std::array<double, kUpdateNumbers> UpdateNumbers(const OptimizerSpec& optimizer,
                                                 double learning_rate, int64_t step);

}  // namespace beamline::engine
