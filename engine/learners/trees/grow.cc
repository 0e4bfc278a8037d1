#include "engine/learners/xgboost/grow.h"

#include <xgboost/c_api.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iomanip>
#include <limits>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

void Check(int result) {
  if (result != 0) Fail("XGBoost: ", XGBGetLastError());
}

// A booster of the library.
class Booster {
 public:
  explicit Booster(DMatrixHandle data) { Check(XGBoosterCreate(&data, 1, &handle_)); }
  // Owns it.
  explicit Booster(BoosterHandle* handle) : handle_(*handle) {}
  ~Booster() { XGBoosterFree(handle_); }
  Booster(const Booster&) = delete;
  Booster& operator=(const Booster&) = delete;

  void Set(const char* name, const std::string& value) {
    Check(XGBoosterSetParam(handle_, name, value.c_str()));
  }
  BoosterHandle handle() const { return handle_; }

 private:
  BoosterHandle handle_ = nullptr;
};

// Multiples of 2^-22 of the power of two above the largest: sums of up to 2^31 of them fit a
// double.
void Round(std::span<float> numbers) {
  float largest = 0;
  for (const float number : numbers) largest = std::max(largest, std::abs(number));
  if (!(largest > 0) || !std::isfinite(largest)) return;
  int exponent = 0;
  std::frexp(largest, &exponent);
  const double unit = std::ldexp(1.0, exponent - 22);
  for (float& number : numbers) {
    number = static_cast<float>(std::nearbyint(static_cast<double>(number) / unit) * unit);
  }
}

// The number behind `key` in a line of the library's text, such as "1:leaf=0.3,cover=12".
double NumberAfter(std::string_view line, std::string_view key) {
  const size_t at = line.find(key);
  double number = 0;
  if (at != std::string_view::npos) {
    const char* begin = line.data() + at + key.size();
    if (std::from_chars(begin, line.data() + line.size(), number).ec == std::errc()) return number;
  }
  Fail("XGBoost wrote a tree that is not understood: ", line);
}

// A float as the library writes it: read as one, and not by way of a double.
float FloatAfter(std::string_view line, std::string_view key) {
  const size_t at = line.find(key);
  float number = 0;
  if (at != std::string_view::npos) {
    const char* begin = line.data() + at + key.size();
    if (std::from_chars(begin, line.data() + line.size(), number).ec == std::errc()) return number;
  }
  Fail("XGBoost wrote a tree that is not understood: ", line);
}

// A line a node: "0:[f2<2.45] yes=1,no=2,missing=1,gain=3,cover=80" or "1:leaf=0.3,cover=12".
Tree Parse(std::string_view text) {
  std::map<int64_t, TreeNode> nodes;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
    if (line.empty()) continue;
    TreeNode& node = nodes[static_cast<int64_t>(NumberAfter(line, ""))];
    if (line.find(":leaf=") != std::string_view::npos) {
      node.value = FloatAfter(line, ":leaf=");
      continue;
    }
    node.feature = static_cast<int64_t>(NumberAfter(line, ":[f"));
    node.value = FloatAfter(line, "<");
    node.left = static_cast<int64_t>(NumberAfter(line, "yes="));
    node.right = static_cast<int64_t>(NumberAfter(line, "no="));
    node.gain = FloatAfter(line, "gain=");
  }
  // The library leaves gaps where it pruned.
  std::map<int64_t, int64_t> places;
  for (const auto& [id, node] : nodes) places.emplace(id, static_cast<int64_t>(places.size()));
  Tree tree;
  for (auto& [id, node] : nodes) {
    if (node.feature >= 0) {
      node.left = places.at(node.left);
      node.right = places.at(node.right);
    }
    tree.push_back(node);
  }
  return tree;
}

}  // namespace

struct TreeGrower::Data {
  DMatrixHandle handle = nullptr;
  // Of the trees since the last restart.
  std::unique_ptr<Booster> booster;
  int trees = 0;
  ~Data() {
    booster.reset();
    XGDMatrixFree(handle);
  }
};

TreeGrower::TreeGrower(const RowMatrix& rows, GrowSettings settings, int threads)
    : data_(std::make_unique<Data>()), settings_(settings), threads_(threads) {
  Check(XGDMatrixCreateFromMat_omp(
      rows.x.data(), static_cast<bst_ulong>(rows.rows), static_cast<bst_ulong>(rows.features),
      std::numeric_limits<float>::quiet_NaN(), &data_->handle, threads));
}

TreeGrower::~TreeGrower() = default;

void TreeGrower::Restart(uint32_t seed) {
  data_->trees = 0;
  data_->booster = std::make_unique<Booster>(data_->handle);
  Booster& booster = *data_->booster;
  booster.Set("verbosity", "0");
  booster.Set("booster", "gbtree");
  booster.Set("tree_method", "hist");
  booster.Set("base_score", "0");
  booster.Set("disable_default_eval_metric", "1");
  booster.Set("nthread", std::to_string(threads_));
  booster.Set("seed", std::to_string(seed));
  booster.Set("max_depth", std::to_string(settings_.max_depth));
  booster.Set("max_bin", std::to_string(settings_.bins));
  const auto number = [&](const char* name, double value) {
    std::ostringstream text;
    text << std::setprecision(17) << value;
    booster.Set(name, text.str());
  };
  number("eta", settings_.learning_rate);
  number("lambda", settings_.penalty);
  number("gamma", settings_.min_gain);
  number("min_child_weight", settings_.min_child_weight);
  number("colsample_bytree", settings_.tree_feature_share);
  number("colsample_bynode", settings_.split_feature_share);
}

Tree TreeGrower::Grow(std::span<float> gradients, std::span<float> curvatures) {
  Round(gradients);
  Round(curvatures);
  Check(XGBoosterBoostOneIter(data_->booster->handle(), data_->handle, gradients.data(),
                              curvatures.data(), static_cast<bst_ulong>(gradients.size())));
  BoosterHandle newest = nullptr;
  Check(XGBoosterSlice(data_->booster->handle(), data_->trees, data_->trees + 1, 1, &newest));
  ++data_->trees;
  const Booster slice(&newest);
  bst_ulong count = 0;
  const char** texts = nullptr;
  Check(XGBoosterDumpModelEx(slice.handle(), "", 1, "text", &count, &texts));
  if (count != 1) Fail("XGBoost made ", count, " trees in place of one");
  return Parse(texts[0]);
}

}  // namespace beamline::engine
