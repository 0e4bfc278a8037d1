#include "engine/learners/weights.h"

#include <algorithm>
#include <cstring>

#include "engine/core/error.h"

namespace beamline::engine {

void AssignWeights(const std::vector<std::string>& names, const std::vector<NamedTensor>& weights,
                   Variables* variables) {
  std::vector<bool> given(names.size());
  for (const NamedTensor& weight : weights) {
    const auto found = std::lower_bound(names.begin(), names.end(), weight.name);
    if (found == names.end() || *found != weight.name) {
      Fail("the network has no weight \"", weight.name, "\": it belongs to another network");
    }
    given[static_cast<size_t>(found - names.begin())] = true;
    const Tensor& tensor = variables->Get(weight.name);
    if (tensor.shape() != weight.tensor.shape() || tensor.dtype() != weight.tensor.dtype()) {
      Fail("weight \"", weight.name, "\" has shape ", weight.tensor.shape(),
           " but the network needs ", tensor.shape());
    }
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (!given[i]) Fail("the weight \"", names[i], "\" is missing");
  }
  for (const NamedTensor& weight : weights) {
    std::memcpy(variables->Get(weight.name).raw(), weight.tensor.raw(),
                static_cast<size_t>(weight.tensor.size_bytes()));
  }
}

}  // namespace beamline::engine
