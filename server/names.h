// Resource names: made and taken apart here and nowhere else in the server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/model.pb.h"

namespace beamline::server {

// What a name has been taken apart into. `id` is the last part.
struct ChildName {
  std::string project;
  std::string id;
};
struct TaskName {
  std::string project;
  std::string run;
  // A step's name; of trials and folds with what pipeline::TaskIdOf adds.
  std::string task;
};
struct ModelName {
  std::string project;
  std::string id;
  // 0: the latest, or the one in `stage`.
  int64_t version = 0;
  v1::ModelStage stage = v1::MODEL_STAGE_UNSPECIFIED;
};

// Each: InvalidArgument that names `field` and the form if `name` has another one.
absl::StatusOr<std::string> ParseProjectName(std::string_view field, std::string_view name);
absl::StatusOr<std::string> ParseUserName(std::string_view field, std::string_view name);
absl::StatusOr<std::string> ParseWorkerName(std::string_view field, std::string_view name);
// "users/U/tokens/T": project is U.
absl::StatusOr<ChildName> ParseTokenName(std::string_view field, std::string_view name);
absl::StatusOr<ChildName> ParseDatasetName(std::string_view field, std::string_view name);
absl::StatusOr<ChildName> ParseUploadName(std::string_view field, std::string_view name);
absl::StatusOr<ChildName> ParsePipelineName(std::string_view field, std::string_view name);
absl::StatusOr<ChildName> ParseRunName(std::string_view field, std::string_view name);
absl::StatusOr<TaskName> ParseTaskName(std::string_view field, std::string_view name);
// With or without "/versions/V"; or with "/stages/production", "/stages/staging".
absl::StatusOr<ModelName> ParseModelName(std::string_view field, std::string_view name);

std::string ProjectName(std::string_view project);
std::string DatasetName(std::string_view project, std::string_view id);
std::string UploadName(std::string_view project, std::string_view id);
std::string PipelineName(std::string_view project, std::string_view id);
std::string RunName(std::string_view project, std::string_view id);
std::string TaskNameOf(std::string_view run_name, std::string_view task);
std::string ModelVersionName(std::string_view project, std::string_view id, int64_t version);

}  // namespace beamline::server
