// What stays between runs: parameters, running statistics, optimiser state.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/graph/graph.h"

namespace beamline::engine {

struct Variable {
  Role role = Role::kParameter;
  Tensor tensor;
};

// The parameters and states of one model by name, shared by all graphs that were made of it. The
// tensors keep their place in memory for the life of this object. Not thread-safe.
class Variables {
 public:
  // Creates those of the graph's parameters and states that are not there yet, with their initial
  // values: an element depends on (seed, name, index) alone. Throws Error if one is there with
  // another shape or type.
  void Create(const Graph& graph, uint64_t seed);

  // Ascending by name.
  const std::map<std::string, Variable, std::less<>>& all() const { return variables_; }

  // Throws Error if there is none of that name.
  Tensor& Get(std::string_view name);
  const Tensor& Get(std::string_view name) const;

 private:
  std::map<std::string, Variable, std::less<>> variables_;
};

}  // namespace beamline::engine
