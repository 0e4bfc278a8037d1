// The learner "network": trains a NetworkSpec by gradients.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/learners/learner.h"
#include "engine/learners/network_runner.h"
#include "engine/learners/registry.h"
#include "engine/optim/averaging.h"

namespace beamline::engine {

// Each epoch visits all rows in an order drawn from (seed, epoch), `batch_size` at a time; the last
// batch has what is left. Initial weights, order and dropout depend on the seed alone, so the
// weights after any step are the same bits for every number of threads, every instruction set, and
// however often the training was saved and loaded.
//
// Contracts of the methods: learner.h.
class NetworkLearner : public Learner {
 public:
  // Copies the spec. Throws Error if the network cannot be wired or does not fit the data.
  explicit NetworkLearner(const LearnerConfig& config);

  bool Step(StepReport* report) override;
  bool done() const override;
  int64_t step() const override { return progress_.step; }
  int64_t total_steps() const override { return spec_.epochs * steps_per_epoch_; }
  bool ReportMetric(std::string_view name, double value) override;
  Evaluation Evaluate(const BatchSource& source) override;
  using Learner::Predict;
  Predictions Predict(const BatchSource& source, std::span<const int64_t> rows) override;
  void Save(std::string* bytes) const override;
  void Load(std::string_view bytes) override;
  void Adopt(std::string_view bytes) override;
  std::vector<NamedTensor> Weights() const override;
  void SetWeights(const std::vector<NamedTensor>& weights) override;
  int64_t PeakBytes() const override;

 private:
  // All that changes during a training, beside the variables.
  struct Progress {
    int64_t step = 0;
    int64_t epoch = 0;
    int64_t position = 0;  // rows of this epoch that are done
    int64_t examples_seen = 0;
    double epoch_loss = 0;  // sums over this epoch's batches
    double epoch_main_loss = 0;
    double epoch_weight = 0;
    // Early stopping.
    bool awaiting_metric = false;
    bool stopped = false;
    bool restored = false;
    bool has_best = false;
    double best = 0;
    int64_t epochs_without_improvement = 0;
    // Plateau schedule.
    double plateau_scale = 1;
    bool plateau_has_best = false;
    double plateau_best = 0;
    int64_t plateau_epochs = 0;  // without improvement, since the last reduction
  };

  // Rows of this epoch, and the graph that takes so many.
  struct Batch {
    NetworkRunner* runner;
    std::span<const int64_t> rows;
  };

  // Without a fingerprint, of any definition.
  void Restore(std::string_view bytes, std::optional<uint64_t> fingerprint);
  void RequireLayout(const BatchSource& source) const;
  void DrawOrder();
  Batch BatchAt(int64_t position);
  void FeedAhead(int64_t position);
  void EndEpoch(StepReport* report);
  double RateNow() const;
  // Some metric is watched after each epoch: by early stopping, or by the schedule.
  bool Watches() const;
  bool Judge(double value);
  void JudgePlateau(double value);
  void Finish();
  bool Watches(std::string_view metric) const;
  NetworkRunner& RunnerFor(NetworkMode mode, int64_t batch);
  std::vector<std::string> WeightNames() const;
  // The average of a weight where there is one, else the weight itself.
  const Tensor& Current(const std::string& name) const;

  NetworkSpec spec_;
  BatchLayout layout_;
  const int64_t largest_evaluation_;  // rows of an evaluation or prediction graph
  const BatchSource* training_;
  const BatchSource* validation_;
  ThreadPool pool_;
  Variables variables_;
  int64_t steps_per_epoch_ = 0;
  std::unique_ptr<NetworkRunner> full_;
  std::unique_ptr<NetworkRunner> remainder_;
  std::map<std::pair<NetworkMode, int64_t>, std::unique_ptr<NetworkRunner>> evaluators_;
  std::vector<int64_t> order_;
  bool order_drawn_ = false;
  int64_t fed_position_ = -1;  // of the batch that waits in its runner
  Progress progress_;
  std::map<std::string, Tensor> best_;
  WeightAverage average_;
};

std::unique_ptr<Learner> MakeNetworkLearner(const LearnerConfig& config);

}  // namespace beamline::engine
