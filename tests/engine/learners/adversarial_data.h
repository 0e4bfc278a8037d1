// Data and pairs of networks for tests of adversarial training.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/learners/registry.h"

namespace beamline::engine::testing {

inline constexpr int kModes = 8;
inline constexpr float kRingRadius = 2;
inline constexpr float kRingDeviation = 0.1f;

// Rows (x, y) of kModes normal distributions around a circle, in turn.
MemoryBatchSource Ring(int64_t rows, uint64_t seed);

struct RingCover {
  int modes = 0;          // with at least a tenth of an even share of the good samples
  double good_share = 0;  // samples within 4 deviations of the centre nearest to them
};
RingCover CoverOf(const Tensor& samples);

LayerSpec Dense(int64_t units, Activation activation);

// A generator and a discriminator of dense layers over `latent` numbers.
AdversarialSpec DensePair(AdversarialLoss loss);

// A learner over the data; `validation` may be null.
std::unique_ptr<Learner> Make(const AdversarialSpec& spec, const BatchSource& training,
                              const BatchSource* validation = nullptr);

// One that was made without training rows.
std::unique_ptr<Learner> MakeGenerator(const AdversarialSpec& spec, const BatchLayout& layout);

}  // namespace beamline::engine::testing
