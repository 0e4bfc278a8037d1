// Publish steps.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "pipeline/execute_internal.h"
#include "pipeline/text_value.h"

namespace beamline::pipeline::execution {

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
