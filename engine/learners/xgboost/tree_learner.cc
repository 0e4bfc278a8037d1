#include "engine/learners/xgboost/tree_learner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

// Of the seed: rows of a tree, and the library's own draws.
constexpr uint64_t kRowStream = 0x726F7773;
constexpr uint64_t kTreeStream = 0x74726565;
constexpr int64_t kTileRows = 512;
// As the library has it.
constexpr double kLeastCurvature = 1e-16;

// Numbers for which one more thread pays: the library starts and joins them at every node of a
// tree.
constexpr int64_t kNumbersOfThread = int64_t{1} << 20;

std::string Describe(const TreeSettings& s) {
  return Concat(s.boosts ? "boosted trees " : "forest ", s.trees, ' ', s.grow.max_depth, ' ',
                Exact(s.grow.learning_rate), ' ', Exact(s.grow.penalty), ' ',
                Exact(s.grow.min_gain), ' ', Exact(s.grow.min_child_weight), ' ',
                Exact(s.grow.tree_feature_share), ' ', Exact(s.grow.split_feature_share), ' ',
                s.grow.bins, ' ', Exact(s.row_share), ' ', s.patience, ' ', s.seed);
}

double Sigmoid(float x) { return 1 / (1 + std::exp(-static_cast<double>(x))); }

// Probability of class k, from the sums of all.
double Softmax(const float* sums, int64_t classes, int64_t k) {
  const float top = *std::max_element(sums, sums + classes);
  double total = 0;
  for (int64_t c = 0; c < classes; ++c) total += std::exp(static_cast<double>(sums[c] - top));
  return std::exp(static_cast<double>(sums[k] - top)) / total;
}

template <typename T, typename Get>
Tensor Column(const std::vector<TreeNode>& nodes, const Get& get) {
  std::vector<T> values;
  values.reserve(nodes.size());
  for (const TreeNode& node : nodes) values.push_back(get(node));
  return Tensor::From<T>({static_cast<int64_t>(values.size())}, values);
}

}  // namespace

TreeLearner::TreeLearner(const TreeSettings& settings, const LearnerData& data)
    : RowLearner(data, settings.threads, Describe(settings)), settings_(settings) {
  if (layout().targets > 1) Fail("trees predict one number, not several");
  if (settings_.patience > 0 && data.training != nullptr && data.validation == nullptr) {
    Fail("patience needs validation rows");
  }
}

void TreeLearner::Prepare() {
  if (grower_ != nullptr) return;
  Follow(training(), &training_rows_);
  if (validation() != nullptr) Follow(*validation(), &validation_rows_);
  const int64_t numbers = training().rows() * features();
  const auto threads =
      static_cast<int>(std::clamp<int64_t>(numbers / kNumbersOfThread, 1, settings_.threads));
  grower_ = std::make_unique<TreeGrower>(training_rows_.rows, settings_.grow, threads);
}

void TreeLearner::Follow(const BatchSource& source, Followed* followed) {
  followed->rows = ReadRows(source, &pool());
  followed->sums.assign(static_cast<size_t>(source.rows() * columns()), 0.0F);
  AddTrees(0, followed);
}

void TreeLearner::AddTrees(size_t first, Followed* followed) {
  const RowMatrix& rows = followed->rows;
  pool().ParallelFor((rows.rows + kTileRows - 1) / kTileRows, [&](int64_t tile) {
    const int64_t end = std::min(rows.rows, (tile + 1) * kTileRows);
    for (int64_t i = tile * kTileRows; i < end; ++i) {
      float* const sums = followed->sums.data() + i * columns();
      for (size_t tree = first; tree < roots_.size(); ++tree) {
        sums[static_cast<int64_t>(tree) % columns()] +=
            Leaf(tree, rows.x.data() + i * rows.features);
      }
    }
  });
}

float TreeLearner::Leaf(size_t tree, const float* x) const {
  const TreeNode* node = &nodes_[static_cast<size_t>(roots_[tree])];
  while (node->feature >= 0) {
    node = &nodes_[static_cast<size_t>(x[node->feature] < node->value ? node->left : node->right)];
  }
  return node->value;
}

void TreeLearner::AddTree(const Tree& tree) {
  const auto root = static_cast<int64_t>(nodes_.size());
  roots_.push_back(root);
  for (TreeNode node : tree) {
    node.left += root;
    node.right += root;
    nodes_.push_back(node);
  }
}

bool TreeLearner::Drawn(int64_t row) const {
  if (settings_.row_share >= 1) return true;
  const Philox random(settings_.seed, kRowStream);
  const auto at = static_cast<uint64_t>(step()) * static_cast<uint64_t>(training_rows_.rows.rows);
  return static_cast<double>(random.Uniform(at + static_cast<uint64_t>(row))) < settings_.row_share;
}

void TreeLearner::FindGradients(int64_t column, std::vector<float>* gradients,
                                std::vector<float>* curvatures) const {
  const RowMatrix& rows = training_rows_.rows;
  for (int64_t i = 0; i < rows.rows; ++i) {
    const auto at = static_cast<size_t>(i);
    const float* sums = training_rows_.sums.data() + i * columns();
    double target = 0;
    if (classes() == 0) {
      target = static_cast<double>(rows.y[at]);
    } else {
      target = rows.labels[at] == (classes() == 2 ? 1 : column) ? 1 : 0;
    }
    double gradient = -target, curvature = 1;
    if (settings_.boosts && classes() == 0) {
      gradient = static_cast<double>(sums[0]) - target;
    } else if (settings_.boosts) {
      const double p = classes() == 2 ? Sigmoid(sums[0]) : Softmax(sums, classes(), column);
      gradient = p - target;
      // The library's own: of several classes twice as much.
      curvature = std::max((classes() == 2 ? 1 : 2) * p * (1 - p), kLeastCurvature);
    }
    const double weight = Drawn(i) ? static_cast<double>(rows.weights[at]) : 0;
    (*gradients)[at] = static_cast<float>(weight * gradient);
    (*curvatures)[at] = static_cast<float>(weight * curvature);
  }
}

void TreeLearner::Advance(StepReport* report) {
  Prepare();
  const auto count = static_cast<size_t>(training_rows_.rows.rows);
  std::vector<float> gradients(count), curvatures(count);
  const size_t before = roots_.size();
  const Philox random(settings_.seed, kTreeStream);
  std::vector<Tree> trees;
  for (int64_t column = 0; column < columns(); ++column) {
    FindGradients(column, &gradients, &curvatures);
    const auto number = static_cast<uint64_t>(step() * columns() + column);
    trees.push_back(
        grower_->Grow(gradients, curvatures, static_cast<uint32_t>(random.Below(number, 1 << 30))));
  }
  for (const Tree& tree : trees) AddTree(tree);
  AddTrees(before, &training_rows_);
  if (validation() != nullptr) AddTrees(before, &validation_rows_);
  report->epoch = step();
  if (settings_.patience > 0) Watch(report);
  report->loss = Evaluate(training()).loss;
}

void TreeLearner::Watch(StepReport* report) {
  const double loss = Evaluate(*validation()).loss;
  if (best_rounds_ == 0 || loss < best_loss_) {
    best_loss_ = loss;
    best_rounds_ = rounds();
    report->improved = true;
  }
  stopped_ = rounds() - best_rounds_ >= settings_.patience;
  if (stopped_ || rounds() == settings_.trees) Cut(best_rounds_);
}

void TreeLearner::Cut(int64_t rounds) {
  const auto trees = static_cast<size_t>(rounds * columns());
  if (trees == roots_.size()) return;
  nodes_.resize(static_cast<size_t>(roots_[trees]));
  roots_.resize(trees);
  for (Followed* followed : {&training_rows_, &validation_rows_}) {
    std::fill(followed->sums.begin(), followed->sums.end(), 0.0F);
    AddTrees(0, followed);
  }
}

void TreeLearner::Finish(const float* sums, float* out) const {
  const auto count = static_cast<double>(std::max<int64_t>(rounds(), 1));
  if (classes() == 0) {
    out[0] = settings_.boosts ? sums[0] : static_cast<float>(static_cast<double>(sums[0]) / count);
  } else if (classes() == 2) {
    const double p = settings_.boosts ? Sigmoid(sums[0])
                                      : std::clamp(static_cast<double>(sums[0]) / count, 0.0, 1.0);
    out[0] = static_cast<float>(1 - p);
    out[1] = static_cast<float>(p);
  } else if (settings_.boosts) {
    for (int64_t k = 0; k < classes(); ++k) {
      out[k] = static_cast<float>(Softmax(sums, classes(), k));
    }
  } else {
    double total = 0;
    for (int64_t k = 0; k < classes(); ++k) total += static_cast<double>(std::max(sums[k], 0.0F));
    for (int64_t k = 0; k < classes(); ++k) {
      out[k] = static_cast<float>(total > 0 ? static_cast<double>(std::max(sums[k], 0.0F)) / total
                                            : 1 / static_cast<double>(classes()));
    }
  }
}

void TreeLearner::PredictRows(const float* x, int64_t count, float* out) const {
  std::vector<float> sums(static_cast<size_t>(columns()));
  for (int64_t i = 0; i < count; ++i) {
    std::fill(sums.begin(), sums.end(), 0.0F);
    for (size_t tree = 0; tree < roots_.size(); ++tree) {
      sums[tree % sums.size()] += Leaf(tree, x + i * features());
    }
    Finish(sums.data(), out + i * outputs());
  }
}

bool TreeLearner::PredictKnown(const BatchSource& source, std::span<const int64_t> rows,
                               float* out) const {
  if (grower_ == nullptr) return false;
  const Followed* known = &source == &training()    ? &training_rows_
                          : &source == validation() ? &validation_rows_
                                                    : nullptr;
  if (known == nullptr) return false;
  for (size_t i = 0; i < rows.size(); ++i) {
    Finish(known->sums.data() + rows[i] * columns(), out + static_cast<int64_t>(i) * outputs());
  }
  return true;
}

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

int64_t TreeLearner::PeakBytes() const {
  return training().rows() * (features() * 16 + columns() * 4 + 24);
}

}  // namespace beamline::engine
