// Adversarial learners: from the definition language to the engine, and the samples of their
// models.
#pragma once

#include <cstdint>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "engine/data/transform.h"
#include "engine/learners/learner.h"
#include "engine/nn/adversarial_spec.h"

namespace beamline::pipeline {

// The part of one network as a learner of its own: layers, optimiser, schedule, clipping.
v1::NetworkLearner AsLearner(const v1::AdversarialNetwork& network);

// `adversarial` with nothing left open, for rows of so many features.
v1::AdversarialLearner Complete(const v1::AdversarialLearner& adversarial, int64_t features);

// The engine's form of a complete one. Seed, threads and backend are the caller's to set.
engine::AdversarialSpec ToAdversarialSpec(const v1::AdversarialLearner& adversarial,
                                          int64_t features);

// What a row of such a learner is.
engine::BatchLayout LayoutOf(int64_t features, bool has_weights);

// The samples numbered from `first` on, as many as `count`, numbers in the scale of their columns.
// The same number gives the same sample.
std::vector<v1::Prediction> DrawSamples(engine::Learner& generator, int64_t first, int64_t count,
                                        const engine::BatchLayout& layout,
                                        const engine::data::FittedTransforms& transforms);

}  // namespace beamline::pipeline
