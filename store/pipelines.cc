#include "store/pipelines.h"

#include "absl/strings/str_cat.h"
#include "store/identity.h"
#include "store/rows.h"

namespace beamline::store {

absl::StatusOr<v1::Pipeline> GetPipeline(const View& view, std::string_view project,
                                         std::string_view pipeline, int64_t version) {
  const std::string what = version == 0
                               ? absl::StrCat("pipeline ", A(pipeline))
                               : absl::StrCat("version ", version, " of pipeline ", A(pipeline));
  return OneMessage<v1::Pipeline>(
      view, what,
      "SELECT message FROM pipelines WHERE project = ?1 AND id = ?2 AND (?3 = 0 OR version = ?3) "
      "ORDER BY version DESC LIMIT 1",
      project, pipeline, version);
}

absl::StatusOr<std::vector<v1::Pipeline>> ListPipelines(const View& view, std::string_view project,
                                                        std::string_view after, int64_t limit) {
  return ManyMessages<v1::Pipeline>(
      view,
      "SELECT p.message FROM pipelines p WHERE p.project = ?1 AND p.id > ?2 AND p.version = "
      "(SELECT max(q.version) FROM pipelines q WHERE q.project = p.project AND q.id = p.id) "
      "ORDER BY p.id LIMIT ?3",
      project, after, limit);
}

absl::Status InsertPipeline(Writer& writer, std::string_view project,
                            const v1::Pipeline& pipeline) {
  return writer.connection()
      .Execute(
          "INSERT INTO pipelines (project, id, version, digest, message) "
          "VALUES (?1, ?2, ?3, ?4, ?5)",
          project, IdOf(pipeline.name()), pipeline.version(), pipeline.digest(),
          Bytes{pipeline.SerializeAsString()})
      .status();
}

absl::StatusOr<v1::Model> GetModel(const View& view, std::string_view project,
                                   std::string_view model, int64_t version) {
  const std::string what = version == 0 ? absl::StrCat("model ", A(model))
                                        : absl::StrCat("version ", version, " of model ", A(model));
  return OneMessage<v1::Model>(
      view, what,
      "SELECT message FROM models WHERE project = ?1 AND id = ?2 AND (?3 = 0 OR version = ?3) "
      "ORDER BY version DESC LIMIT 1",
      project, model, version);
}

absl::StatusOr<v1::Model> FindPublishedModel(const View& view, std::string_view run,
                                             std::string_view step) {
  return OneMessage<v1::Model>(
      view, "model", "SELECT message FROM models WHERE run = ?1 AND step = ?2", run, step);
}

absl::StatusOr<std::vector<Listed<v1::Model>>> ListModels(const View& view,
                                                          std::string_view project,
                                                          std::string_view model, int64_t before,
                                                          int64_t limit) {
  if (!model.empty()) {
    return ManyListed<v1::Model>(view,
                                 "SELECT message, serial FROM models WHERE project = ?1 AND "
                                 "id = ?2 AND serial < ?3 ORDER BY serial DESC LIMIT ?4",
                                 project, model, before, limit);
  }
  return ManyListed<v1::Model>(
      view,
      "SELECT m.message, m.serial FROM models m WHERE m.project = ?1 AND m.serial < ?2 AND "
      "m.version = (SELECT max(n.version) FROM models n WHERE n.project = m.project AND "
      "n.id = m.id) ORDER BY m.serial DESC LIMIT ?3",
      project, before, limit);
}

absl::StatusOr<int64_t> TakeModelVersion(Writer& writer, std::string_view project,
                                         std::string_view model) {
  return One<int64_t>(
      writer, "model version",
      "INSERT INTO model_versions (project, id, last_version) VALUES (?1, ?2, 1) "
      "ON CONFLICT (project, id) DO UPDATE SET last_version = last_version + 1 "
      "RETURNING last_version",
      [](const Row& row) { return row.Int(0); }, project, model);
}

absl::Status InsertModel(Writer& writer, std::string_view project, std::string_view model,
                         int64_t version, std::string_view run, std::string_view step,
                         const v1::Model& message) {
  return writer.connection()
      .Execute(
          "INSERT INTO models (project, id, version, run, step, message) "
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
          project, model, version, run, step, Bytes{message.SerializeAsString()})
      .status();
}

absl::Status UpdateModel(Writer& writer, std::string_view project, std::string_view model,
                         int64_t version, const v1::Model& message) {
  return Changed(writer, absl::StrCat("model ", A(model)),
                 "UPDATE models SET message = ?4 WHERE project = ?1 AND id = ?2 AND version = ?3",
                 project, model, version, Bytes{message.SerializeAsString()});
}

absl::Status DeleteModel(Writer& writer, std::string_view project, std::string_view model,
                         int64_t version) {
  return Changed(writer, absl::StrCat("model ", A(model)),
                 "DELETE FROM models WHERE project = ?1 AND id = ?2 AND (?3 = 0 OR version = ?3)",
                 project, model, version);
}

}  // namespace beamline::store
