#include "engine/learners/readout.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

// Rows whose features are made at once: reservoirs are wide.
constexpr int64_t kRows = 256;

int64_t OutputsOf(const BatchLayout& layout) {
  return layout.classes > 0 ? layout.classes : layout.targets;
}

// Part of a block.
RowBlock Part(const RowBlock& block, int64_t first, int64_t rows, const BatchLayout& layout) {
  const auto at = [first](auto* data, int64_t width) {
    return data != nullptr ? data + first * width : nullptr;
  };
  RowBlock part;
  part.index = block.index.subspan(static_cast<size_t>(first), static_cast<size_t>(rows));
  part.rows = rows;
  part.features = at(block.features, layout.features);
  part.codes = at(block.codes, layout.code_columns);
  part.targets = at(block.targets, layout.targets);
  part.labels = at(block.labels, 1);
  part.weights = at(block.weights, 1);
  part.lengths = at(block.lengths, 1);
  return part;
}

template <typename Body>
void ForParts(const RowBlock& block, const BatchLayout& layout, const Body& body) {
  for (int64_t first = 0; first < block.rows; first += kRows) {
    body(Part(block, first, std::min(kRows, block.rows - first), layout), first);
  }
}

}  // namespace

ReadoutLearner::ReadoutLearner(Definition definition, const LearnerData& data, int64_t made,
                               double penalty)
    : ClassicLearner(
          [&] {
            definition.outputs = OutputsOf(data.layout);
            definition.text += Concat(std::hexfloat, " penalty ", penalty);
            if (definition.outputs < 1) Fail(definition.name, " needs a target");
            if (data.layout.target_steps > 0) Fail(definition.name, " has one target a row");
            if (!(penalty >= 0)) Fail(definition.name, " needs a penalty of at least 0");
            return std::move(definition);
          }(),
          data),
      made_(made),
      outputs_(OutputsOf(data.layout)),
      penalty_(penalty) {
  readout_ = &AddWeight("readout", {made_, outputs_});
  readout_rest_ = &AddWeight("readout_rest", {made_, outputs_});
  intercepts_ = &AddWeight("intercepts", {outputs_});
  intercepts_rest_ = &AddWeight("intercepts_rest", {outputs_});
  ReadoutLearner::Taken(false);
}

void ReadoutLearner::Taken(bool) {
  Matrix coefficients(made_, outputs_);
  coefficients.values = Join(*readout_, *readout_rest_);
  now_.emplace(coefficients);
  constants_ = Join(*intercepts_, *intercepts_rest_);
}

void ReadoutLearner::ReadTargets(const RowBlock& block, std::vector<double>* targets) const {
  targets->assign(static_cast<size_t>(block.rows * outputs_), 0);
  for (int64_t row = 0; row < block.rows; ++row) {
    double* to = targets->data() + row * outputs_;
    if (layout().classes > 0) {
      to[block.labels[row]] = 1;
    } else {
      std::copy_n(block.targets + row * outputs_, outputs_, to);
    }
  }
}

ClassicLearner::StepResult ReadoutLearner::Train(int64_t) {
  Moments moments(made_, outputs_);
  std::vector<float> features(static_cast<size_t>(kRows * made_));
  std::vector<double> targets, weights;
  StepResult result;
  result.weight = 0;
  RowReader(*training(), &pool()).ForEach([&](const RowBlock& all) {
    CheckWeights(all);
    ForParts(all, layout(), [&](const RowBlock& block, int64_t) {
      MakeFeatures(block, features.data());
      ReadTargets(block, &targets);
      weights.resize(static_cast<size_t>(block.rows));
      for (int64_t row = 0; row < block.rows; ++row) {
        weights[static_cast<size_t>(row)] = block.Weight(row);
        result.weight += block.Weight(row);
      }
      moments.Add(features.data(), targets.data(),
                  block.weights != nullptr ? weights.data() : nullptr, block.rows, &pool());
    });
  });
  const RidgeFit fit = FitRidge(std::move(moments), penalty_, &pool());
  Split(fit.coefficients.values, readout_, readout_rest_);
  Split(fit.intercepts, intercepts_, intercepts_rest_);
  ReadoutLearner::Taken(false);
  result.loss = fit.loss;
  result.examples = training()->rows();
  return result;
}

void ReadoutLearner::Infer(const RowBlock& all, const Inference& out) {
  std::vector<float> features(static_cast<size_t>(kRows * made_));
  ForParts(all, layout(), [&](const RowBlock& block, int64_t first) {
    MakeFeatures(block, features.data());
    constexpr int64_t kTile = 32;
    pool().ParallelFor((block.rows + kTile - 1) / kTile, [&](int64_t tile) {
      const int64_t row = tile * kTile;
      const int64_t rows = std::min(kTile, block.rows - row);
      Matrix said(rows, outputs_);
      for (int64_t i = 0; i < rows; ++i) std::copy_n(constants_.data(), outputs_, said.Row(i));
      now_->Add(features.data() + row * made_, nullptr, rows, said.values.data());
      std::copy(said.values.begin(), said.values.end(), out.outputs + (first + row) * outputs_);
    });
  });
  if (layout().classes == 0 || out.probabilities == nullptr) return;
  for (int64_t row = 0; row < all.rows; ++row) {
    float* p = out.probabilities + row * outputs_;
    float sum = 0;
    for (int64_t k = 0; k < outputs_; ++k) {
      p[k] = std::clamp(out.outputs[row * outputs_ + k], 0.0f, 1.0f);
      sum += p[k];
    }
    // Before training all are 0: nothing is known.
    for (int64_t k = 0; k < outputs_; ++k) {
      p[k] = sum > 0 ? p[k] / sum : 1.0f / static_cast<float>(outputs_);
    }
  }
}

int64_t ReadoutLearner::WorkingBytes() const {
  const int64_t block = kRows * made_ * 4 + 8 * made_ * outputs_;
  if (training() == nullptr) return block;
  // What the Cholesky factor takes in packed form, beside the sums.
  return block + Moments::BytesOf(made_, outputs_) + 8 * made_ * made_ + kRows * 8 * outputs_;
}

}  // namespace beamline::engine
