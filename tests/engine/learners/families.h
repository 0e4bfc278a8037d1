// One small model of each family, with data for it: what is tested about all of them alike.
#pragma once

#include <vector>

#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine::testing {

struct Family {
  const char* name;
  NetworkSpec (*network)();
  MemoryBatchSource (*data)();
};

// Convolutions, pools and norms of images, large enough that loops are shared between threads.
NetworkSpec Convolutional();
// Two layers of capsules behind primary ones, for the same images.
NetworkSpec Capsules();
// A variational autoencoder with noise, dropout and an activity penalty.
NetworkSpec Variational();
// A neural Turing machine and behind it a differentiable neural computer, with a class at each
// step.
NetworkSpec Memories();
// Sequences of 2 to 6 steps of two numbers, each with a class and a weight.
MemoryBatchSource LabelledSteps();
// A transformer that guesses hidden tokens, and tokens for it.
NetworkSpec Masked();
MemoryBatchSource FamilyTokens();
// A transformer of an encoder and a decoder, and one that reads by recurrent layers in place of
// attention to itself; pairs of texts for them.
NetworkSpec Translator();
NetworkSpec RecurrentTranslator();
MemoryBatchSource FamilyTexts();
// Images of 144 shares in [0, 1), of two classes by their brightness.
MemoryBatchSource LabelledImages();
MemoryBatchSource PlainImages();

// All above, dense layers with embeddings, recurrent layers of all cells, a transformer,
// graph attention, translation.
std::vector<Family> Families();

}  // namespace beamline::engine::testing
