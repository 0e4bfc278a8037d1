// What one training of a train step takes, from what validation found out about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "beamline/v1/pipeline.pb.h"
#include "engine/learners/training_plan.h"
#include "pipeline/plan/example_counts.h"
#include "pipeline/plan/train_facts.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline {

// Threads of a task that has these, which its worker gives it.
int ThreadsOf(const v1::Resources& resources);

// Where a step computes.
enum class DeviceClass { kCpu, kGpu };

// One training of a step: of a trial, of a fold, or its own. Not thread-safe.
class TrainingEstimate {
 public:
  // `step` and `findings` must outlive the object. Never throws: `failure` says why nothing is
  // known.
  TrainingEstimate(const v1::Step& step, const Findings& findings, bool fold);

  const ExampleCounts& counts() const { return counts_; }
  // The step trains a network or an adversarial pair, and `plan` is known.
  bool planned() const { return failure_.empty(); }
  // Why there is no plan, in words; empty if there is one.
  const std::string& failure() const { return failure_; }
  const engine::TrainingPlan& plan() const { return plan_; }
  // Values of the table that are read, fitted and held: all features but images, which stay bytes.
  int64_t prepared_values() const { return table_values_ - counts_.rows * byte_values_; }
  bool reads_images() const { return byte_values_ > 0; }
  // Numbers that a model gives for an example.
  int64_t outputs() const { return outputs_; }
  // Runs of the graphs that predict so many rows. Precondition: planned(), no adversarial pair.
  std::vector<engine::PlannedRuns> PassOver(int64_t rows) const;

  // On that device: what the engine reserves there, scratch memory of a GPU's kernels aside, which
  // only its own library knows. Without a plan what the learner takes at the least. Unit: bytes.
  int64_t DeviceBytes(DeviceClass device);
  // Features of the training rows, images aside, which stay in the table, and where a step of so
  // much memory has them. Unit: bytes.
  int64_t FeatureBytes() const;
  FeaturePlace PlaceOfFeatures(int64_t memory_bytes) const;
  // Of main memory: the features that are held there too.
  int64_t MainBytes(DeviceClass device, int64_t memory_bytes);
  // Activations are computed again in so many parts to fit the step's memory; 1: they are not.
  int recomputed_parts() const { return network_.has_value() ? network_->recomputed_parts : 1; }
  // The largest power of two below the batch size that fits `limit_bytes`; 0: none, or not known.
  int64_t FittingBatch(DeviceClass device, int64_t limit_bytes);

 private:
  void Plan(const v1::Step& step, const TrainFacts& facts);
  void FitMemory(const v1::Resources& resources, int64_t rows);
  int64_t FeatureBytesOf(int64_t rows) const;
  // Of main memory, by the features of the training and validation rows.
  int64_t HeldBytes(int64_t memory_bytes) const;
  template <typename Use>
  auto With(const Use& use);

  ExampleCounts counts_;
  std::string failure_;
  double learner_bytes_ = 0;
  // Numbers and codes of an example.
  int64_t example_bytes_ = 0;
  int64_t table_values_ = 0;
  int64_t byte_values_ = 0;
  int64_t outputs_ = 1;
  engine::BatchLayout layout_;
  std::optional<engine::NetworkSpec> network_;
  std::optional<engine::AdversarialSpec> adversarial_;
  engine::TrainingPlan plan_;
};

}  // namespace beamline::pipeline
