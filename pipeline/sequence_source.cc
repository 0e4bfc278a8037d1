#include "pipeline/sequence_source.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace beamline::pipeline {
namespace {

template <typename T>
std::span<const T> Piece(const std::vector<T>& values, int64_t begin, int64_t count) {
  return {values.data() + begin, static_cast<size_t>(count)};
}

}  // namespace

SequenceSource::SequenceSource(const engine::data::FittedTransforms& fitted,
                               const engine::data::Table& table, Examples examples,
                               const ExampleShape& shape, const engine::BatchLayout& layout,
                               const Truth& truth, int64_t memory_bytes)
    : table_(table),
      reader_(fitted, table_),
      examples_(std::move(examples)),
      shape_(shape),
      layout_(layout),
      features_per_step_(reader_.features()),
      codes_per_step_(reader_.codes()) {
  code_steps_ = codes_per_step_ > 0 ? layout_.code_columns / codes_per_step_ : 0;
  // A target of one number is a column's; a forecast's are the features.
  forecasts_ = shape_.horizon > 0 && layout_.targets > 0;
  if (layout_.classes > 0) labels_ = truth.labels;
  if (layout_.targets > 0 && !forecasts_) targets_ = truth.targets;
  if (layout_.has_weights) {
    weights_ = truth.weights;
    if (weights_.empty() && layout_.target_steps == 0)
      weights_.assign(examples_.heads.size(), 1.0F);
  }
  for (size_t i = 0, first = 0; layout_.target_steps > 0 && i < examples_.begins.size(); ++i) {
    first_truth_.push_back(first);
    first += static_cast<size_t>(LengthOf(i, shape_.steps));
  }
  int64_t end = 0;
  first_ = examples_.begins.empty() ? 0 : examples_.begins.front();
  for (size_t i = 0; i < examples_.begins.size(); ++i) {
    first_ = std::min(first_, examples_.begins[i]);
    end = std::max(end, examples_.begins[i] + LengthOf(i, shape_.span));
  }
  const int64_t count = std::max<int64_t>(end - first_, 0);
  const auto per_row = static_cast<int64_t>(sizeof(float)) * (features_per_step_ + codes_per_step_);
  if (per_row * count > memory_bytes) return;
  held_features_.resize(static_cast<size_t>(count * features_per_step_));
  held_codes_.resize(static_cast<size_t>(count * codes_per_step_));
  Read(first_, count, held_features_, held_codes_);
  in_memory_ = true;
}

int64_t SequenceSource::LengthOf(size_t example, int64_t full) const {
  return examples_.lengths.empty() ? full : std::min<int64_t>(examples_.lengths[example], full);
}

void SequenceSource::Read(int64_t begin, int64_t count, std::span<float> features,
                          std::span<int32_t> codes) const {
  if (in_memory_) {
    const auto copy = [&](const auto& held, int64_t width, auto to) {
      if (to.empty()) return;
      const auto from = Piece(held, (begin - first_) * width, count * width);
      std::copy(from.begin(), from.end(), to.begin());
    };
    copy(held_features_, features_per_step_, features);
    copy(held_codes_, codes_per_step_, codes);
    return;
  }
  // All three keep their memory from step to step.
  thread_local std::vector<int64_t> rows;
  thread_local std::vector<float> unwanted_features;
  thread_local std::vector<int32_t> unwanted_codes;
  rows.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    rows[static_cast<size_t>(i)] =
        examples_.order == nullptr ? begin + i : (*examples_.order)[static_cast<size_t>(begin + i)];
  }
  if (features.empty()) {
    unwanted_features.resize(static_cast<size_t>(count * features_per_step_));
    features = unwanted_features;
  }
  if (codes.empty()) {
    unwanted_codes.resize(static_cast<size_t>(count * codes_per_step_));
    codes = unwanted_codes;
  }
  reader_.Read(rows, features, codes);
}

void SequenceSource::GatherNumbers(size_t example, float* features, float* targets) const {
  const auto width = static_cast<size_t>(features_per_step_);
  const int64_t begin = examples_.begins[example];
  if (features != nullptr) {
    const auto length = static_cast<size_t>(LengthOf(example, shape_.steps));
    Read(begin, static_cast<int64_t>(length), {features, length * width}, {});
    std::fill_n(features + length * width, (static_cast<size_t>(shape_.steps) - length) * width,
                0.0F);
  }
  if (targets != nullptr) {
    Read(begin + shape_.steps, shape_.horizon,
         {targets, static_cast<size_t>(shape_.horizon) * width}, {});
  }
}

void SequenceSource::GatherCodes(size_t example, int32_t* codes) const {
  const auto width = static_cast<size_t>(codes_per_step_);
  const auto length = static_cast<size_t>(LengthOf(example, code_steps_));
  Read(examples_.begins[example], static_cast<int64_t>(length), {}, {codes, length * width});
  std::fill_n(codes + length * width, (static_cast<size_t>(code_steps_) - length) * width, -1);
}

void SequenceSource::GatherTruth(size_t example, size_t i, const engine::BatchView& out) const {
  const auto judged = static_cast<size_t>(layout_.Judged());
  const bool each = !first_truth_.empty();
  const size_t first = each ? first_truth_[example] : example;
  const size_t count = each ? static_cast<size_t>(LengthOf(example, shape_.steps)) : 1;
  const auto copy = [&](const auto& from, auto* to) {
    if (to == nullptr || from.empty()) return;
    to += i * judged;
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(first), count, to);
    std::fill(to + count, to + judged, 0);
  };
  copy(labels_, out.labels);
  if (!forecasts_) copy(targets_, out.targets);
  copy(weights_, out.weights);
}

void SequenceSource::Gather(std::span<const int64_t> rows, const engine::BatchView& out) const {
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto example = static_cast<size_t>(rows[i]);
    const auto at = [&](auto* base, int64_t width) {
      return base == nullptr || width == 0 ? nullptr : base + static_cast<int64_t>(i) * width;
    };
    GatherNumbers(example, at(out.features, layout_.features),
                  forecasts_ ? at(out.targets, layout_.targets) : nullptr);
    if (int32_t* const codes = at(out.codes, layout_.code_columns)) GatherCodes(example, codes);
    GatherTruth(example, i, out);
    if (out.lengths != nullptr && layout_.has_lengths) {
      out.lengths[i] = static_cast<int32_t>(LengthOf(example, shape_.steps));
    }
  }
}

}  // namespace beamline::pipeline
