// The learner "adversarial": trains an AdversarialSpec.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/learners/adversarial_runner.h"
#include "engine/learners/learner.h"
#include "engine/learners/registry.h"

namespace beamline::engine {

// A step updates the discriminator on the next batch of real rows, in the order that NetworkLearner
// visits them in, and as many generated ones; and, each time `discriminator_steps` steps are done,
// the generator on rows of its own. Latent numbers come from (seed, step, element), so the weights
// after any step are the same bits for every number of threads, every instruction set, and however
// often the training was saved and loaded.
//
// Where this learner says less or more than learner.h:
//  - a report's losses are the discriminator's, with and without the gradient penalty, and
//    `generator_loss` is that of the last generator's update;
//  - Evaluate gives the discriminator's loss on those rows and one generated row for each, without
//    the penalty; for the Wasserstein loss that is minus the distance it sees. It needs the
//    discriminator: only a learner that has training rows has one;
//  - Predict generates: the number of a row in `rows` decides its latent numbers, so the same
//    request gives the same samples, and nothing of the source is read but how many rows it has;
//  - Weights are the generator's alone;
//  - there is no early stopping: ReportMetric throws Error.
class AdversarialLearner : public Learner {
 public:
  // Copies the spec. Throws Error if a network cannot be wired or does not fit the data.
  explicit AdversarialLearner(const LearnerConfig& config);

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
  std::vector<NamedTensor> Weights() const override;
  void SetWeights(const std::vector<NamedTensor>& weights) override;
  int64_t PeakBytes() const override;

 private:
  // All that changes during a training, beside the variables.
  struct Progress {
    int64_t step = 0;
    int64_t generator_steps = 0;
    int64_t epoch = 0;
    int64_t position = 0;  // rows of this epoch that are done
    int64_t examples_seen = 0;
    double generator_loss = 0;  // of its last update
    double epoch_loss = 0;      // sums over this epoch's batches
    double epoch_main_loss = 0;
    double epoch_weight = 0;
  };
  // The two graphs of a batch size.
  struct Pair {
    std::unique_ptr<AdversarialRunner> discriminator;
    std::unique_ptr<AdversarialRunner> generator;
  };

  Pair MakePair(int64_t batch);
  void RequireLayout(const BatchSource& source) const;
  double RateOf(const NetworkSpec& network) const;
  void StepGenerator(AdversarialRunner* runner);
  void EndEpoch(StepReport* report);
  AdversarialRunner& RunnerFor(AdversarialMode mode, int64_t batch);
  std::vector<std::string> WeightNames() const;

  AdversarialSpec spec_;
  BatchLayout layout_;
  const BatchSource* training_;
  const BatchSource* validation_;
  ThreadPool pool_;
  Variables variables_;
  int64_t steps_per_epoch_ = 0;
  Pair full_;
  Pair remainder_;
  std::map<std::pair<AdversarialMode, int64_t>, std::unique_ptr<AdversarialRunner>> others_;
  std::vector<int64_t> order_;
  bool order_drawn_ = false;
  Progress progress_;
};

std::unique_ptr<Learner> MakeAdversarialLearner(const LearnerConfig& config);

}  // namespace beamline::engine
