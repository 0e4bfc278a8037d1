#include "pipeline/plan/training_estimate.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "engine/nn/network.h"
#include "pipeline/adversarial.h"
#include "pipeline/examples.h"
#include "pipeline/learners/registry.h"
#include "pipeline/node_graph.h"
#include "pipeline/node_pairs.h"
#include "pipeline/schema.h"

namespace beamline::pipeline {
namespace {

// The features of a graph's nodes and its arcs are part of what is planned, and stand in the
// server's memory for it.
constexpr double kMostGraphBytes = 64 << 20;
constexpr int64_t kNumberBytes = sizeof(float);
// Any will do: a worker has one for each task.
constexpr char kSomeFolder[] = "work";

// As many nodes and arcs as the real graph has, the arcs spread evenly; its features are zeros.
std::shared_ptr<const engine::NodeGraph> GraphOfSize(const ExampleCounts& counts, int64_t features,
                                                     const v1::NodeGraph& graph) {
  // Of pairs only the arcs of the training part are seen.
  const int64_t arcs = graph.has_pairs() ? counts.train / 2 : counts.arcs;
  const double ends = static_cast<double>(arcs) * (graph.directed() ? 2 : 4);
  const double numbers = static_cast<double>(counts.rows) * static_cast<double>(features);
  const double members = graph.member().empty() ? 0 : static_cast<double>(counts.rows);
  if (numbers * kNumberBytes + (ends + members) * sizeof(int32_t) > kMostGraphBytes) {
    engine::Fail("the graph's nodes have ", counts.rows, " times ", features, " features and ",
                 arcs, " arcs, more than are planned with");
  }
  engine::NodeGraph out;
  out.nodes = counts.rows;
  for (int64_t k = 0; k < arcs; ++k) {
    const int64_t from = k % out.nodes;
    const int64_t to = (from + 1 + k / out.nodes) % out.nodes;
    out.sources.push_back(static_cast<int32_t>(from));
    out.targets.push_back(static_cast<int32_t>(to));
    if (graph.directed()) continue;
    out.sources.push_back(static_cast<int32_t>(to));
    out.targets.push_back(static_cast<int32_t>(from));
  }
  if (!graph.member().empty()) {
    out.graphs = std::max<int64_t>(1, counts.graphs);
    for (int64_t node = 0; node < out.nodes; ++node) {
      out.graph_of_node.push_back(static_cast<int32_t>(node * out.graphs / out.nodes));
    }
  }
  out.features = std::make_shared<const engine::Tensor>(
      engine::Tensor({out.nodes, features}, engine::DType::kFloat32));
  return std::make_shared<const engine::NodeGraph>(std::move(out));
}

}  // namespace

int ThreadsOf(const v1::Resources& resources) {
  return std::max(1, static_cast<int>(std::lround(resources.cpus())));
}

TrainingEstimate::TrainingEstimate(const v1::Step& step, const Findings& findings, bool fold)
    : counts_(CountExamples(
          step, [&](const std::string& name) { return findings.Table(name); }, fold)) {
  const v1::TrainingData& data = step.train().data();
  if (const v1::Dataset* table = findings.Table(data.input()); table != nullptr) {
    for (const std::string& name : FeatureColumns(data, ColumnNames(*table))) {
      const v1::Column* column = FindColumn(*table, name);
      if (column == nullptr) continue;
      table_values_ += counts_.rows * ItemSize(*column);
      // Images stay bytes in the table.
      const bool bytes = column->type() == v1::COLUMN_TYPE_UINT8 && column->item_shape_size() > 0;
      if (bytes) byte_values_ += ItemSize(*column);
    }
  }
  const auto facts = findings.trains.find(step.name());
  if (facts == findings.trains.end()) {
    failure_ = absl::StrCat("it depends on the values of table \"", data.input(),
                            "\", which is not made yet");
    return;
  }
  learner_bytes_ = facts->second.learner_bytes;
  if (FindLearnerKind(step.train()) != nullptr) {
    failure_ = absl::StrCat("there is no formula for the learner ", LearnerField(step.train()));
    example_bytes_ = facts->second.learner.features * kNumberBytes;
    return;
  }
  try {
    Plan(step, facts->second);
  } catch (const engine::Error& error) {
    failure_ = error.what();
  } catch (const std::bad_alloc&) {
    failure_ = "the server has too little memory to plan it";
  }
}

template <typename Use>
auto TrainingEstimate::With(const Use& use) {
  return adversarial_.has_value() ? use(*adversarial_) : use(*network_);
}

void TrainingEstimate::Plan(const v1::Step& step, const TrainFacts& facts) {
  const v1::TrainStep& train = step.train();
  const bool weighted = !train.data().weight().empty();
  const int threads = ThreadsOf(step.resources());
  if (train.has_adversarial()) {
    const v1::AdversarialLearner whole = Complete(train.adversarial(), facts.network.features);
    adversarial_ = ToAdversarialSpec(whole, facts.network.features);
    adversarial_->threads = threads;
    layout_ = LayoutOf(facts.network.features, weighted);
  } else {
    const v1::NetworkLearner whole = Complete(train.network(), facts.network);
    network_ = ToNetworkSpec(whole, facts.network);
    network_->threads = threads;
    layout_ = ToLayout(whole, facts.network, weighted);
    const v1::NodeGraph& graph = train.data().graph();
    if (facts.network.graph) {
      layout_.nodes = counts_.rows > 0
                          ? GraphOfSize(counts_, facts.network.features, graph)
                          : SmallestGraph(facts.network.features, !graph.member().empty());
    }
  }
  if (network_.has_value()) outputs_ = engine::OutputShape(*network_, layout_, 1).NumElements();
  example_bytes_ = (layout_.features + layout_.code_columns) * kNumberBytes;
  With([&](const auto& spec) {
    // A table that is not made yet: one full batch.
    if (counts_.train == 0) counts_.exact = false;
    const int64_t rows = counts_.train > 0 ? counts_.train : spec.batch_size;
    plan_ = engine::PlanTraining(spec, layout_, rows, counts_.validation);
    return 0;
  });
}

int64_t TrainingEstimate::DeviceBytes(DeviceClass device) {
  if (!planned()) return static_cast<int64_t>(learner_bytes_);
  if (device == DeviceClass::kCpu) return plan_.peak_bytes;
  return With([&](const auto& spec) {
    return engine::PlanTraining(spec, layout_, std::max(counts_.train, plan_.batch_size),
                                counts_.validation, {.updates_at_end = true})
        .peak_bytes;
  });
}

int64_t TrainingEstimate::FeatureBytesOf(int64_t rows) const {
  if (layout_.steps > 0 || layout_.nodes != nullptr) return 0;
  return rows * std::max<int64_t>(example_bytes_ - byte_values_ * kNumberBytes, 0);
}

int64_t TrainingEstimate::FeatureBytes() const { return FeatureBytesOf(counts_.train); }

FeaturePlace TrainingEstimate::PlaceOfFeatures(int64_t memory_bytes) const {
  return PlaceOf(FeatureBytes(), RoomOf(memory_bytes, kSomeFolder));
}

int64_t TrainingEstimate::MainBytes(DeviceClass device, int64_t memory_bytes) {
  const FeatureRoom room = RoomOf(memory_bytes, kSomeFolder);
  int64_t features = 0;
  for (const int64_t rows : {counts_.train, counts_.validation}) {
    const int64_t bytes = FeatureBytesOf(rows);
    if (PlaceOf(bytes, room) == FeaturePlace::kMemory) features += bytes;
  }
  return features + (device == DeviceClass::kCpu ? DeviceBytes(device) : 0);
}

std::vector<engine::PlannedRuns> TrainingEstimate::PassOver(int64_t rows) const {
  return engine::PlanPass(*network_, layout_, rows);
}

int64_t TrainingEstimate::FittingBatch(DeviceClass device, int64_t limit_bytes) {
  if (!planned() || counts_.train == 0) return 0;
  return With([&](const auto& spec) {
    return engine::FittingBatch(spec, layout_, counts_.train, counts_.validation, limit_bytes,
                                {.updates_at_end = device == DeviceClass::kGpu});
  });
}

}  // namespace beamline::pipeline
