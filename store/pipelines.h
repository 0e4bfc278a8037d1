// Stored versions of pipelines, and registered models.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/model.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "store/datasets.h"
#include "store/store.h"

namespace beamline::store {

// Version 0: the latest. NotFound if there is none.
absl::StatusOr<v1::Pipeline> GetPipeline(const View& view, std::string_view project,
                                         std::string_view pipeline, int64_t version);
// The latest version of each, by id, behind `after`.
absl::StatusOr<std::vector<v1::Pipeline>> ListPipelines(const View& view, std::string_view project,
                                                        std::string_view after, int64_t limit);
// AlreadyExists if there is such a version.
absl::Status InsertPipeline(Writer& writer, std::string_view project, const v1::Pipeline& pipeline);

// Version 0: the latest. NotFound if there is none.
absl::StatusOr<v1::Model> GetModel(const View& view, std::string_view project,
                                   std::string_view model, int64_t version);
// The model that this publish step has registered. NotFound if it has not.
absl::StatusOr<v1::Model> FindPublishedModel(const View& view, std::string_view run,
                                             std::string_view step);
// Newest first, serials below `before`: the latest version of each model, or, with `model`, all
// versions of that one.
absl::StatusOr<std::vector<Listed<v1::Model>>> ListModels(const View& view,
                                                          std::string_view project,
                                                          std::string_view model, int64_t before,
                                                          int64_t limit);
// The version after the last that was ever given, and takes it.
absl::StatusOr<int64_t> TakeModelVersion(Writer& writer, std::string_view project,
                                         std::string_view model);
// AlreadyExists if the version exists or the step has registered one already.
absl::Status InsertModel(Writer& writer, std::string_view project, std::string_view model,
                         int64_t version, std::string_view run, std::string_view step,
                         const v1::Model& message);
// NotFound if there is no such version.
absl::Status UpdateModel(Writer& writer, std::string_view project, std::string_view model,
                         int64_t version, const v1::Model& message);
// Version 0: all. NotFound if there was none.
absl::Status DeleteModel(Writer& writer, std::string_view project, std::string_view model,
                         int64_t version);

}  // namespace beamline::store
