#include "server/names.h"

#include <initializer_list>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "base/without_secrets.h"
#include "server/errors.h"

namespace beamline::server {
namespace {

constexpr size_t kMaxIdLength = 80;

constexpr char kIdLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
// Of tasks: what follows a dot says which repetition of the step it is.
constexpr char kTaskLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

// Dataset ids are digests with an addition, longer than what users may choose; ids of tasks too.
bool IsId(std::string_view text, const char* letters) {
  if (text.empty() || text.size() > kMaxIdLength) return false;
  return text.find_first_not_of(letters) == text.npos;
}

// The ids in `name`, which must read like `form`: words as they are, "*" for an id, "*.*" for that
// of a task.
std::optional<std::vector<std::string>> Match(std::string_view form, std::string_view name) {
  if (name.size() > 512) return std::nullopt;
  const std::vector<std::string> words = absl::StrSplit(A(form), '/');
  const std::vector<std::string> parts = absl::StrSplit(A(name), '/');
  if (parts.size() != words.size()) return std::nullopt;
  std::vector<std::string> ids;
  for (size_t i = 0; i < parts.size(); ++i) {
    if ((words[i] == "*" && IsId(parts[i], kIdLetters)) ||
        (words[i] == "*.*" && IsId(parts[i], kTaskLetters))) {
      ids.push_back(parts[i]);
    } else if (words[i] != parts[i]) {
      return std::nullopt;
    }
  }
  return ids;
}

absl::Status Malformed(std::string_view field, std::string_view name, std::string_view form) {
  return BadField(field, absl::StrCat("\"", A(WithoutSecrets(name.substr(0, 100))),
                                      "\" is not of the form \"", A(form), "\""));
}

absl::StatusOr<std::vector<std::string>> Parse(std::string_view field, std::string_view name,
                                               std::string_view form, std::string_view shown) {
  std::optional<std::vector<std::string>> ids = Match(form, name);
  if (!ids.has_value()) return Malformed(field, name, shown);
  return *std::move(ids);
}

absl::StatusOr<ChildName> ParseChild(std::string_view field, std::string_view name,
                                     std::string_view form, std::string_view shown) {
  ASSIGN_OR_RETURN(const auto ids, Parse(field, name, form, shown));
  return ChildName{.project = ids[0], .id = ids[1]};
}

}  // namespace

absl::StatusOr<std::string> ParseProjectName(std::string_view field, std::string_view name) {
  ASSIGN_OR_RETURN(const auto ids, Parse(field, name, "projects/*", "projects/PROJECT"));
  return ids[0];
}

absl::StatusOr<std::string> ParseUserName(std::string_view field, std::string_view name) {
  ASSIGN_OR_RETURN(const auto ids, Parse(field, name, "users/*", "users/USER"));
  return ids[0];
}

absl::StatusOr<std::string> ParseWorkerName(std::string_view field, std::string_view name) {
  ASSIGN_OR_RETURN(const auto ids, Parse(field, name, "workers/*", "workers/WORKER"));
  return ids[0];
}

absl::StatusOr<ChildName> ParseTokenName(std::string_view field, std::string_view name) {
  return ParseChild(field, name, "users/*/tokens/*", "users/USER/tokens/TOKEN");
}

absl::StatusOr<ChildName> ParseDatasetName(std::string_view field, std::string_view name) {
  return ParseChild(field, name, "projects/*/datasets/*", "projects/PROJECT/datasets/DATASET");
}

absl::StatusOr<ChildName> ParseUploadName(std::string_view field, std::string_view name) {
  return ParseChild(field, name, "projects/*/uploads/*", "projects/PROJECT/uploads/UPLOAD");
}

absl::StatusOr<ChildName> ParsePipelineName(std::string_view field, std::string_view name) {
  return ParseChild(field, name, "projects/*/pipelines/*", "projects/PROJECT/pipelines/PIPELINE");
}

absl::StatusOr<ChildName> ParseRunName(std::string_view field, std::string_view name) {
  return ParseChild(field, name, "projects/*/runs/*", "projects/PROJECT/runs/RUN");
}

absl::StatusOr<TaskName> ParseTaskName(std::string_view field, std::string_view name) {
  ASSIGN_OR_RETURN(const auto ids, Parse(field, name, "projects/*/runs/*/tasks/*.*",
                                         "projects/PROJECT/runs/RUN/tasks/TASK"));
  return TaskName{.project = ids[0], .run = ids[1], .task = ids[2]};
}

absl::StatusOr<ModelName> ParseModelName(std::string_view field, std::string_view name) {
  if (const auto ids = Match("projects/*/models/*", name)) {
    return ModelName{.project = (*ids)[0], .id = (*ids)[1], .version = 0};
  }
  if (const auto ids = Match("projects/*/models/*/stages/*", name)) {
    ModelName model{.project = (*ids)[0], .id = (*ids)[1]};
    if ((*ids)[2] == "production") model.stage = v1::MODEL_STAGE_PRODUCTION;
    if ((*ids)[2] == "staging") model.stage = v1::MODEL_STAGE_STAGING;
    if (model.stage != v1::MODEL_STAGE_UNSPECIFIED) return model;
  }
  constexpr std::string_view kShown =
      "projects/PROJECT/models/MODEL[/versions/VERSION], or .../stages/production or staging";
  ASSIGN_OR_RETURN(const auto ids, Parse(field, name, "projects/*/models/*/versions/*", kShown));
  ModelName model{.project = ids[0], .id = ids[1], .version = 0};
  if (!absl::SimpleAtoi(ids[2], &model.version) || model.version < 1) {
    return Malformed(field, name, kShown);
  }
  return model;
}

std::string ProjectName(std::string_view project) { return absl::StrCat("projects/", A(project)); }

std::string DatasetName(std::string_view project, std::string_view id) {
  return absl::StrCat("projects/", A(project), "/datasets/", A(id));
}

std::string UploadName(std::string_view project, std::string_view id) {
  return absl::StrCat("projects/", A(project), "/uploads/", A(id));
}

std::string PipelineName(std::string_view project, std::string_view id) {
  return absl::StrCat("projects/", A(project), "/pipelines/", A(id));
}

std::string RunName(std::string_view project, std::string_view id) {
  return absl::StrCat("projects/", A(project), "/runs/", A(id));
}

std::string TaskNameOf(std::string_view run_name, std::string_view task) {
  return absl::StrCat(A(run_name), "/tasks/", A(task));
}

std::string ModelVersionName(std::string_view project, std::string_view id, int64_t version) {
  return absl::StrCat("projects/", A(project), "/models/", A(id), "/versions/", version);
}

}  // namespace beamline::server
