// How long a training takes on a machine whose rates were measured.
#pragma once

#include <optional>
#include <string>

#include "beamline/v1/cluster.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "engine/passes/cost_model.h"
#include "pipeline/plan/training_estimate.h"

namespace beamline::pipeline {

// What is measured beside the engine's kernels, as rates are called. FLOPs count:
inline constexpr char kStartRate[] = "pipeline.start";      // kernels of graphs that are made
inline constexpr char kPrepareRate[] = "pipeline.prepare";  // values that are read, fitted, held
inline constexpr char kFeedRate[] = "pipeline.feed";        // bytes alone: rows into a graph
inline constexpr char kFeedImagesRate[] = "pipeline.feed_images";  // the same of columns of bytes
inline constexpr char kShuffleRate[] = "pipeline.shuffle";         // rows
inline constexpr char kJudgeRate[] = "pipeline.judge";             // outputs of rows
inline constexpr char kStepRate[] = "pipeline.step";               // one: what a step needs beside

// A processor with so many threads at work. Immutable; thread-safe.
class MachineSpeed {
 public:
  // Takes the rates of the most threads that are no more than `threads`, or else of the fewest.
  MachineSpeed(const v1::Device& device, int threads);

  // No rates.
  bool unknown() const { return model_.empty(); }

  struct Seconds {
    double total = 0;
    // Of them those of kernels that were not measured.
    double guessed = 0;
    // Of the first time alone, and not in the total.
    double once = 0;
  };
  // Of one training from the start of its process to its model, with the metrics of validation
  // rows after each epoch. Precondition: training.planned() and its rows are known.
  Seconds OfTraining(const v1::TrainStep& train, const TrainingEstimate& training) const;
  // Of a pass of a model over `rows` examples, with their metrics: about what evaluation takes.
  Seconds OfPass(const v1::TrainStep& train, const TrainingEstimate& training, int64_t rows) const;

 private:
  Seconds Predicting(const v1::TrainStep& train, const TrainingEstimate& training,
                     int64_t rows) const;
  // Of graphs, once each.
  double Making(const std::vector<engine::PlannedRuns>& graphs) const;
  double Of(const char* rate, double flops, double bytes) const;
  double Runs(const std::vector<engine::PlannedRuns>& runs, const TrainingEstimate& training,
              double* guessed) const;

  engine::CostModel model_;
};

}  // namespace beamline::pipeline
