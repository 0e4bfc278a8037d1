// A compiled network with its inputs resolved: what a learner calls once a batch.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/executor/executor.h"
#include "engine/learners/batch_source.h"
#include "engine/nn/network.h"

namespace beamline::engine {

// One graph of a network for one batch size. Not thread-safe.
class NetworkRunner {
 public:
  // `variables` and `pool` must outlive this object. Throws Error as BuildNetwork does.
  NetworkRunner(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch, NetworkMode mode,
                Variables* variables, ThreadPool* pool);

  int64_t batch() const { return batch_; }
  const MemoryPlan& plan() const { return executor_.plan(); }
  // Of this graph alone: inputs, activations and gradients at their peak, and the kernels' scratch.
  int64_t working_bytes() const { return plan().arena_bytes + executor_.scratch_bytes(); }

  // Copies the rows into the inputs. Fewer rows than the batch: the rest weighs 0 (evaluation) or
  // is arbitrary (prediction). Throws Error, naming the row, for a label, code or length that is
  // out of range.
  // kMasked: hides what belongs to `step`, or in evaluation always the same; nothing in prediction.
  void Feed(const BatchSource& source, std::span<const int64_t> rows, uint64_t step = 0);
  // kTraining: the numbers of this step's update.
  void SetUpdate(const std::array<double, kUpdateNumbers>& numbers);
  void Run(uint64_t step) { executor_.Run(step); }
  // The same in two parts: between them another batch may be fed while a device computes.
  void Start(uint64_t step) { executor_.Start(step); }
  void Finish() { executor_.Finish(); }
  bool on_device() const { return executor_.on_device(); }
  // As Executor::RunTimed; `graph` has the nodes.
  void RunTimed(uint64_t step, const std::function<double()>& now, std::vector<double>* seconds) {
    executor_.RunTimed(step, now, seconds);
  }
  const Graph& graph() const { return network_.graph; }

  double loss() const { return loss_[0]; }
  double main_loss() const { return main_loss_[0]; }
  double weight_sum() const { return weight_sum_[0]; }
  std::span<const float> output() const { return output_; }
  // Of the outputs of `rows` rows.
  Shape OutputShape(int64_t rows) const;
  std::span<const float> probabilities() const { return probabilities_; }
  std::span<const float> row_losses() const { return row_losses_; }

 private:
  void CheckCodes(std::span<const int64_t> rows, std::span<const int32_t> codes) const;
  void FeedLengths(std::span<const int64_t> rows);
  void FeedTarget(std::span<const int64_t> rows);
  void FeedWeights(size_t rows, bool given);
  void FeedTokens(size_t rows, bool weighted);
  void FeedMasked(std::span<const int64_t> rows, bool weighted, uint64_t step);
  void FeedTranslation(size_t rows, bool weighted);
  void CheckShares(std::span<const int64_t> rows) const;

  const int64_t batch_;
  const NetworkMode mode_;
  Network network_;
  Executor executor_;
  const bool masks_;
  const int64_t target_columns_;  // kTranslate: the last code columns; else 0
  const MaskingSpec masking_;
  const uint64_t seed_;
  const int64_t vocabulary_;
  double clip_limit_;
  double value_limit_;
  UpdateRule rule_;
  std::vector<float> class_weight_values_;
  std::vector<int64_t> categories_;  // per code column; 0: no embedding reads it
  int64_t classes_ = 0;
  size_t judged_ = 1;                  // labels, weights and sets of targets of a row
  std::vector<int32_t> label_buffer_;  // labels that become numbers (binary cross-entropy)
  // kNextToken, kMasked, kTranslate: rows as the source gives them, [batch, code columns], and
  // their weights.
  std::vector<int32_t> tokens_;
  std::vector<float> token_weights_;
  std::span<float> features_, targets_, weights_, class_weights_, numbers_, clip_;
  std::span<float> undecayed_, value_clip_;
  std::span<int32_t> codes_, target_codes_, labels_, lengths_;
  std::vector<std::pair<std::span<float>, float>> rates_;
  std::span<float> loss_, main_loss_, weight_sum_, output_, probabilities_, row_losses_;
  bool shares_ = false;  // the features are what binary cross-entropy reconstructs
};

}  // namespace beamline::engine
