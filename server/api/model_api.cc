#include "server/api/model_api.h"

#include <limits>
#include <list>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "pipeline/predict.h"
#include "server/api/answer.h"
#include "server/coordinator.h"
#include "server/errors.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/paging.h"
#include "server/registry.h"
#include "server/work_pool.h"
#include "store/blob_store.h"
#include "store/datasets.h"
#include "store/pipelines.h"
#include "store/runs.h"

namespace beamline::server {
namespace {

// A file larger than the cache could never be kept, and reading it for each call would only heat
// the disk.
absl::Status CheckServable(const v1::Blob& file, int64_t cache_bytes) {
  if (file.size_bytes() <= cache_bytes) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the model has ", file.size_bytes(),
                                                    " bytes, and this server predicts with "
                                                    "models of up to ",
                                                    cache_bytes,
                                                    ": download it and predict yourself"));
}

pipeline::PredictOptions OptionsOf(const v1::PredictRequest& request) {
  pipeline::PredictOptions options;
  options.reconstruction = request.reconstruction();
  options.drawing.tokens = request.tokens();
  if (request.has_temperature()) options.drawing.temperature = request.temperature();
  options.drawing.seed = request.seed();
  options.first_sample = request.first_sample();
  options.arcs = &request.arcs();
  return options;
}

// Where the tables are that the model was trained on; not a word if they are gone.
void FindTrainingGraph(store::Store& store, const store::BlobStore& blobs, const v1::Model& model,
                       const v1::TrainingData& data, pipeline::PredictOptions* options) {
  const auto file = [&](const std::string& input) -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(const ModelName name, ParseModelName("name", model.name()));
    ASSIGN_OR_RETURN(const store::Reader reader, store.Read());
    ASSIGN_OR_RETURN(const store::StoredRun run,
                     store::GetRun(reader, name.project, store::IdOf(model.lineage().run())));
    const auto& inputs = run.message.definition().inputs();
    const auto found = inputs.find(input);
    if (found == inputs.end()) return absl::NotFoundError(input);
    ASSIGN_OR_RETURN(const v1::Dataset dataset,
                     store::GetDataset(reader, name.project, store::IdOf(found->second.dataset())));
    return blobs.PathOf(dataset.table().digest());
  };
  options->nodes_file = file(data.input()).value_or("");
  options->arcs_file = file(data.graph().arcs()).value_or("");
}

}  // namespace

// Loaded models, the least recently used go first. Thread-safe.
class ModelApi::Predictors {
 public:
  Predictors(const store::BlobStore& blobs, int64_t max_bytes)
      : blobs_(blobs), max_bytes_(max_bytes) {}

  absl::StatusOr<std::shared_ptr<const pipeline::Predictor>> Get(const v1::Blob& file) {
    if (auto cached = Find(file.digest())) return cached;
    ASSIGN_OR_RETURN(const std::string path, blobs_.PathOf(file.digest()));
    ASSIGN_OR_RETURN(const std::string bytes,
                     ReadFile(path, static_cast<size_t>(file.size_bytes())));
    ASSIGN_OR_RETURN(std::shared_ptr<const pipeline::Predictor> loaded,
                     pipeline::Predictor::Load(bytes));
    Keep(file, loaded);
    return loaded;
  }

 private:
  struct Entry {
    v1::Blob file;
    std::shared_ptr<const pipeline::Predictor> predictor;
  };

  std::shared_ptr<const pipeline::Predictor> Find(const std::string& digest) {
    const std::lock_guard lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->file.digest() != digest) continue;
      entries_.splice(entries_.begin(), entries_, entry);
      return entries_.front().predictor;
    }
    return nullptr;
  }

  void Keep(const v1::Blob& file, std::shared_ptr<const pipeline::Predictor> predictor) {
    const std::lock_guard lock(mutex_);
    // Two calls may have loaded it side by side; one of them stays.
    for (const Entry& entry : entries_) {
      if (entry.file.digest() == file.digest()) return;
    }
    entries_.push_front({file, std::move(predictor)});
    bytes_ += file.size_bytes();
    while (bytes_ > max_bytes_) {
      bytes_ -= entries_.back().file.size_bytes();
      entries_.pop_back();
    }
  }

  const store::BlobStore& blobs_;
  const int64_t max_bytes_;
  std::mutex mutex_;
  // Guarded by mutex_. The most recently used first.
  std::list<Entry> entries_;
  int64_t bytes_ = 0;
};

ModelApi::ModelApi(ApiContext context)
    : predictors_(
          std::make_shared<Predictors>(context.blobs, context.limits.predictor_cache_bytes)),
      context_(context) {}
ModelApi::~ModelApi() = default;

void ModelApi::GetModel(const auth::Principal&, const v1::GetModelRequest& request,
                        Done<v1::Model> done) {
  done([&]() -> absl::StatusOr<v1::Model> {
    ASSIGN_OR_RETURN(const ModelName name, ParseModelName("name", request.name()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    return LookUpModel(reader, name);
  }());
}

void ModelApi::ListModels(const auth::Principal&, const v1::ListModelsRequest& request,
                          Done<v1::ListModelsResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListModelsResponse> {
    ModelName parent;
    if (const auto project = ParseProjectName("parent", request.parent()); project.ok()) {
      parent.project = *project;
    } else {
      ASSIGN_OR_RETURN(parent, ParseModelName("parent", request.parent()));
      if (parent.version != 0) return BadField("parent", "must be a project or a model");
    }
    ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), 100, 1000));
    const std::string scope = absl::StrCat("models|", request.parent());
    ASSIGN_OR_RETURN(const int64_t before, ReadPageNumber(scope, request.page_token(),
                                                          std::numeric_limits<int64_t>::max()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(auto models,
                     store::ListModels(reader, parent.project, parent.id, before, size + 1));
    return PageOf<v1::ListModelsResponse>(std::move(models), size, scope,
                                          &v1::ListModelsResponse::mutable_models);
  }());
}

void ModelApi::Predict(const auth::Principal&, const v1::PredictRequest& request,
                       Done<v1::PredictResponse> done) {
  auto model = [&]() -> absl::StatusOr<v1::Model> {
    ASSIGN_OR_RETURN(const ModelName name, ParseModelName("name", request.name()));
    if (request.rows().empty()) return BadField("rows", "must not be empty");
    if (request.rows_size() > pipeline::kMaxPredictRows) {
      return BadField("rows", absl::StrCat("must be at most ", pipeline::kMaxPredictRows));
    }
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(v1::Model found, LookUpModel(reader, name));
    RETURN_IF_ERROR(CheckServable(found.file(), context_.limits.predictor_cache_bytes));
    return found;
  }();
  if (!model.ok()) return done(model.status());
  auto answer = std::make_shared<Done<v1::PredictResponse>>(std::move(done));
  const bool accepted = context_.heavy_pool.Run(
      [predictors = predictors_, context = context_, model = *std::move(model), request, answer] {
        (*answer)([&]() -> absl::StatusOr<v1::PredictResponse> {
          ASSIGN_OR_RETURN(const auto predictor, predictors->Get(model.file()));
          pipeline::PredictOptions options = OptionsOf(request);
          const v1::TrainingData& data = predictor->card().data();
          if (data.has_graph() && request.arcs().empty()) {
            FindTrainingGraph(context.store, context.blobs, model, data, &options);
          }
          ASSIGN_OR_RETURN(auto predictions, predictor->Predict(request.rows(), options));
          v1::PredictResponse response;
          response.set_model(model.name());
          for (v1::Prediction& prediction : predictions) {
            *response.add_predictions() = std::move(prediction);
          }
          return response;
        }());
      });
  if (!accepted) (*answer)(Overloaded("too many predictions are under way: try again", 1'000));
}

void ModelApi::DeleteModel(const auth::Principal& caller, const v1::DeleteModelRequest& request,
                           Done<google::protobuf::Empty> done) {
  const auto name = ParseModelName("name", request.name());
  if (!name.ok()) return done(name.status());
  if (name->stage != v1::MODEL_STAGE_UNSPECIFIED) {
    return done(BadField("name", "must be a model or a version of one, not a stage"));
  }
  using google::protobuf::Empty;
  context_.coordinator.Call<Empty>(
      [caller, request, name = *name](Transaction& tx) -> absl::StatusOr<Empty> {
        ASSIGN_OR_RETURN(const auto models, store::ListModels(tx.store(), name.project, name.id,
                                                              std::numeric_limits<int64_t>::max(),
                                                              std::numeric_limits<int64_t>::max()));
        RETURN_IF_ERROR(store::DeleteModel(tx.store(), name.project, name.id, name.version));
        for (const auto& [serial, model] : models) {
          ASSIGN_OR_RETURN(const ModelName version, ParseModelName("name", model.name()));
          if (name.version != 0 && version.version != name.version) continue;
          RETURN_IF_ERROR(store::DropBlobReferences(
              tx.store(), name.project,
              absl::StrCat("models/", name.id, "/versions/", version.version)));
        }
        const Mutation mutation{.caller = caller,
                                .method = "ModelService.DeleteModel",
                                .resource = request.name(),
                                .request_id = "",
                                .request = request};
        RETURN_IF_ERROR(KeepAnswer(tx, mutation, Empty()));
        return Empty();
      },
      std::move(done));
}

absl::StatusOr<ByteSource> ModelApi::DownloadModel(const auth::Principal&,
                                                   const v1::DownloadModelRequest& request) {
  ASSIGN_OR_RETURN(const ModelName name, ParseModelName("name", request.name()));
  ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
  ASSIGN_OR_RETURN(const v1::Model model, LookUpModel(reader, name));
  return ByteSource::Open(context_.blobs, model.file().digest(), request.offset());
}

}  // namespace beamline::server
