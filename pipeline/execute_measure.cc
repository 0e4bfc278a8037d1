// Evaluate and publish steps.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "pipeline/dependencies.h"
#include "pipeline/execute_internal.h"
#include "pipeline/judge.h"
#include "pipeline/node_graph.h"
#include "pipeline/node_pairs.h"
#include "pipeline/program_learner.h"
#include "pipeline/reconstruction.h"
#include "pipeline/schema.h"
#include "pipeline/text_value.h"
#include "pipeline/training.h"

namespace beamline::pipeline::execution {
namespace {

// The rows to be measured.
struct Chosen {
  engine::data::Dataset dataset;
  Examples examples;
  std::string description;
  // Of models of graphs.
  Arcs arcs;
};

std::string PartName(v1::DataPart part) {
  return part == v1::DATA_PART_TRAIN        ? "train"
         : part == v1::DATA_PART_VALIDATION ? "validation"
                                            : "test";
}

// All parts of the data that a model was trained on; the arcs that layers see go to `chosen`.
SplitExamples SplitOf(const Task& task, const v1::ModelCard& card, Chosen* chosen) {
  const v1::TrainingData& data = card.data();
  const engine::data::Table& table = chosen->dataset.table;
  if (!data.has_graph()) return MakeExamples(table, data, card.seed());
  const engine::data::Dataset arcs = task.OpenTable(data.graph().arcs());
  if (!LearnsPairs(data)) {
    chosen->arcs = ReadArcs(table, arcs.table, data.graph());
    return MakeExamples(table, data, card.seed());
  }
  SplitPairs pairs = MakePairs(table, arcs.table, data, card.seed());
  chosen->arcs = std::move(pairs.seen);
  return std::move(pairs.examples);
}

Chosen ChooseRows(const Task& task, const v1::EvaluateStep& evaluate, const v1::ModelCard& card) {
  Chosen chosen;
  if (!evaluate.input().empty()) {
    chosen.dataset = task.OpenTable(evaluate.input());
    chosen.examples = AllExamples(chosen.dataset.table, card.data());
    chosen.description = evaluate.input();
    return chosen;
  }
  const v1::Split& split = card.data().split();
  v1::DataPart part = evaluate.part();
  if (part == v1::DATA_PART_UNSPECIFIED) {
    part = HasTestRows(split) ? v1::DATA_PART_TEST : v1::DATA_PART_VALIDATION;
  }
  if (part == v1::DATA_PART_TEST && split.has_input()) {
    chosen.dataset = task.OpenTable(split.input().test());
    chosen.examples = AllExamples(chosen.dataset.table, card.data());
    chosen.description = split.input().test();
    return chosen;
  }
  chosen.dataset = task.OpenTable(card.data().input());
  SplitExamples parts = SplitOf(task, card, &chosen);
  chosen.examples = part == v1::DATA_PART_TRAIN        ? std::move(parts.train)
                    : part == v1::DATA_PART_VALIDATION ? std::move(parts.validation)
                                                       : std::move(parts.test);
  chosen.description = absl::StrCat(card.data().input(), ", ", PartName(part));
  return chosen;
}

bool Wants(const v1::EvaluateStep& evaluate, const std::string& metric) {
  return evaluate.metrics_size() == 0 ||
         std::count(evaluate.metrics().begin(), evaluate.metrics().end(), metric) > 0;
}

std::vector<int32_t> AnomaliesOf(const v1::EvaluateStep& evaluate, const Chosen& chosen) {
  if (!evaluate.has_anomaly()) return {};
  return ReadAnomalies(chosen.dataset.table, evaluate.anomaly(), chosen.examples.heads);
}

// What is known of a registered model only now.
void CheckModel(const v1::EvaluateStep& evaluate, const v1::ModelCard& card) {
  if (card.has_adversarial()) {
    engine::Fail(
        "the model generates and predicts nothing that could be measured: remove the step");
  }
  if (card.data().has_graph() && !evaluate.input().empty()) {
    engine::Fail("a model of a graph is measured on parts of its own split only: remove input");
  }
  if (!evaluate.has_anomaly() || Reconstructs(card.data())) return;
  engine::Fail("anomaly is for models that reconstruct, but this one ",
               HasTarget(card.data()) ? "predicts \"" + card.target() + "\"" : "does not",
               ": remove it");
}

}  // namespace

void RunEvaluate(Task& task, v1::TaskEnd* end) {
  const v1::EvaluateStep& evaluate = task.step().evaluate();
  const std::string path = task.path() + ".evaluate";
  const ModelFile model = task.OpenModel(ModelKey(evaluate.model()));
  Inference inference = PrepareInference(model.card);
  inference.Use(task.threads(), task.Backend(false));
  Chosen chosen = At(path, [&] { return ChooseRows(task, evaluate, model.card); });
  if (chosen.examples.empty()) {
    throw TaskFailure(v1::FAILURE_KIND_USER,
                      absl::StrCat("there are no rows to measure (", chosen.description, ")"),
                      path);
  }
  At(path, [&] {
    CheckModel(evaluate, model.card);
    const v1::TrainingData& data = model.card.data();
    const Truth truth = TruthOf(chosen.dataset.table, inference.target, data, chosen.examples);
    if (data.has_graph()) {
      inference.layout.nodes = BuildGraph(inference.transforms, chosen.dataset.table,
                                          std::move(chosen.arcs), data.graph());
    }
    const auto source = MakeSource(inference.transforms, chosen.dataset.table, chosen.examples,
                                   model.card.data(), inference.layout, truth, task.FeatureBytes());
    const std::vector<std::string> names(evaluate.metrics().begin(), evaluate.metrics().end());
    v1::Evaluation evaluation;
    double loss = 0;
    if (model.card.learner().has_command()) {
      const auto said = AskProgram(task, ModelKey(evaluate.model()), model.card, *source, end);
      if (!said.has_value()) return;
      evaluation = Measure(*said, truth, model.card, names);
      loss = LossOf(*said, truth);
    } else {
      const auto learner = MakeLearner(inference);
      learner->SetWeights(model.tensors);
      evaluation =
          Judge(*learner, *source, truth, AnomaliesOf(evaluate, chosen), model.card, names);
      if (Wants(evaluate, "loss")) loss = learner->Evaluate(*source).loss;
    }
    if (Wants(evaluate, "loss")) (*evaluation.mutable_metrics())["loss"] = loss;
    evaluation.set_rows_of(chosen.description);
    v1::Event event;
    *event.mutable_evaluation() = evaluation;
    task.Emit(std::move(event));
    v1::TaskResult& result = *end->mutable_result()->mutable_result();
    *result.mutable_metrics() = evaluation.metrics();
    *result.mutable_evaluation() = std::move(evaluation);
    end->mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  });
}

void RunPublish(Task& task, v1::TaskEnd* end) {
  const v1::PublishStep& publish = task.step().publish();
  std::vector<std::string> failed;
  for (const v1::Requirement& requirement : publish.requirements()) {
    const auto evaluation = task.attempt().evaluations().find(requirement.evaluation());
    if (evaluation == task.attempt().evaluations().end()) {
      throw TaskFailure(
          v1::FAILURE_KIND_INFRASTRUCTURE,
          absl::StrCat("the evaluation of step \"", requirement.evaluation(), "\" was not given"));
    }
    const std::string what =
        absl::StrCat(requirement.metric(), " of \"", requirement.evaluation(), "\"");
    const auto value = evaluation->second.metrics().find(requirement.metric());
    if (value == evaluation->second.metrics().end()) {
      failed.push_back(absl::StrCat(what, " could not be computed"));
    } else if (requirement.has_at_least() && !(value->second >= requirement.at_least())) {
      failed.push_back(absl::StrCat(what, " is ", NumberText(value->second), ", but at least ",
                                    NumberText(requirement.at_least()), " is required"));
    } else if (requirement.has_at_most() && !(value->second <= requirement.at_most())) {
      failed.push_back(absl::StrCat(what, " is ", NumberText(value->second), ", but at most ",
                                    NumberText(requirement.at_most()), " is allowed"));
    }
  }
  if (!failed.empty()) {
    throw TaskFailure(v1::FAILURE_KIND_USER,
                      absl::StrCat(absl::StrJoin(failed, "; "), ": nothing was published"),
                      task.path() + ".publish.requirements");
  }
  const std::string key = ModelKey(publish.model());
  ModelFile model = task.OpenModel(key);
  v1::AttemptResult& result = *end->mutable_result();
  *result.mutable_card() = std::move(model.card);
  // The file is the train step's: the same blob under the published name.
  const auto blob = task.attempt().inputs().find(key);
  if (blob != task.attempt().inputs().end()) {
    (*result.mutable_result()->mutable_artifacts())["model"] = blob->second;
  }
  result.set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
}

}  // namespace beamline::pipeline::execution
