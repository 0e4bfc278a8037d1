// What radial basis functions, extreme learning machines and reservoirs share: features that are
// made of a row once and for all, and ridge regression on them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/learners/classic_learner.h"
#include "engine/learners/ridge.h"

namespace beamline::engine {

// Numbers: outputs are the regression's. Classes: outputs are the regressions of 1 for the label's
// class and 0 for the others, which sum to 1; probabilities are these, within [0, 1] and divided by
// their sum. The loss is the mean squared error over rows and outputs. Weights of rows weigh their
// squares; they must be at least 0.
//
// Weights: "readout" [made, outputs] and "intercepts" [outputs], each beside another, "..._rest",
// that holds what a float cannot: coefficients are sums of both. And what the features are made
// with.
class ReadoutLearner : public ClassicLearner {
 protected:
  // `definition`: its outputs are filled in here.
  ReadoutLearner(Definition definition, const LearnerData& data, int64_t made, double penalty);

  // Features of each row: [rows, made].
  virtual void MakeFeatures(const RowBlock& block, float* features) = 0;

  // Regression on the features as they are now.
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  bool FillsProbabilities() const override { return layout().classes > 0; }
  void Taken(bool weights_only) override;
  int64_t WorkingBytes() const override;

 private:
  void ReadTargets(const RowBlock& block, std::vector<double>* targets) const;

  const int64_t made_;
  const int64_t outputs_;
  const double penalty_;
  Tensor* readout_;
  Tensor* readout_rest_;
  Tensor* intercepts_;
  Tensor* intercepts_rest_;
  // As predictions take them.
  std::vector<double> constants_;
  std::optional<Multiplier> now_;
};

}  // namespace beamline::engine
