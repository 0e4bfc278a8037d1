#include "engine/learners/network_runner.h"

#include <algorithm>

namespace beamline::engine {
namespace {

// Categories of each code column: the smallest that any embedding allows.
std::vector<int64_t> CategoriesOf(const NetworkSpec& spec, const BatchLayout& layout) {
  std::vector<int64_t> categories(static_cast<size_t>(layout.code_columns));
  for (const LayerSpec& layer : spec.layers) {
    if (layer.kind != LayerKind::kEmbedding) continue;
    for (size_t c = 0; c < categories.size(); ++c) {
      const int64_t allowed = layer.categories[layer.categories.size() == 1 ? 0 : c];
      categories[c] = categories[c] == 0 ? allowed : std::min(categories[c], allowed);
    }
  }
  return categories;
}

}  // namespace

NetworkRunner::NetworkRunner(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch,
                             NetworkMode mode, Variables* variables, ThreadPool* pool)
    : batch_(batch),
      mode_(mode),
      network_(BuildNetwork(spec, layout, batch, mode)),
      executor_(network_.graph, FindBackend(spec.backend), variables, pool, spec.seed),
      clip_limit_(spec.clip_norm),
      value_limit_(spec.clip_value),
      rule_(RuleOf(spec.optimizer)),
      class_weight_values_(spec.loss.class_weights.begin(), spec.loss.class_weights.end()),
      categories_(CategoriesOf(spec, layout)),
      classes_(layout.classes) {
  const auto numbers = [this](Value value) {
    return value.valid() ? executor_.Data<float>(value) : std::span<float>();
  };
  features_ = numbers(network_.features);
  targets_ = numbers(network_.targets);
  weights_ = numbers(network_.weights);
  class_weights_ = numbers(network_.class_weights);
  numbers_ = numbers(network_.update.numbers);
  undecayed_ = numbers(network_.update.undecayed);
  clip_ = numbers(network_.update.clip_limit);
  value_clip_ = numbers(network_.update.value_limit);
  loss_ = numbers(network_.loss);
  main_loss_ = numbers(network_.main_loss);
  weight_sum_ = numbers(network_.weight_sum);
  if (mode != NetworkMode::kTraining) output_ = numbers(network_.output);
  probabilities_ = numbers(network_.probabilities);
  row_losses_ = numbers(network_.row_losses);
  shares_ = spec.objective == Objective::kReconstruct &&
            spec.loss.kind == LossKind::kBinaryCrossEntropy && mode != NetworkMode::kPrediction;
  if (network_.codes.valid()) codes_ = executor_.Data<int32_t>(network_.codes);
  if (network_.labels.valid()) labels_ = executor_.Data<int32_t>(network_.labels);
  for (const auto& [value, rate] : network_.rates) {
    rates_.emplace_back(numbers(value), static_cast<float>(rate));
  }
  if (network_.targets.valid() && layout.classes > 0) {
    label_buffer_.resize(static_cast<size_t>(batch));
  }
}

void NetworkRunner::Feed(const BatchSource& source, std::span<const int64_t> rows) {
  BatchView view;
  view.features = features_.data();
  view.codes = codes_.data();
  view.weights = source.layout().has_weights ? weights_.data() : nullptr;
  view.labels = label_buffer_.empty() ? labels_.data() : label_buffer_.data();
  view.targets = label_buffer_.empty() ? targets_.data() : nullptr;
  source.Gather(rows, view);
  if (!codes_.empty()) CheckCodes(rows);
  if (shares_) CheckShares(rows);
  if (mode_ != NetworkMode::kPrediction) FeedTarget(rows);
  if (!weights_.empty()) {
    if (view.weights == nullptr) std::fill_n(weights_.begin(), rows.size(), 1.0f);
    std::fill(weights_.begin() + static_cast<ptrdiff_t>(rows.size()), weights_.end(), 0.0f);
  }
  if (!class_weights_.empty()) {
    std::copy(class_weight_values_.begin(), class_weight_values_.end(), class_weights_.begin());
  }
  for (const auto& [number, rate] : rates_) number[0] = rate;
}

void NetworkRunner::CheckCodes(std::span<const int64_t> rows) const {
  const size_t columns = categories_.size();
  for (size_t i = 0; i < rows.size() * columns; ++i) {
    const int64_t allowed = categories_[i % columns];
    if (allowed > 0 && codes_[i] >= allowed) {
      Fail("row ", rows[i / columns] + 1, ", code column ", i % columns + 1, ": code ", codes_[i],
           " is not below the embedding's ", allowed, " categories: raise categories");
    }
  }
}

void NetworkRunner::CheckShares(std::span<const int64_t> rows) const {
  const size_t columns = features_.size() / static_cast<size_t>(batch_);
  for (size_t i = 0; i < rows.size() * columns; ++i) {
    if (features_[i] >= 0 && features_[i] <= 1) continue;
    Fail("row ", rows[i / columns] + 1, ", feature ", i % columns + 1, " is ", features_[i],
         ": binary cross-entropy reconstructs features from 0 to 1: scale them, or use mean "
         "squared error");
  }
}

void NetworkRunner::FeedTarget(std::span<const int64_t> rows) {
  const std::span<int32_t> labels = label_buffer_.empty() ? labels_ : std::span(label_buffer_);
  for (size_t i = 0; i < rows.size() && i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes_) {
      Fail("row ", rows[i] + 1, ": label ", labels[i], " is not in 0 to ", classes_ - 1);
    }
    if (!label_buffer_.empty()) targets_[i] = static_cast<float>(labels[i]);
  }
  // Rows that only fill the batch: any valid target.
  for (size_t i = rows.size(); i < static_cast<size_t>(batch_); ++i) {
    if (!labels_.empty()) labels_[i] = 0;
    if (!label_buffer_.empty()) targets_[i] = 0;
  }
}

void NetworkRunner::SetUpdate(const std::array<double, kUpdateNumbers>& numbers) {
  std::copy(numbers.begin(), numbers.end(), numbers_.begin());
  if (!undecayed_.empty()) {
    const auto undecayed = WithoutDecay(numbers, rule_);
    std::copy(undecayed.begin(), undecayed.end(), undecayed_.begin());
  }
  if (!clip_.empty()) clip_[0] = static_cast<float>(clip_limit_);
  if (!value_clip_.empty()) value_clip_[0] = static_cast<float>(value_limit_);
}

}  // namespace beamline::engine
