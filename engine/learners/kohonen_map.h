// The learner "kohonen_map": a self-organising map (Kohonen 1982), by the batch rule or the
// online one.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

// Units lie on a rectangular grid. A row is reconstructed as the unit that is nearest to it (ties:
// the first); its code is the place of that unit on the grid, row and column, and
// its cluster row * columns + column.
//
// One step is one pass: each unit becomes the mean of all rows, each weighing its own weight times
// exp(-d^2 / (2 r^2)), d the distance on the grid between the unit and the one nearest to the row;
// a unit that is too far from all of them stays. r goes from first_radius in the first pass to
// last_radius in the last, exponentially. Units begin as rows drawn by the seed. The loss is the
// mean squared error of the reconstruction before the pass. Weights of rows must be at least 0.
//
// By the online rule rows are taken one by one, in an order drawn anew for each pass by (seed,
// pass): every unit moves towards the row by the learning rate times exp(-d^2 / (2 r^2)) times the
// row's share of the largest weight. Rates go from the first to the last as radii do; the loss of a
// row is that before its move. Units are rounded to floats after each pass.
struct KohonenSpec {
  int64_t rows = 10;
  int64_t columns = 10;
  int64_t epochs = 20;
  double first_radius = 0;  // 0: half of the longer side, at least 0.5
  double last_radius = 0.5;
  bool online = false;
  double first_learning_rate = 0.5;  // of the online rule
  double last_learning_rate = 0.01;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: "units" [rows, columns, features]. Units that are set before the first step are what
// training begins from.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeKohonenMap(const KohonenSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
