#include "clients/cli/pipeline_view.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"
#include "clients/cli/format.h"

namespace beamline::cli {
namespace {

// The name of what is set of a oneof: "boosted trees"; empty if nothing is.
std::string ChosenName(const google::protobuf::Message& message, const std::string& oneof) {
  const auto* kinds = message.GetDescriptor()->FindOneofByName(oneof);
  const auto* field = message.GetReflection()->GetOneofFieldDescriptor(message, kinds);
  return field == nullptr ? "" : absl::StrReplaceAll(A(field->name()), {{"_", " "}});
}

std::string TrainingCaption(const v1::Step& step) {
  const v1::TrainStep& train = step.train();
  std::vector<std::string> parts;
  if (train.has_network()) {
    const int layers = train.network().layers_size();
    parts.push_back(absl::StrCat("network of ", layers, layers == 1 ? " layer" : " layers"));
  } else {
    parts.push_back(ChosenName(train, "learner"));
  }
  if (step.has_search()) parts.push_back(ChosenName(step.search(), "algorithm") + " search");
  if (step.has_cross_validation()) {
    parts.push_back(ChosenName(step.cross_validation(), "kind") + " folds");
  }
  return absl::StrJoin(parts, ", ");
}

std::string Caption(const v1::Step& step) {
  switch (step.kind_case()) {
    case v1::Step::kPrepare: {
      std::vector<std::string> operations;
      for (const v1::TableOperation& operation : step.prepare().operations()) {
        operations.push_back(ChosenName(operation, "kind"));
      }
      return absl::StrCat("prepare: ", absl::StrJoin(operations, ", "));
    }
    case v1::Step::kTrain:
      return absl::StrCat("train: ", TrainingCaption(step));
    case v1::Step::kEvaluate:
      return absl::StrCat("evaluate: ", LastPart(step.evaluate().model()));
    case v1::Step::kPublish:
      return absl::StrCat("publish: ", step.publish().name());
    case v1::Step::kPredict:
      return absl::StrCat("predict: ", LastPart(step.predict().model()));
    case v1::Step::kScalingStudy:
      return absl::StrCat("scaling study: ", step.scaling_study().step());
    case v1::Step::kCommand:
      return absl::StrCat("command: ", absl::StrJoin(step.command().program().arguments(), " "));
    case v1::Step::KIND_NOT_SET:
      break;
  }
  return "";
}

std::string Caption(const v1::Input& input) {
  if (input.files_size() > 0) return absl::StrJoin(input.files(), ", ");
  return input.file().empty() ? LastPart(input.dataset()) : input.file();
}

class Graph {
 public:
  Graph(const v1::PipelineDefinition& definition,
        const google::protobuf::RepeatedPtrField<v1::StepArc>& arcs)
      : definition_(definition) {
    for (const v1::StepArc& arc : arcs) before_[arc.to()].push_back(arc.from());
  }

  std::vector<DagNode> Make() {
    for (const v1::Step& step : definition_.steps()) Add(step);
    return std::move(nodes_);
  }

 private:
  // And before it what leads to it.
  void Add(const v1::Step& step) {
    if (!seen_.insert(step.name()).second) return;
    DagNode node{.name = step.name(), .caption = Caption(step), .source = false, .from = {}};
    for (const std::string& name : before_[step.name()]) {
      for (const v1::Step& other : definition_.steps()) {
        if (other.name() == name) Add(other);
      }
    }
    for (const std::string& name : before_[step.name()]) AddInput(name);
    for (const std::string& name : before_[step.name()]) {
      if (const auto found = index_.find(name); found != index_.end()) {
        node.from.push_back(found->second);
      }
    }
    index_[step.name()] = nodes_.size();
    nodes_.push_back(std::move(node));
  }

  void AddInput(const std::string& name) {
    const auto input = definition_.inputs().find(name);
    if (input == definition_.inputs().end() || index_.contains(name)) return;
    index_[name] = nodes_.size();
    nodes_.push_back({.name = name, .caption = Caption(input->second), .source = true, .from = {}});
  }

  const v1::PipelineDefinition& definition_;
  std::map<std::string, std::vector<std::string>> before_;
  std::set<std::string> seen_;
  std::map<std::string, size_t> index_;
  std::vector<DagNode> nodes_;
};

}  // namespace

std::vector<DagNode> PipelineGraph(const v1::PipelineDefinition& definition,
                                   const google::protobuf::RepeatedPtrField<v1::StepArc>& arcs) {
  return Graph(definition, arcs).Make();
}

}  // namespace beamline::cli
