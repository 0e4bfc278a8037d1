#include "pipeline/plan/task_time.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "pipeline/learners/registry.h"

namespace beamline::pipeline {
namespace {

std::vector<engine::MeasuredWork> RatesFor(const v1::Device& device, int threads) {
  int chosen = 0;
  for (const v1::MeasuredRate& rate : device.rates()) {
    const bool fits = rate.threads() <= threads;
    if (chosen == 0 || (fits && (rate.threads() > chosen || chosen > threads)) ||
        (!fits && chosen > threads && rate.threads() < chosen)) {
      chosen = rate.threads();
    }
  }
  std::vector<engine::MeasuredWork> measured;
  for (const v1::MeasuredRate& rate : device.rates()) {
    if (rate.threads() != chosen) continue;
    measured.push_back({{rate.kernel(), rate.flops(), rate.bytes()}, rate.seconds()});
  }
  return measured;
}

}  // namespace

MachineSpeed::MachineSpeed(const v1::Device& device, int threads)
    : model_(RatesFor(device, threads)) {}

double MachineSpeed::Making(const std::vector<engine::PlannedRuns>& graphs) const {
  double kernels = 0;
  for (const engine::PlannedRuns& graph : graphs) {
    kernels += static_cast<double>(graph.kernels.size());
  }
  return Of(kStartRate, kernels, 0);
}

double MachineSpeed::Of(const char* rate, double flops, double bytes) const {
  return model_.SecondsOf({rate, flops, bytes}).value_or(0);
}

double MachineSpeed::Runs(const std::vector<engine::PlannedRuns>& runs,
                          const TrainingEstimate& training, double* guessed) const {
  const char* feed = training.reads_images() ? kFeedImagesRate : kFeedRate;
  double seconds = 0;
  for (const engine::PlannedRuns& run : runs) {
    double unknown = 0;
    seconds += run.times * (model_.SecondsOf(run.kernels, &unknown) + Of(feed, 0, run.input_bytes));
    *guessed += run.times * unknown;
  }
  return seconds;
}

MachineSpeed::Seconds MachineSpeed::OfTraining(const v1::TrainStep& train,
                                               const TrainingEstimate& training) const {
  const engine::TrainingPlan& plan = training.plan();
  const auto epochs = static_cast<double>(EpochsOf(train));
  Seconds seconds;
  seconds.total = Of(kPrepareRate, static_cast<double>(training.prepared_values()), 0);
  seconds.total += Making(plan.runs);
  seconds.total += Runs(plan.runs, training, &seconds.guessed);
  seconds.total += static_cast<double>(plan.steps) * Of(kStepRate, 1, 0);
  seconds.total += epochs * Of(kShuffleRate, static_cast<double>(training.counts().train), 0);
  if (training.counts().validation > 0) {
    // The loss once more at the end.
    seconds.total += Runs(plan.validation, training, &seconds.guessed);
    const Seconds pass = Predicting(train, training, training.counts().validation);
    seconds.total += (epochs + 1) * pass.total + pass.once;
    seconds.guessed += (epochs + 1) * pass.guessed;
  }
  return seconds;
}

MachineSpeed::Seconds MachineSpeed::OfPass(const v1::TrainStep& train,
                                           const TrainingEstimate& training, int64_t rows) const {
  Seconds seconds = Predicting(train, training, rows);
  seconds.total += seconds.once;
  return seconds;
}

MachineSpeed::Seconds MachineSpeed::Predicting(const v1::TrainStep& train,
                                               const TrainingEstimate& training,
                                               int64_t rows) const {
  Seconds seconds;
  if (train.has_adversarial() || rows == 0) return seconds;
  const std::vector<engine::PlannedRuns> runs = training.PassOver(rows);
  seconds.once = Making(runs);
  seconds.total = Runs(runs, training, &seconds.guessed);
  seconds.total +=
      Of(kJudgeRate, static_cast<double>(rows) * static_cast<double>(training.outputs()), 0);
  return seconds;
}

}  // namespace beamline::pipeline
