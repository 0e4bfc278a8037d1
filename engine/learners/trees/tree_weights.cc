// TreeLearner: what leaves it and comes back.
#include <algorithm>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/learners/trees/tree_learner.h"

namespace beamline::engine {
namespace {

template <typename T, typename Get>
Tensor Column(const std::vector<TreeNode>& nodes, const Get& get) {
  std::vector<T> values;
  values.reserve(nodes.size());
  for (const TreeNode& node : nodes) values.push_back(get(node));
  return Tensor::From<T>({static_cast<int64_t>(values.size())}, values);
}

}  // namespace

std::vector<double> TreeLearner::Importance() const {
  std::vector<double> gains(static_cast<size_t>(features()));
  double total = 0;
  for (const TreeNode& node : nodes_) {
    if (node.feature < 0) continue;
    gains[static_cast<size_t>(node.feature)] += static_cast<double>(node.gain);
    total += static_cast<double>(node.gain);
  }
  for (double& gain : gains) gain = total > 0 ? gain / total : 0;
  return gains;
}

std::vector<NamedTensor> TreeLearner::Weights() const {
  std::vector<NamedTensor> weights;
  weights.push_back({"features", Column<int64_t>(nodes_, [](const auto& n) { return n.feature; })});
  weights.push_back({"gains", Column<float>(nodes_, [](const auto& n) { return n.gain; })});
  weights.push_back({"left", Column<int64_t>(nodes_, [](const auto& n) { return n.left; })});
  weights.push_back({"right", Column<int64_t>(nodes_, [](const auto& n) { return n.right; })});
  weights.push_back(
      {"roots", Tensor::From<int64_t>({static_cast<int64_t>(roots_.size())}, roots_)});
  weights.push_back({"values", Column<float>(nodes_, [](const auto& n) { return n.value; })});
  return weights;
}

void TreeLearner::SetWeights(const std::vector<NamedTensor>& weights) {
  const Tensor& first = FindWeight(weights, "features", DType::kInt64);
  const int64_t count = first.NumElements();
  const auto integers = [&](const char* name) {
    return FindWeight(weights, name, DType::kInt64, {count}).values<int64_t>();
  };
  const auto floats = [&](const char* name) {
    return FindWeight(weights, name, DType::kFloat32, {count}).values<float>();
  };
  const auto feature = integers("features"), left = integers("left"), right = integers("right");
  const auto value = floats("values"), gain = floats("gains");
  std::vector<TreeNode> nodes;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    const TreeNode node{feature[at], value[at], left[at], right[at], gain[at]};
    const bool leads_on = std::min(node.left, node.right) > i &&
                          std::max(node.left, node.right) < count && node.feature < features();
    if (node.feature >= 0 && !leads_on) Fail("node ", i, " of the trees leads nowhere");
    nodes.push_back(node);
  }
  const auto roots = FindWeight(weights, "roots", DType::kInt64).values<int64_t>();
  if (roots.size() % static_cast<size_t>(columns()) != 0) {
    Fail("there are ", roots.size(), " trees, not the same number for each class");
  }
  for (const int64_t root : roots) {
    if (root < 0 || root >= count) Fail("a tree has no root");
  }
  nodes_ = std::move(nodes);
  roots_.assign(roots.begin(), roots.end());
  steps_.clear();
  depths_.clear();
  MakeSteps();
}

void TreeLearner::SaveState(CheckpointWriter* out) const {
  out->Integer(nodes_.size());
  out->Integer(roots_.size());
  for (const NamedTensor& weight : Weights()) out->Elements(weight.tensor);
  out->Integer(stopped_ ? 1 : 0);
  out->Number(best_loss_);
  out->Integer(static_cast<uint64_t>(best_rounds_));
}

void TreeLearner::LoadState(CheckpointReader* in) {
  const int64_t count = in->Count();
  const int64_t trees = in->Count();
  // Each takes some bytes of what is left: a damaged number is found before memory is taken.
  if (count < 0 || count > int64_t{1} << 34 || trees < 0 || trees > count) {
    Fail("the checkpoint is damaged: ", count, " nodes of ", trees, " trees");
  }
  std::vector<NamedTensor> weights;
  for (const char* name : {"features", "gains", "left", "right", "roots", "values"}) {
    const std::string key = name;
    const bool is_float = key == "gains" || key == "values";
    Tensor tensor({key == "roots" ? trees : count}, is_float ? DType::kFloat32 : DType::kInt64);
    in->Elements(&tensor);
    weights.push_back({key, std::move(tensor)});
  }
  const bool stopped = in->Integer() != 0;
  const double best_loss = in->Number();
  const int64_t best_rounds = in->Count();
  in->Finish();
  SetWeights(weights);
  stopped_ = stopped;
  best_loss_ = best_loss;
  best_rounds_ = best_rounds;
  grower_.reset();
  Prepare();
}

}  // namespace beamline::engine
