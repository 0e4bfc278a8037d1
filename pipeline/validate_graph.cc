// The last check of a network: the engine builds the graph that would train.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "engine/nn/network.h"
#include "pipeline/examples.h"
#include "pipeline/network.h"
#include "pipeline/node_graph.h"
#include "pipeline/node_pairs.h"
#include "pipeline/schema.h"
#include "pipeline/units.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

NetworkFacts FactsFor(const v1::TrainingData& data, const TargetFacts& target,
                      const FeatureFacts& features) {
  NetworkFacts facts;
  facts.classes = target.class_names;
  // Classes whose names the statistics do not list: only their number matters here.
  for (int64_t i = static_cast<int64_t>(facts.classes.size()); i < target.classes; ++i) {
    facts.classes.push_back(absl::StrCat("class ", i));
  }
  facts.class_rows.assign(facts.classes.size(), 1);
  facts.code_sizes = features.code_sizes;
  facts.features = features.features;
  facts.reconstructs = target.reconstructs;
  facts.next_token = GivesNextToken(data);
  if (GuessesHidden(data)) facts.masking = MaskingOf(data);
  facts.each_step = JudgesEachStep(data);
  const ExampleShape shape = ShapeOf(data);
  facts.steps = shape.steps;
  facts.has_lengths = data.has_sequences();
  if (target.forecasts) facts.horizon = shape.horizon;
  facts.graph = data.has_graph();
  facts.pairs = LearnsPairs(data);
  return facts;
}

std::string MebibytesText(int64_t bytes) {
  constexpr int64_t kMebibyte = int64_t{1} << 20;
  return BytesText(static_cast<double>((bytes + kMebibyte - 1) / kMebibyte * kMebibyte));
}

}  // namespace

void CheckGraph(Context& context, const std::string& path, const v1::TrainStep& train,
                const TargetFacts& target, const FeatureFacts& features,
                const MemoryLimit& memory) {
  if (!target.known || features.features + features.code_columns == 0) return;
  // How many classes a table has that is not made yet nobody knows.
  if (target.is_class && target.classes == 0) return;
  const NetworkFacts facts = FactsFor(train.data(), target, features);
  const v1::NetworkLearner network = Complete(train.network(), facts);
  engine::BatchLayout layout = ToLayout(network, facts, !train.data().weight().empty());
  const v1::NodeGraph& graph = train.data().graph();
  if (facts.graph) layout.nodes = SmallestGraph(features.features, !graph.member().empty());
  try {
    const engine::NetworkCost cost = engine::EstimateCost(ToNetworkSpec(network, facts), layout);
    if (cost.peak_bytes <= memory.bytes) return;
    context.errors.Add(path + ".batch_size",
                       absl::StrCat("a training step needs ", MebibytesText(cost.peak_bytes),
                                    " of memory, but the step has ", MebibytesText(memory.bytes),
                                    ": use smaller batches or layers, or raise ", memory.field));
  } catch (const engine::Error& error) {
    context.errors.Add(path, error.what());
  }
}

}  // namespace beamline::pipeline::validation
