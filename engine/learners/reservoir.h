// What echo state networks and liquid state machines share: random recurrent connections, and rows
// that are run through them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "engine/learners/readout.h"

namespace beamline::engine {

// A row's steps drive units that hear each other; what is read out is their state after the last
// step, or the mean of the states after each. A prediction runs some rows side by side.
//
// Weights: "input" [channels, units], with one more row for the constant 1 if there is one;
// "recurrent" [units, fan-in], and "sources" (int64), from which unit each comes; and those of
// readout.h.
class ReservoirLearner : public ReadoutLearner {
 protected:
  struct Network {
    int64_t units = 0;
    double density = 1;     // of connections: at least one into each unit
    bool constant = false;  // an input that is always 1
    bool mean_state = false;
    double penalty = 0;
  };
  // Throws Error, which names the learner, if the rows are no sequences.
  ReservoirLearner(Definition definition, const LearnerData& data, const Network& network);

  // Goes on by one step. driven: [units, kLanes], what the inputs add; state: [arrays(), units,
  // kLanes], zeros at first, of which the first array is read out.
  virtual int64_t arrays() const = 0;
  virtual void Advance(const float* driven, float* state) const = 0;
  // sums: [units, kLanes] += what units hear of `x`, the same.
  void AddHeard(const float* x, float* sums) const;

  void MakeFeatures(const RowBlock& block, float* features) final;
  void Check(const Tensors& tensors) const final;

  // Inputs even in [-scale, scale]; sources of each unit different ones, drawn without replacement.
  void DrawInputs(const Philox& random, double scale);
  void DrawSources(const Philox& random);

  int64_t units() const { return network_.units; }
  int64_t fan_in() const { return fan_in_; }
  Tensor& recurrent() const { return *recurrent_; }
  const Tensor& sources() const { return *sources_; }

 private:
  void RunRows(const RowBlock& block, int64_t first, int64_t rows, float* features) const;

  const Network network_;
  const int64_t fan_in_;
  const int64_t channels_;
  Tensor* input_;
  Tensor* recurrent_;
  Tensor* sources_;
};

}  // namespace beamline::engine
