// Checks an op in three lines: its gradients against central differences, and a backend's values
// and gradients against the reference in float64.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace beamline::engine::testing {

// Builds what is to be tested: adds parameters named as it likes and returns a value of any shape.
// It is called twice, with a float64 and with a float32 graph.
using BuildFn = std::function<Value(Graph& g)>;

struct GradientCheck {
  // Codes of the graph's CodesInput values, by name.
  std::vector<std::pair<std::string, std::vector<int32_t>>> codes;
  // Numbers of the graph's Input values, by name.
  std::vector<std::pair<std::string, std::vector<double>>> inputs;
  // Parameters are drawn uniformly from this range.
  double low = -1;
  double high = 1;
  // Relative to the largest gradient.
  double tolerance64 = 1e-6;
  double tolerance32 = 2e-5;
};

// Reduces build's value to a scalar loss (weighted squared error to a fixed target; or takes it as
// it is, if it is a scalar), and expects that
//  - reference in float64: gradients equal central differences (when `backend` is "reference"),
//  - `backend` in float32, optimised graph: value and gradients equal those of the reference.
void CheckGradients(const std::string& backend, const BuildFn& build,
                    const GradientCheck& check = {});

}  // namespace beamline::engine::testing
