// Graphs made of an AdversarialSpec.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/learners/batch_source.h"
#include "engine/nn/adversarial_spec.h"
#include "engine/nn/network.h"
#include "engine/optim/optimizer.h"

namespace beamline::engine {

// Before the names of a network's layers, and so of its variables.
inline constexpr std::string_view kGeneratorPrefix = "generator/";
inline constexpr std::string_view kDiscriminatorPrefix = "discriminator/";

enum class AdversarialMode : uint8_t {
  // Updates the discriminator on real and on generated rows; the generator's part is a constant to
  // it: nothing is differentiated there.
  kDiscriminatorStep,
  // Updates the generator through the discriminator, which stays as it is.
  kGeneratorStep,
  kEvaluation,  // how well the discriminator tells both apart; running statistics, no noise
  kSampling,    // the generator alone
};

// Where latent numbers and the shares of a gradient penalty come from.
enum class LatentSource : uint8_t {
  kDrawn,  // by the graph, from (seed, step, element)
  kGiven,  // the caller writes them: kEvaluation and kSampling always, and comparisons
};

// An optimised graph and its values of interest; those that a mode lacks are no values.
struct AdversarialNetwork {
  Graph graph;
  int64_t batch = 0;
  // Inputs, to be written before each run.
  Value features;  // [batch, features]: real rows
  Value weights;   // [batch]: of the real rows; kEvaluation, and training with event weights
  Value counted;   // [batch]: 1 or 0, whether a generated row counts; kEvaluation
  Value latent;    // [batch, latent], where it is given
  Value shares;    // [batch]: of the real row in what the gradient penalty looks at; idem
  std::vector<std::pair<Value, double>> rates;
  UpdateInputs update;
  // Outputs.
  Value loss;        // []: what the updated network minimises
  Value main_loss;   // []: without the gradient penalty
  Value real_loss;   // []: of the real rows alone: discriminator
  Value fake_loss;   // []: of the generated rows alone
  Value weight_sum;  // []: of the real rows
  Value samples;     // [batch, features]: kSampling
};

// Batch norm in training goes by the batch: real and generated rows are normalised apart. Running
// statistics change in the step of their own network alone: the discriminator's by the real rows,
// then by the generated ones.
//
// Throws Error, naming the network's layer and what to change, if a network cannot be wired or does
// not fit the layout, if a gradient penalty asks for second derivatives that a layer lacks, or if a
// number of the spec makes no sense.
AdversarialNetwork BuildAdversarial(const AdversarialSpec& spec, const BatchLayout& layout,
                                    int64_t batch, AdversarialMode mode,
                                    LatentSource latent = LatentSource::kDrawn);

// Of the two training graphs, which are there at the same time.
NetworkCost EstimateCost(const AdversarialSpec& spec, const BatchLayout& layout);

// A number that differs for definitions that do not train alike.
uint64_t Fingerprint(const AdversarialSpec& spec, const BatchLayout& layout);

}  // namespace beamline::engine
