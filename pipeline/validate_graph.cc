// The last check of a network: the engine builds the graph that would train.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "engine/nn/network.h"
#include "pipeline/examples.h"
#include "pipeline/network.h"
#include "pipeline/node_graph.h"
#include "pipeline/node_pairs.h"
#include "pipeline/plan/training_estimate.h"
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
  facts.source_steps = features.source_steps;
  facts.target_steps = features.target_steps;
  facts.graph = data.has_graph();
  facts.pairs = LearnsPairs(data);
  return facts;
}

std::string MebibytesText(int64_t bytes) {
  constexpr int64_t kMebibyte = int64_t{1} << 20;
  return BytesText(static_cast<double>((bytes + kMebibyte - 1) / kMebibyte * kMebibyte));
}

}  // namespace

ExampleCounts CountsOf(const Context& context, const v1::Step& step) {
  return CountExamples(
      step,
      [&](const std::string& name) -> const v1::Dataset* {
        const auto found = context.inputs.find(name);
        return found == context.inputs.end() ? nullptr : found->second;
      },
      false);
}

void AddMemoryError(Context& context, const std::string& path, int64_t needed_bytes,
                    int64_t fitting, const MemoryLimit& memory) {
  context.errors.Add(path + ".batch_size",
                     absl::StrCat("training needs ", MebibytesText(needed_bytes),
                                  " of memory, but the step has ", MebibytesText(memory.bytes),
                                  fitting > 0 ? absl::StrCat(": batches of ", fitting, " fit; or")
                                              : ": no batch fits:",
                                  " use smaller layers, or raise ", memory.field));
}

void CheckGraph(Context& context, const std::string& path, const v1::Step& step,
                const TargetFacts& target, const FeatureFacts& features,
                const MemoryLimit& memory) {
  const v1::TrainStep& train = step.train();
  if (!target.known || features.features + features.code_columns == 0) return;
  // How many classes a table has that is not made yet nobody knows.
  if (target.is_class && target.classes == 0) return;
  const NetworkFacts facts = FactsFor(train.data(), target, features);
  if (context.findings != nullptr && !features.assumed)
    context.findings->trains[step.name()].network = facts;
  const v1::NetworkLearner network = Complete(train.network(), facts);
  engine::BatchLayout layout = ToLayout(network, facts, !train.data().weight().empty());
  const v1::NodeGraph& graph = train.data().graph();
  if (facts.graph) layout.nodes = SmallestGraph(features.features, !graph.member().empty());
  const ExampleCounts counts = CountsOf(context, step);
  try {
    engine::NetworkSpec spec = ToNetworkSpec(network, facts);
    spec.threads = ThreadsOf(step.resources());
    const int64_t rows = counts.train > 0 ? counts.train : spec.batch_size;
    const engine::PlanOptions options{.updates_at_end = memory.of_gpu};
    const int64_t needed =
        engine::PlanTraining(spec, layout, rows, counts.validation, options).peak_bytes;
    if (needed <= memory.bytes) return;
    if (engine::FittingParts(spec, layout, rows, counts.validation, memory.bytes, options) > 0) {
      return;
    }
    AddMemoryError(
        context, path, needed,
        engine::FittingBatch(spec, layout, rows, counts.validation, memory.bytes, options), memory);
  } catch (const engine::Error& error) {
    context.errors.Add(path, error.what());
  }
}

}  // namespace beamline::pipeline::validation
