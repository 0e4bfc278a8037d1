// What learners that see rows as plain numbers, and are no networks, have in common.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/thread_pool.h"
#include "engine/learners/checkpoint.h"
#include "engine/learners/learner.h"

namespace beamline::engine {

// All rows of a source.
struct RowMatrix {
  int64_t rows = 0;
  int64_t features = 0;
  std::vector<float> x;         // [rows, features]
  std::vector<int32_t> labels;  // empty where targets are numbers
  int64_t targets = 0;
  std::vector<float> y;        // [rows, targets]
  std::vector<float> weights;  // 1 where the source has none
  double weight_sum = 0;
};
RowMatrix ReadRows(const BatchSource& source, ThreadPool* pool);
// Of what is said of a row, [outputs]: -log p of the right class, or the mean squared error.
double LossOf(const RowMatrix& rows, int64_t row, const float* said, int64_t outputs);

// Predicts classes (layout.classes) or numbers (layout.targets) from features. What is written here
// is layout, blocks of rows, losses and checkpoints; the rest is a subclass's. Losses are those of
// the outputs alone: of classes -log p of the right one, of numbers the mean squared error.
//
// Contracts of the methods: learner.h.
class RowLearner : public Learner {
 public:
  bool Step(StepReport* report) final;
  int64_t step() const final { return step_; }
  bool ReportMetric(std::string_view name, double value) final;
  Evaluation Evaluate(const BatchSource& source) final;
  using Learner::Predict;
  Predictions Predict(const BatchSource& source, std::span<const int64_t> rows) final;
  void Save(std::string* bytes) const final;
  void Load(std::string_view bytes) final;

 protected:
  // `definition`: all of the specification that the result depends on, as text. Throws Error if the
  // layout is not one of classes or numbers with features alone.
  RowLearner(const LearnerData& data, int threads, std::string definition);

  // Does a step, which is number step() + 1, and sets loss and whatever of the report differs from
  // an epoch that ends.
  virtual void Advance(StepReport* report) = 0;
  // Called before rows are predicted, by one thread.
  virtual void PrepareToPredict() {}
  // What is said of `count` rows, [count, outputs()]: probabilities of classes, or numbers. Called
  // from several threads.
  virtual void PredictRows(const float* features, int64_t count, float* out) const = 0;
  // The same of rows of a source that the learner follows anyhow; false if it does not.
  virtual bool PredictKnown(const BatchSource& /*source*/, std::span<const int64_t> /*rows*/,
                            float* /*out*/) const {
    return false;
  }
  // What a checkpoint holds beside the number of steps. Reading ends with in->Finish(), before
  // anything is changed.
  virtual void SaveState(CheckpointWriter* out) const = 0;
  virtual void LoadState(CheckpointReader* in) = 0;

  const BatchLayout& layout() const { return data_.layout; }
  // Throws Error without training rows.
  const BatchSource& training() const;
  const BatchSource* validation() const { return data_.validation; }
  int64_t features() const { return data_.layout.features; }
  int64_t classes() const { return data_.layout.classes; }
  int64_t outputs() const { return classes() > 0 ? classes() : data_.layout.targets; }
  ThreadPool& pool() { return pool_; }

 private:
  void RequireLayout(const BatchSource& source) const;

  LearnerData data_;
  std::string definition_;
  ThreadPool pool_;
  int64_t step_ = 0;
};

// The number as text that loses nothing, for definitions.
std::string Exact(double value);

// The tensor of that name. Throws Error if it lacks or its type is another.
const Tensor& FindWeight(const std::vector<NamedTensor>& weights, std::string_view name,
                         DType dtype);
// The same, with a shape that is known.
const Tensor& FindWeight(const std::vector<NamedTensor>& weights, std::string_view name,
                         DType dtype, const Shape& shape);

}  // namespace beamline::engine
