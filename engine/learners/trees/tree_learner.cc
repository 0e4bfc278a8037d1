#include "engine/learners/trees/tree_learner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

// Of the seed: rows of a tree.
constexpr uint64_t kRowStream = 0x726F7773;
constexpr int64_t kTileRows = 512;
// As XGBoost has it.
constexpr double kLeastCurvature = 1e-16;

// 2: of trees that are grown here. XGBoost's went on otherwise from the same state.
std::string Describe(const TreeSettings& s) {
  return Concat(s.boosts ? "boosted trees 2 " : "forest 2 ", s.trees, ' ', s.grow.max_depth, ' ',
                Exact(s.grow.learning_rate), ' ', Exact(s.grow.penalty), ' ',
                Exact(s.grow.min_gain), ' ', Exact(s.grow.min_child_weight), ' ',
                Exact(s.grow.tree_feature_share), ' ', Exact(s.grow.split_feature_share), ' ',
                s.grow.bins, ' ', Exact(s.row_share), ' ', s.patience, ' ', s.seed);
}

// p[i, k]: the probability of class k, from the sums of rows; of two classes p[i] is that of the
// second.
void Probabilities(const float* sums, int64_t count, int64_t columns, double* p) {
  const auto exps = cpu::FindLearnerKernels().Exps;
  if (columns == 1) {
    std::copy_n(sums, count, p);
    exps(-1, count, p);
    for (int64_t i = 0; i < count; ++i) p[i] = 1 / (1 + p[i]);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const float* row = sums + i * columns;
    const float top = *std::max_element(row, row + columns);
    for (int64_t k = 0; k < columns; ++k) p[i * columns + k] = static_cast<double>(row[k] - top);
  }
  exps(1, count * columns, p);
  for (int64_t i = 0; i < count; ++i) {
    double total = 0;
    for (int64_t k = 0; k < columns; ++k) total += p[i * columns + k];
    for (int64_t k = 0; k < columns; ++k) p[i * columns + k] /= total;
  }
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
  grower_ = std::make_unique<TreeGrower>(training_rows_.rows, settings_.grow, &pool());
}

void TreeLearner::Follow(const BatchSource& source, Followed* followed) {
  followed->rows = ReadRows(source, &pool());
  followed->sums.assign(static_cast<size_t>(source.rows() * columns()), 0.0F);
  AddTrees(0, roots_.size(), followed);
}

void TreeLearner::AddTrees(size_t first, size_t last, Followed* followed) {
  const RowMatrix& rows = followed->rows;
  pool().ParallelFor((rows.rows + kTileRows - 1) / kTileRows, [&](int64_t tile) {
    const int64_t row = tile * kTileRows;
    AddLeaves(first, last, rows.x.data() + row * rows.features,
              std::min(kTileRows, rows.rows - row), followed->sums.data() + row * columns());
  });
}

// Tree by tree: it stays in the cache while some rows pass, and these go down side by side.
void TreeLearner::AddLeaves(size_t first, size_t last, const float* x, int64_t count,
                            float* sums) const {
  constexpr int64_t kRows = 64, kTogether = 8;
  const int64_t width = features();
  for (int64_t begin = 0; begin < count; begin += kRows) {
    const int64_t end = std::min(count, begin + kRows);
    for (size_t tree = first; tree < last; ++tree) {
      float* to = sums + static_cast<int64_t>(tree) % columns();
      for (int64_t i = begin; i < end; i += kTogether) {
        const int64_t rows = std::min(kTogether, end - i);
        int32_t at[kTogether];
        std::fill_n(at, kTogether, static_cast<int32_t>(roots_[tree]));
        for (int32_t level = 0; level < depths_[tree]; ++level) {
          for (int64_t k = 0; k < rows; ++k) {
            const Step& step = steps_[static_cast<size_t>(at[k])];
            const bool below = x[(i + k) * width + step.feature] < step.value;
            at[k] = step.children[below ? 0 : 1];
          }
        }
        for (int64_t k = 0; k < rows; ++k) {
          to[(i + k) * columns()] += steps_[static_cast<size_t>(at[k])].value;
        }
      }
    }
  }
}

void TreeLearner::AddTree(const Tree& tree) {
  const auto root = static_cast<int64_t>(nodes_.size());
  roots_.push_back(root);
  for (TreeNode node : tree) {
    node.left += root;
    node.right += root;
    nodes_.push_back(node);
  }
  MakeSteps();
}

// Children follow their parents.
void TreeLearner::MakeSteps() {
  if (nodes_.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    Fail("the trees have more nodes than 2^31: grow fewer, or lower max_depth");
  }
  const size_t begin = std::min(steps_.size(), nodes_.size());
  steps_.resize(begin);
  const size_t known = std::min(depths_.size(), roots_.size());
  depths_.resize(known);
  depths_.resize(roots_.size(), 0);
  struct Place {
    size_t tree = 0;
    int32_t level = 0;
  };
  std::vector<Place> places(nodes_.size() - begin);
  for (size_t tree = known; tree < roots_.size(); ++tree) {
    places[static_cast<size_t>(roots_[tree]) - begin] = {tree, 0};
  }
  for (size_t i = begin; i < nodes_.size(); ++i) {
    const TreeNode& node = nodes_[i];
    const auto own = static_cast<int32_t>(i);
    if (node.feature < 0) {
      steps_.push_back({0, node.value, {own, own}});
      continue;
    }
    steps_.push_back({static_cast<int32_t>(node.feature),
                      node.value,
                      {static_cast<int32_t>(node.left), static_cast<int32_t>(node.right)}});
    const Place& place = places[i - begin];
    const Place below = {place.tree, place.level + 1};
    places[static_cast<size_t>(node.left) - begin] = below;
    places[static_cast<size_t>(node.right) - begin] = below;
    int32_t& depth = depths_[below.tree];
    depth = std::max(depth, below.level);
  }
}

bool TreeLearner::Drawn(int64_t round, int64_t row) const {
  if (settings_.row_share >= 1) return true;
  const Philox random(settings_.seed, kRowStream);
  const auto at = static_cast<uint64_t>(round) * static_cast<uint64_t>(training_rows_.rows.rows);
  return static_cast<double>(random.Uniform(at + static_cast<uint64_t>(row))) < settings_.row_share;
}

// Of all columns, [columns, rows]: probabilities are found once.
void TreeLearner::FindGradients(int64_t round, std::vector<float>* gradients,
                                std::vector<float>* curvatures) {
  const RowMatrix& rows = training_rows_.rows;
  pool().ParallelFor((rows.rows + kTileRows - 1) / kTileRows, [&](int64_t tile) {
    const int64_t first = tile * kTileRows;
    const int64_t count = std::min(kTileRows, rows.rows - first);
    const float* sums = training_rows_.sums.data() + first * columns();
    std::vector<double> p(static_cast<size_t>(count * columns()));
    if (settings_.boosts && classes() > 0) Probabilities(sums, count, columns(), p.data());
    for (int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<size_t>(first + i);
      const double weight = Drawn(round, first + i) ? static_cast<double>(rows.weights[row]) : 0;
      for (int64_t column = 0; column < columns(); ++column) {
        double target = 0;
        if (classes() == 0) {
          target = static_cast<double>(rows.y[row]);
        } else {
          target = rows.labels[row] == (classes() == 2 ? 1 : column) ? 1 : 0;
        }
        double gradient = -target, curvature = 1;
        if (settings_.boosts && classes() == 0) {
          gradient = static_cast<double>(sums[i]) - target;
        } else if (settings_.boosts) {
          const double own = p[static_cast<size_t>(i * columns() + column)];
          gradient = own - target;
          // XGBoost's own: of several classes twice as much.
          curvature = std::max((classes() == 2 ? 1 : 2) * own * (1 - own), kLeastCurvature);
        }
        const auto at = static_cast<size_t>(column * rows.rows) + row;
        (*gradients)[at] = static_cast<float>(weight * gradient);
        (*curvatures)[at] = static_cast<float>(weight * curvature);
      }
    }
  });
}

// What trees say of the rows that they grew from is known without following them.
void TreeLearner::GrowRound(int64_t round) {
  const int64_t count = training_rows_.rows.rows;
  std::vector<float> gradients(static_cast<size_t>(count * columns())), curvatures(gradients);
  FindGradients(round, &gradients, &curvatures);
  std::vector<float> said;
  for (int64_t column = 0; column < columns(); ++column) {
    const auto own = [&](std::vector<float>& all) {
      return std::span(all).subspan(static_cast<size_t>(column * count),
                                    static_cast<size_t>(count));
    };
    AddTree(grower_->Grow(own(gradients), own(curvatures),
                          static_cast<uint64_t>(round * columns() + column), &said));
    float* sums = training_rows_.sums.data() + column;
    for (const float one : said) {
      *sums += one;
      sums += columns();
    }
  }
}

void TreeLearner::Advance(StepReport* report) {
  Prepare();
  const size_t before = roots_.size();
  GrowRound(step());
  if (validation() != nullptr) AddTrees(before, roots_.size(), &validation_rows_);
  report->epoch = step();
  if (settings_.patience > 0) Watch(report);
  report->loss = TrainingLoss();
}

// Of rows that are followed anyhow: the same as Evaluate of them, but for rounding.
double TreeLearner::TrainingLoss() {
  const RowMatrix& rows = training_rows_.rows;
  const int64_t tiles = (rows.rows + kTileRows - 1) / kTileRows;
  std::vector<double> losses(static_cast<size_t>(tiles)), weights(losses.size());
  pool().ParallelFor(tiles, [&](int64_t tile) {
    const int64_t first = tile * kTileRows;
    const int64_t count = std::min(kTileRows, rows.rows - first);
    std::vector<float> said(static_cast<size_t>(count * outputs()));
    Finish(training_rows_.sums.data() + first * columns(), count, said.data());
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(first + i);
      const double loss = LossOf(rows, first + i, said.data() + i * outputs(), outputs());
      const auto weight = static_cast<double>(rows.weights[at]);
      losses[static_cast<size_t>(tile)] += weight * loss;
      weights[static_cast<size_t>(tile)] += std::abs(weight);
    }
  });
  double loss = 0, weight = 0;
  for (size_t tile = 0; tile < losses.size(); ++tile) {
    loss += losses[tile];
    weight += weights[tile];
  }
  return weight > 0 ? loss / weight : 0;
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
  MakeSteps();
  for (Followed* followed : {&training_rows_, &validation_rows_}) {
    std::fill(followed->sums.begin(), followed->sums.end(), 0.0F);
    AddTrees(0, trees, followed);
  }
}

void TreeLearner::Finish(const float* sums, int64_t count, float* out) const {
  const auto trees = static_cast<double>(std::max<int64_t>(rounds(), 1));
  if (classes() == 0) {
    for (int64_t i = 0; i < count; ++i) {
      out[i] =
          settings_.boosts ? sums[i] : static_cast<float>(static_cast<double>(sums[i]) / trees);
    }
    return;
  }
  std::vector<double> p(static_cast<size_t>(count * columns()));
  if (settings_.boosts) {
    Probabilities(sums, count, columns(), p.data());
  } else {
    for (size_t i = 0; i < p.size(); ++i) {
      p[i] = std::clamp(static_cast<double>(sums[i]) / trees, 0.0, columns() == 1 ? 1.0 : 1e30);
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    const double* own = p.data() + i * columns();
    float* to = out + i * classes();
    if (classes() == 2) {
      to[0] = static_cast<float>(1 - own[0]);
      to[1] = static_cast<float>(own[0]);
      continue;
    }
    double total = 0;
    for (int64_t k = 0; k < classes(); ++k) total += own[k];
    for (int64_t k = 0; k < classes(); ++k) {
      to[k] = static_cast<float>(total > 0 ? own[k] / total : 1 / static_cast<double>(classes()));
    }
  }
}

void TreeLearner::PredictRows(const float* x, int64_t count, float* out) const {
  std::vector<float> sums(static_cast<size_t>(count * columns()));
  AddLeaves(0, roots_.size(), x, count, sums.data());
  Finish(sums.data(), count, out);
}

bool TreeLearner::PredictKnown(const BatchSource& source, std::span<const int64_t> rows,
                               float* out) const {
  if (grower_ == nullptr) return false;
  const Followed* known = &source == &training()    ? &training_rows_
                          : &source == validation() ? &validation_rows_
                                                    : nullptr;
  if (known == nullptr) return false;
  std::vector<float> sums;
  for (const int64_t row : rows) {
    const float* from = known->sums.data() + row * columns();
    sums.insert(sums.end(), from, from + columns());
  }
  Finish(sums.data(), static_cast<int64_t>(rows.size()), out);
  return true;
}

int64_t TreeLearner::PeakBytes() const {
  const int64_t followed = validation() != nullptr ? validation()->rows() : 0;
  return training().rows() * (features() * 4 + columns() * 12 + 24) +
         followed * (features() * 4 + columns() * 4 + 8) +
         TreeGrower::BytesOf(training().rows(), features(), settings_.grow);
}

}  // namespace beamline::engine
