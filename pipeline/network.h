// Networks: from the definition language to the engine's specification.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "beamline/v1/network.pb.h"
#include "beamline/v1/training_data.pb.h"
#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"

namespace beamline::pipeline {

// Of a learner whose definition says nothing.
inline constexpr int32_t kDefaultEpochs = 10;

// What the data decides about a network.
struct NetworkFacts {
  // Names of the classes in the order of their index; empty: the target is a number.
  std::vector<std::string> classes;
  // Training rows of each class, for balanced weights.
  std::vector<int64_t> class_rows;
  // Categories of each code column.
  std::vector<int64_t> code_sizes;
  // Numbers that a row of the table has as features.
  int64_t features = 0;
  // Rows that the network sees at once, as a sequence; 0: one, and no sequence.
  int64_t steps = 0;
  // The sequences are of different lengths.
  bool has_lengths = false;
  // The features are to be reconstructed: there is no target.
  bool reconstructs = false;
  // Rows behind the sequence whose features are to be predicted; 0: none.
  int64_t horizon = 0;
  // The code behind each step is to be predicted.
  bool next_token = false;
  // Hidden codes are to be guessed.
  std::optional<engine::MaskingSpec> masking;
  // Each step has a target of its own.
  bool each_step = false;
  // Codes of the source, and of the target with its end, where a text is told from another; else 0.
  // code_sizes are of these two then.
  int64_t source_steps = 0;
  int64_t target_steps = 0;
  // The features are those of the nodes of a graph.
  bool graph = false;
  // And examples are pairs of them.
  bool pairs = false;

  bool translates() const { return target_steps > 0; }
  // Outputs of the last layer that is dense and leaves them open; classes aside.
  int64_t FeatureOutputs() const {
    return horizon > 0 ? horizon * features : features * (steps > 0 ? steps : 1);
  }
};

// What objective masked hides.
engine::MaskingSpec MaskingOf(const v1::TrainingData& data);

// The loss compares classes, each with an output of its own, and not one number or score.
bool HasOutputPerClass(const v1::NetworkLearner& network, int64_t classes);

// `network` with nothing left open: loss, optimiser, names of layers, width of the last layer.
v1::NetworkLearner Complete(const v1::NetworkLearner& network, const NetworkFacts& facts);

// The engine's form of a complete network, with the defaults of the definition language in place of
// zeros. Seed, threads and backend are the caller's to set.
engine::NetworkSpec ToNetworkSpec(const v1::NetworkLearner& network, const NetworkFacts& facts);

// What a row looks like to a network with such a loss; without the graph itself.
engine::BatchLayout ToLayout(const v1::NetworkLearner& network, const NetworkFacts& facts,
                             bool has_weights);

}  // namespace beamline::pipeline
