// What learners share that are no networks of layers: they go through rows, keep tensors, and say
// something of a row.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/thread_pool.h"
#include "engine/learners/learner.h"
#include "engine/learners/row_reader.h"

namespace beamline::engine {

// A learner is made of tensors that it declares in its constructor and of steps that change them.
// All that training depends on is in them: so saving, loading and handing out weights are done
// here. Contracts of the methods: learner.h.
class ClassicLearner : public Learner {
 public:
  bool Step(StepReport* report) final;
  bool done() const final;
  int64_t step() const final { return progress_.step; }
  int64_t total_steps() const final { return definition_.total_steps; }
  // Throws Error: these learners have no early stopping of the caller's.
  bool ReportMetric(std::string_view name, double value) final;
  Evaluation Evaluate(const BatchSource& source) override;
  using Learner::Predict;
  Predictions Predict(const BatchSource& source, std::span<const int64_t> rows) override;
  void Save(std::string* bytes) const final;
  void Load(std::string_view bytes) final;
  std::vector<NamedTensor> Weights() const final;
  // Before the first step: what training begins with, where a learner has use for it.
  void SetWeights(const std::vector<NamedTensor>& weights) final;
  int64_t PeakBytes() const final;

 protected:
  // What a learner can do with weights of rows.
  enum class RowWeights : uint8_t { kRefused, kNotNegative };

  struct Definition {
    std::string name;  // "k_means"
    // All that a training depends on beside the data, as text: tells checkpoints apart.
    std::string text;
    int threads = 1;
    int64_t total_steps = 1;
    int64_t steps_per_epoch = 1;
    // Steps go over the same rows again: all are one epoch, whose loss is the last one's.
    bool iterates = false;
    // What is said of a row: numbers, and those of its code.
    int64_t outputs = 0;
    int64_t codes = 0;
    // A cluster is said of each row.
    bool clusters = false;
    // What is judged is the reconstruction of the features, and not a target.
    bool reconstructs = false;
    RowWeights row_weights = RowWeights::kNotNegative;
    // Takes category codes, and not numbers.
    bool takes_codes = false;
  };

  struct StepResult {
    double loss = 0;  // of the rows of the step, before the update
    // False: to tell it takes more than the training did.
    bool has_loss = true;
    double weight = 1;
    double learning_rate = 0;
    int64_t examples = 0;
    bool finished = false;  // nothing is left to do
  };

  // Where Infer puts what it says of rows, row-major; null: not wanted.
  struct Inference {
    float* outputs = nullptr;
    float* probabilities = nullptr;
    float* losses = nullptr;
    float* codes = nullptr;
    int64_t* clusters = nullptr;
  };

  using Tensors = std::map<std::string, Tensor, std::less<>>;

  // Throws Error if the data is not for such a learner.
  ClassicLearner(Definition definition, const LearnerData& data);

  // A tensor of zeros that predictions need, or training alone. An extent of -1 is free: it begins
  // with 0 and may be set anew by whoever holds the reference, which stays valid.
  Tensor& AddWeight(const std::string& name, std::vector<int64_t> extents,
                    DType dtype = DType::kFloat32);
  Tensor& AddState(const std::string& name, std::vector<int64_t> extents,
                   DType dtype = DType::kFloat64);

  virtual StepResult Train(int64_t step) = 0;
  // Says what `out` wants of each row. Probabilities and losses are filled in by the caller where
  // FillsProbabilities and FillsLosses are false: the outputs themselves; the mean squared
  // difference of outputs and features, targets, or 1 for the label's class and 0 for the others.
  virtual void Infer(const RowBlock& block, const Inference& out) = 0;
  virtual bool FillsProbabilities() const { return false; }
  // Else there are probabilities alone.
  virtual bool FillsOutputs() const { return true; }
  virtual bool FillsLosses() const { return false; }
  // Throws Error if such tensors, of the right shapes, make no sense together.
  virtual void Check(const Tensors&) const {}
  // After tensors were set from outside; `weights_only`: by SetWeights.
  virtual void Taken(bool) {}
  // Of what a learner holds beside its tensors. Unit: bytes.
  virtual int64_t WorkingBytes() const { return 0; }
  // [rows, ...] of the outputs.
  virtual Shape OutputShape(int64_t rows) const { return Shape({rows, definition_.outputs}); }

  // Throws Error, which names the row, if a weight is one that the learner cannot use.
  void CheckWeights(const RowBlock& block) const;

  // Throws Error if the source has not the layout that the learner was made for.
  void RequireLayout(const BatchSource& source) const;

  const BatchLayout& layout() const { return data_.layout; }
  // Null for a learner that only predicts.
  const BatchSource* training() const { return data_.training; }
  ThreadPool& pool() { return pool_; }
  Tensor& Get(std::string_view name) { return slots_.find(name)->second.tensor; }

 private:
  struct Slot {
    Tensor tensor;
    std::vector<int64_t> extents;  // as declared
    bool is_weight = false;
  };
  struct Progress {
    int64_t step = 0;
    int64_t epoch = 0;
    int64_t examples_seen = 0;
    bool finished = false;
    double epoch_loss = 0;
    double epoch_weight = 0;
  };

  Tensor& Add(const std::string& name, std::vector<int64_t> extents, DType dtype, bool is_weight);

  uint64_t Fingerprint() const;
  // Of rows from `first` up to `last`.
  void FillLosses(const RowBlock& block, int64_t first, int64_t last, const float* outputs,
                  float* losses) const;
  void InferAll(const RowBlock& block, const Inference& out);
  int64_t OutputsOfRow() const;
  // Copies with the tensors of `from` in place of those of the same names.
  Tensors With(const std::map<std::string, const Tensor*>& from) const;

  const Definition definition_;
  const LearnerData data_;
  ThreadPool pool_;
  Progress progress_;
  std::map<std::string, Slot, std::less<>> slots_;
};

}  // namespace beamline::engine
