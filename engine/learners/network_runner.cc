#include "engine/learners/network_runner.h"

#include <algorithm>

#include "engine/learners/masking.h"

namespace beamline::engine {
namespace {

// What a gather layer may look up: nodes, or graphs where there is a layer that pools.
int64_t RowsToGather(const NetworkSpec& spec, const BatchLayout& layout) {
  for (const LayerSpec& layer : spec.layers) {
    if (layer.kind == LayerKind::kGraphPool) return layout.nodes->graphs;
  }
  return layout.nodes->nodes;
}

// Categories of each code column: the smallest that any embedding allows.
std::vector<int64_t> CategoriesOf(const NetworkSpec& spec, const BatchLayout& layout) {
  std::vector<int64_t> categories(static_cast<size_t>(layout.code_columns));
  const int64_t source_columns = layout.code_columns - layout.target_codes;
  for (const LayerSpec& layer : spec.layers) {
    const bool gathers = layer.kind == LayerKind::kGather || layer.kind == LayerKind::kPair;
    if (layer.kind != LayerKind::kEmbedding && !gathers) continue;
    for (size_t c = 0; c < categories.size(); ++c) {
      const bool of_target = static_cast<int64_t>(c) >= source_columns;
      if (layout.target_codes > 0 && of_target != TakesTarget(layer)) continue;
      const int64_t allowed = gathers ? RowsToGather(spec, layout)
                                      : layer.categories[layer.categories.size() == 1 ? 0 : c];
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
      masks_(spec.objective == Objective::kMasked),
      target_columns_(spec.objective == Objective::kTranslate ? layout.target_codes : 0),
      masking_(spec.masking),
      seed_(spec.seed),
      vocabulary_(Vocabulary(spec)),
      clip_limit_(spec.clip_norm),
      value_limit_(spec.clip_value),
      rule_(RuleOf(spec.optimizer)),
      class_weight_values_(spec.loss.class_weights.begin(), spec.loss.class_weights.end()),
      categories_(CategoriesOf(spec, layout)),
      classes_(layout.classes),
      judged_(static_cast<size_t>(layout.Judged())) {
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
  if (network_.target_codes.valid()) target_codes_ = executor_.Data<int32_t>(network_.target_codes);
  if (network_.labels.valid()) labels_ = executor_.Data<int32_t>(network_.labels);
  if (network_.lengths.valid()) lengths_ = executor_.Data<int32_t>(network_.lengths);
  for (const auto& [value, rate] : network_.rates) {
    rates_.emplace_back(numbers(value), static_cast<float>(rate));
  }
  if (network_.targets.valid() && layout.classes > 0) {
    label_buffer_.resize(static_cast<size_t>(batch) * judged_);
  }
  if (spec.objective == Objective::kNextToken || masks_ || target_columns_ > 0) {
    tokens_.resize(static_cast<size_t>(batch * layout.code_columns));
    token_weights_.resize(static_cast<size_t>(batch));
  }
}

void NetworkRunner::Feed(const BatchSource& source, std::span<const int64_t> rows, uint64_t step) {
  executor_.AwaitInputs();
  BatchView view;
  view.features = features_.data();
  view.codes = codes_.data();
  view.weights = source.layout().has_weights ? weights_.data() : nullptr;
  view.lengths = lengths_.data();
  if (!tokens_.empty()) {
    view.codes = tokens_.data();
    if (view.weights != nullptr) view.weights = token_weights_.data();
    source.Gather(rows, view);
    CheckCodes(rows, tokens_);
    if (target_columns_ > 0) {
      FeedTranslation(rows.size(), view.weights != nullptr);
    } else if (masks_) {
      FeedMasked(rows, view.weights != nullptr, step);
    } else {
      FeedTokens(rows.size(), view.weights != nullptr);
    }
  } else {
    view.labels = label_buffer_.empty() ? labels_.data() : label_buffer_.data();
    view.targets = label_buffer_.empty() ? targets_.data() : nullptr;
    source.Gather(rows, view);
    if (!codes_.empty()) CheckCodes(rows, codes_);
    if (shares_) CheckShares(rows);
    if (mode_ != NetworkMode::kPrediction) FeedTarget(rows);
  }
  if (!lengths_.empty()) FeedLengths(rows);
  if (!weights_.empty() && tokens_.empty()) FeedWeights(rows.size(), view.weights != nullptr);
  if (!class_weights_.empty()) {
    std::copy(class_weight_values_.begin(), class_weight_values_.end(), class_weights_.begin());
  }
  for (const auto& [number, rate] : rates_) number[0] = rate;
}

void NetworkRunner::CheckCodes(std::span<const int64_t> rows,
                               std::span<const int32_t> codes) const {
  const size_t columns = categories_.size();
  for (size_t i = 0; i < rows.size() * columns; ++i) {
    const int64_t allowed = categories_[i % columns];
    if (allowed > 0 && codes[i] >= allowed) {
      Fail("row ", rows[i / columns] + 1, ", code column ", i % columns + 1, ": code ", codes[i],
           " is not below the embedding's ", allowed, " categories: raise categories");
    }
  }
}

void NetworkRunner::CheckShares(std::span<const int64_t> rows) const {
  const size_t columns = features_.size() / static_cast<size_t>(batch_);
  // Without a way out, so that it runs on vectors; whatever is wrong is found below.
  int wrong = 0;
  for (size_t i = 0; i < rows.size() * columns; ++i) {
    wrong |= static_cast<int>(!(features_[i] >= 0.0f)) | static_cast<int>(!(features_[i] <= 1.0f));
  }
  for (size_t i = 0; wrong != 0 && i < rows.size() * columns; ++i) {
    if (features_[i] >= 0 && features_[i] <= 1) continue;
    Fail("row ", rows[i / columns] + 1, ", feature ", i % columns + 1, " is ", features_[i],
         ": binary cross-entropy reconstructs features from 0 to 1: scale them, or use mean "
         "squared error");
  }
}

void NetworkRunner::FeedLengths(std::span<const int64_t> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (lengths_[i] >= 1 && (network_.steps == 0 || lengths_[i] <= network_.steps)) continue;
    Fail("row ", rows[i] + 1, ": its length is ", lengths_[i], ", but the network reads from 1 to ",
         network_.steps, " steps: cut the row, or reshape to more steps");
  }
  // Rows that only fill the batch.
  std::fill(lengths_.begin() + static_cast<ptrdiff_t>(rows.size()), lengths_.end(), 1);
}

void NetworkRunner::FeedTarget(std::span<const int64_t> rows) {
  const std::span<int32_t> labels = label_buffer_.empty() ? labels_ : std::span(label_buffer_);
  const size_t judged = rows.size() * judged_;
  for (size_t i = 0; i < judged && i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= classes_) {
      Fail("row ", rows[i / judged_] + 1, ": label ", labels[i], " is not in 0 to ", classes_ - 1);
    }
    if (!label_buffer_.empty()) targets_[i] = static_cast<float>(labels[i]);
  }
  // Rows that only fill the batch: any valid target.
  for (size_t i = judged; i < static_cast<size_t>(batch_) * judged_; ++i) {
    if (!labels_.empty()) labels_[i] = 0;
    if (!label_buffer_.empty()) targets_[i] = 0;
  }
}

// Rows that only fill the batch, and steps beyond a row's length, weigh 0.
void NetworkRunner::FeedWeights(size_t rows, bool given) {
  const size_t judged = rows * judged_;
  if (!given) std::fill_n(weights_.begin(), judged, 1.0f);
  std::fill(weights_.begin() + static_cast<ptrdiff_t>(judged), weights_.end(), 0.0f);
  if (judged_ == 1 || lengths_.empty()) return;
  for (size_t i = 0; i < rows; ++i) {
    const auto length = std::min(static_cast<size_t>(lengths_[i]), judged_);
    float* const row = weights_.data() + i * judged_;
    std::fill(row + length, row + judged_, 0.0f);
  }
}

// Each step's label is the code behind it. Unknown ones, and rows that only fill the batch, weigh
// 0.
void NetworkRunner::FeedTokens(size_t rows, bool weighted) {
  const size_t batch = token_weights_.size();
  const size_t columns = tokens_.size() / batch;
  for (size_t i = 0; i < batch; ++i) {
    const int32_t* tokens = tokens_.data() + i * columns;
    const size_t first = i * (columns - 1);
    std::copy_n(tokens, columns - 1, codes_.data() + first);
    if (labels_.empty()) continue;
    const float weight = i >= rows ? 0.0f : weighted ? token_weights_[i] : 1.0f;
    for (size_t step = 0; step + 1 < columns; ++step) {
      const int32_t label = tokens[step + 1];
      labels_[first + step] = label < 0 ? 0 : label;
      weights_[first + step] = label < 0 ? 0.0f : weight;
    }
  }
}

// Each step's label is its code, which counts where it is hidden.
void NetworkRunner::FeedMasked(std::span<const int64_t> rows, bool weighted, uint64_t step) {
  const size_t columns = tokens_.size() / token_weights_.size();
  std::copy(tokens_.begin(), tokens_.begin() + static_cast<ptrdiff_t>(rows.size() * columns),
            codes_.begin());
  if (labels_.empty()) return;
  const TokenMask mask(masking_, vocabulary_, seed_,
                       mode_ == NetworkMode::kTraining ? step : kMeasured);
  std::fill(labels_.begin(), labels_.end(), 0);
  std::fill(weights_.begin(), weights_.end(), 0.0f);
  for (size_t i = 0; i < rows.size(); ++i) {
    const float weight = weighted ? token_weights_[i] : 1.0f;
    for (size_t column = 0; column < columns; ++column) {
      const size_t at = i * columns + column;
      if (!mask.Hide(rows[i], static_cast<int64_t>(column), &codes_[at])) continue;
      labels_[at] = tokens_[at];
      weights_[at] = weight;
    }
  }
}

// The codes of the source as they are; those of the target, which are the labels, one step late.
// Steps behind the end, and rows that only fill the batch, weigh 0.
void NetworkRunner::FeedTranslation(size_t rows, bool weighted) {
  const size_t batch = token_weights_.size();
  const size_t columns = tokens_.size() / batch;
  const auto told = static_cast<size_t>(target_columns_);
  const size_t read = columns - told;
  for (size_t i = 0; i < batch; ++i) {
    const int32_t* const source = tokens_.data() + i * columns;
    const int32_t* const target = source + read;
    if (!codes_.empty()) std::copy_n(source, read, codes_.data() + i * read);
    if (!target_codes_.empty()) {
      int32_t* const seen = target_codes_.data() + i * told;
      seen[0] = kBoundaryCode;
      std::copy_n(target, told - 1, seen + 1);
    }
    if (labels_.empty()) continue;
    const float weight = i >= rows ? 0.0f : weighted ? token_weights_[i] : 1.0f;
    for (size_t step = 0; step < told; ++step) {
      const int32_t label = target[step];
      labels_[i * told + step] = label < 0 ? 0 : label;
      weights_[i * told + step] = label < 0 ? 0.0f : weight;
    }
  }
}

Shape NetworkRunner::OutputShape(int64_t rows) const {
  const Shape& batch = network_.graph.shape(network_.output);
  std::vector<int64_t> extents(batch.extents().begin(), batch.extents().end());
  extents.front() = rows;
  return Shape(extents);
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
