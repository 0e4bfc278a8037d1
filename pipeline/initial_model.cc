#include "pipeline/initial_model.h"

#include <algorithm>

#include "engine/core/error.h"

namespace beamline::pipeline {

namespace {

// Vectors of tokens, which are a table by themselves, are the table of an embedding of their name.
bool IsThatOf(const std::string& other, const std::string& own) {
  return other == own || other + ".table" == own;
}

}  // namespace

void TakeTextCodes(const engine::data::FittedTransforms& from, engine::data::FittedTransforms* to) {
  for (size_t side = 0; side < std::min(from.columns.size(), to->columns.size()); ++side) {
    const engine::data::FittedColumn& other = from.columns[side];
    engine::data::FittedColumn& column = to->columns[side];
    if (column.column == other.column) column.categories = other.categories;
  }
}

void TakeCodes(const engine::data::FittedTransforms& from, engine::data::FittedTransforms* to) {
  using Output = engine::data::FittedColumn::Output;
  for (engine::data::FittedColumn& column : to->columns) {
    for (const engine::data::FittedColumn& other : from.columns) {
      if (column.output != Output::kCode || other.output != Output::kCode) continue;
      if (column.column == other.column) column.categories = other.categories;
    }
  }
}

std::vector<std::string> TakeWeights(const std::vector<engine::NamedTensor>& from,
                                     engine::Learner* learner) {
  std::vector<engine::NamedTensor> weights = learner->Weights();
  std::vector<std::string> own;
  for (engine::NamedTensor& weight : weights) {
    const auto found = std::find_if(from.begin(), from.end(), [&](const auto& other) {
      return IsThatOf(other.name, weight.name) && other.tensor.shape() == weight.tensor.shape();
    });
    if (found == from.end()) {
      own.push_back(weight.name);
    } else {
      weight.tensor = found->tensor.Clone();
    }
  }
  if (own.size() == weights.size()) {
    engine::Fail("no layer there has the name and shape of one here: give layers that are alike ",
                 "one name");
  }
  learner->SetWeights(weights);
  return own;
}

}  // namespace beamline::pipeline
