#include "pipeline/predict.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <set>
#include <span>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "engine/core/error.h"
#include "engine/data/columnar.h"
#include "pipeline/adversarial.h"
#include "pipeline/measure.h"
#include "pipeline/model_file.h"
#include "pipeline/node_pairs.h"
#include "pipeline/program_learner.h"
#include "pipeline/reconstruction.h"
#include "pipeline/request_graph.h"
#include "pipeline/request_rows.h"
#include "pipeline/row_predictions.h"
#include "pipeline/schema.h"
#include "pipeline/texts.h"
#include "pipeline/tokens.h"
#include "pipeline/training.h"
#include "pipeline/translation.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {
namespace {

using Rows = google::protobuf::RepeatedPtrField<google::protobuf::Struct>;

// Learners that wait for work; more than this are not kept.
constexpr size_t kMaxIdleLearners = 8;
constexpr int64_t kMaxSample = int64_t{1} << 40;

// The answer to a row has one for each step.
bool GivesSteps(const v1::TrainingData& data) {
  return JudgesEachStep(data) || GuessesHidden(data);
}

// Numbers in the answer to one row, if it is reconstructed or forecast or each step is judged.
int64_t NumbersOf(const v1::ModelCard& card) {
  const ExampleShape shape = ShapeOf(card.data());
  if (GivesSteps(card.data())) return std::max(card.classes_size(), 1) * shape.steps;
  const int64_t rows = Forecasts(card.data()) ? shape.horizon : std::max<int64_t>(shape.steps, 1);
  return std::max<int64_t>(card.features_size(), 1) * rows;
}

// Rows are translated at once up to a limit: each is read anew for each of its tokens.
absl::Status CheckTranslated(int rows, const v1::ModelCard& card) {
  const TextSteps steps = TextStepsOf(card.data());
  const auto source = static_cast<double>(steps.source);
  const auto target = static_cast<double>(steps.target);
  const double codes = std::max((source + target) * (target - 1), 1.0);
  const double numbers = target * (card.code_sizes_size() == 2 ? card.code_sizes(1) : 0);
  if (codes > kMaxCodesOfTranslatedRow || numbers > kMaxNumbersOfTranslatedRow) {
    return absl::InvalidArgumentError(absl::StrCat(
        "texts of up to ", steps.source, " and ", steps.target - 1,
        " tokens are too long to be translated while one waits: let a predict step do it"));
  }
  const double most = std::max(std::floor(kMaxTranslatedCodes / codes), 1.0);
  if (rows <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("there are ", rows, " rows; at most ",
                                                 static_cast<int64_t>(most),
                                                 " are translated at once by this model"));
}

// The codes of each row of a request.
std::vector<std::vector<int32_t>> CodesOf(const RequestTable& request,
                                          const engine::data::FittedTransforms& transforms) {
  const engine::data::FeatureMatrix all = engine::data::ApplyTransforms(
      transforms, request.table, engine::data::AllRows(request.table));
  std::vector<std::vector<int32_t>> rows;
  for (size_t i = 0; i < request.examples.begins.size(); ++i) {
    const auto begin = all.code_values.begin() + request.examples.begins[i];
    rows.emplace_back(begin, begin + request.examples.lengths[i]);
  }
  return rows;
}

std::vector<v1::Prediction> ToPredictions(const std::vector<NextToken>& tokens,
                                          const v1::ModelCard& card) {
  std::vector<v1::Prediction> predictions;
  for (const NextToken& next : tokens) {
    v1::Prediction& prediction = predictions.emplace_back();
    prediction.mutable_probabilities()->Add(next.probabilities.begin(), next.probabilities.end());
    const auto likeliest = std::max_element(next.probabilities.begin(), next.probabilities.end()) -
                           next.probabilities.begin();
    prediction.set_label(card.classes(static_cast<int>(likeliest)));
    for (const int32_t code : next.written) prediction.add_tokens(card.classes(code));
  }
  return predictions;
}

std::vector<v1::Prediction> ToPredictions(const std::vector<TokenPlace>& places,
                                          const v1::ModelCard& card) {
  std::vector<v1::Prediction> predictions;
  for (const TokenPlace& place : places) {
    v1::Prediction& prediction = predictions.emplace_back();
    prediction.mutable_embedding()->Add(place.embedding.begin(), place.embedding.end());
    for (const int32_t code : place.nearest) prediction.add_tokens(card.classes(code));
  }
  return predictions;
}

// What stands at each step of rows of codes, known or hidden.
std::vector<v1::Prediction> GuessSteps(engine::Learner& learner, const engine::BatchLayout& layout,
                                       const std::vector<std::vector<int32_t>>& rows,
                                       const v1::ModelCard& card) {
  const engine::Predictions said = learner.Predict(PaddedRows(layout, rows));
  const std::span<const float> all = said.probabilities.values<float>();
  const auto vocabulary = static_cast<size_t>(said.probabilities.shape().Columns());
  std::vector<v1::Prediction> predictions;
  for (size_t i = 0; i < rows.size(); ++i) {
    v1::Prediction& prediction = predictions.emplace_back();
    for (size_t step = 0; step < rows[i].size(); ++step) {
      const size_t at = (i * static_cast<size_t>(layout.code_columns) + step) * vocabulary;
      const auto p = all.subspan(at, vocabulary);
      v1::Prediction& one = *prediction.add_steps();
      one.mutable_probabilities()->Add(p.begin(), p.end());
      const auto best = std::max_element(p.begin() + 1, p.end()) - p.begin();
      one.set_label(card.classes(static_cast<int>(best)));
    }
  }
  return predictions;
}

}  // namespace

struct Predictor::State {
  ModelFile model;
  Inference inference;
  std::set<std::string> ignored;  // fields of a row that the model has no use for
  std::vector<std::string> column_names;

  std::mutex mutex;
  std::vector<std::unique_ptr<engine::Learner>> idle;  // guarded by mutex

  std::unique_ptr<engine::Learner> Take() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!idle.empty()) {
        std::unique_ptr<engine::Learner> learner = std::move(idle.back());
        idle.pop_back();
        return learner;
      }
    }
    auto learner = MakeLearner(inference);
    learner->SetWeights(model.tensors);
    return learner;
  }
  void Return(std::unique_ptr<engine::Learner> learner) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (idle.size() < kMaxIdleLearners) idle.push_back(std::move(learner));
  }

  // The rows do nothing but name nodes or small graphs.
  bool OnlyName(const Rows& rows) const {
    const std::string name = NameField(model.card);
    return std::all_of(rows.begin(), rows.end(), [&](const google::protobuf::Struct& row) {
      return row.fields().contains(name) &&
             std::none_of(column_names.begin(), column_names.end(), [&](const std::string& column) {
               return column != name && row.fields().contains(column);
             });
    });
  }

  RequestGraph GraphOf(const Rows& rows, const PredictOptions& options) const {
    const Rows arcs = options.arcs != nullptr ? *options.arcs : Rows();
    if (!arcs.empty() || !OnlyName(rows)) return ToGraph(model.card, rows, arcs);
    if (options.nodes_file.empty() || options.arcs_file.empty()) {
      engine::Fail(
          "arcs: are missing, and the data that the model was trained on is not here: give "
          "a whole graph, nodes and arcs");
    }
    return FindInGraph(model.card, rows, engine::data::OpenColumnar(options.nodes_file).table,
                       engine::data::OpenColumnar(options.arcs_file).table);
  }

  // Of nodes or small graphs. Each graph needs a learner of its own.
  std::vector<v1::Prediction> PredictGraph(const Rows& rows, const PredictOptions& options) const {
    const v1::ModelCard& card = model.card;
    RequestGraph request = GraphOf(rows, options);
    Inference of_graph = inference;
    of_graph.layout.nodes = BuildGraph(inference.transforms, request.nodes, std::move(request.arcs),
                                       card.data().graph());
    const auto learner = MakeLearner(of_graph);
    learner->SetWeights(model.tensors);
    const auto source =
        MakeSource(inference.transforms, request.nodes, std::move(request.examples), card.data(),
                   of_graph.layout, {}, {.memory_bytes = std::numeric_limits<int64_t>::max()});
    std::vector<v1::Prediction> predictions =
        PredictRows(*learner, *source, card, inference.transforms);
    for (size_t i = 0; i < request.graphs.size(); ++i) predictions[i].set_graph(request.graphs[i]);
    return predictions;
  }

  // Throws Error for a field that is no column.
  void CheckFields(const Rows& rows) const {
    for (int i = 0; i < rows.size(); ++i) {
      for (const auto& [name, value] : rows[i].fields()) {
        if (ignored.contains(name) ||
            std::find(column_names.begin(), column_names.end(), name) != column_names.end()) {
          continue;
        }
        engine::Fail(RowPlace(i, name), "the model has no such column", Hint(name, column_names));
      }
    }
  }
};

Predictor::Predictor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Predictor::~Predictor() = default;

const v1::ModelCard& Predictor::card() const { return state_->model.card; }

absl::StatusOr<std::unique_ptr<Predictor>> Predictor::Load(std::string_view model_file) {
  if (IsProgramModel(model_file)) {
    return absl::UnimplementedError(
        "the model's learner is a program, which a call cannot start: ask it by a predict step, or "
        "download it and run it yourself");
  }
  absl::StatusOr<ModelFile> model = DecodeModel(model_file);
  if (!model.ok()) return model.status();
  auto state = std::make_unique<State>();
  state->model = *std::move(model);
  const v1::ModelCard& card = state->model.card;
  for (const v1::Column& column : card.columns()) state->column_names.push_back(column.name());
  state->ignored = {card.target(), card.data().weight(), card.data().split().column().column(),
                    card.data().train_on().column()};
  if (card.data().has_sequences()) state->ignored.insert(card.data().sequences().by());
  if (card.data().has_graph()) {
    state->ignored.insert(
        {card.data().graph().node(), card.data().graph().member(), NameField(card)});
  }
  state->ignored.insert(card.data().exclude().begin(), card.data().exclude().end());
  try {
    state->inference = PrepareInference(card);
    if (!card.data().has_graph()) state->Return(state->Take());
  } catch (const engine::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat("not a usable model: ", error.what()));
  }
  return std::unique_ptr<Predictor>(new Predictor(std::move(state)));
}

// Why a call cannot be answered, whatever its rows say; OK if it can.
absl::Status Predictor::CheckOptions(const Rows& rows, const PredictOptions& options) const {
  if (rows.size() > kMaxPredictRows) {
    return absl::InvalidArgumentError(absl::StrCat("there are ", rows.size(), " rows; at most ",
                                                   kMaxPredictRows, " are answered at once"));
  }
  if (LearnsPairs(card().data())) {
    return absl::UnimplementedError(
        "models of pairs of nodes do not predict yet: an evaluate step measures them");
  }
  if (options.arcs != nullptr && !options.arcs->empty() && !card().data().has_graph()) {
    return absl::InvalidArgumentError("arcs: the model knows no graph: leave them out");
  }
  if (options.reconstruction && !Reconstructs(card().data())) {
    return absl::InvalidArgumentError(
        "reconstruction: the model predicts and reconstructs nothing");
  }
  const int64_t most = kMaxReconstructionNumbers / NumbersOf(card());
  const bool generates = card().has_adversarial();
  const bool each_step = GivesSteps(card().data());
  const bool numbers = options.reconstruction || generates || each_step || Forecasts(card().data());
  if (numbers && rows.size() > std::max<int64_t>(most, 1)) {
    return absl::InvalidArgumentError(absl::StrCat("there are ", rows.size(), " rows; ",
                                                   generates                ? "samples for"
                                                   : each_step              ? "the steps of"
                                                   : options.reconstruction ? "reconstructions of"
                                                                            : "forecasts of",
                                                   " at most ", std::max<int64_t>(most, 1),
                                                   " are given at once by this model"));
  }
  if (Translates(card().data())) RETURN_IF_ERROR(CheckTranslated(rows.size(), card()));
  if (options.first_sample < 0 || options.first_sample > kMaxSample) {
    return absl::InvalidArgumentError(absl::StrCat("first_sample: must be from 0 to ", kMaxSample,
                                                   ", not ", options.first_sample));
  }
  if (options.first_sample != 0 && !generates) {
    return absl::InvalidArgumentError("first_sample: the model predicts and generates nothing");
  }
  const Drawing& drawing = options.drawing;
  const bool embeds = EmbedsTokens(card().data());
  if (drawing.tokens != 0 && !GivesNextToken(card().data()) && !embeds) {
    return absl::InvalidArgumentError("tokens: the model gives no tokens");
  }
  if (embeds) {
    const int64_t dimensions = std::max<int64_t>(card().learner().word_vectors().dimensions(), 1);
    if (rows.size() > kMaxEmbeddingNumbers / dimensions) {
      return absl::InvalidArgumentError(absl::StrCat("there are ", rows.size(), " rows; at most ",
                                                     kMaxEmbeddingNumbers / dimensions,
                                                     " vectors are given at once by this model"));
    }
  }
  if (embeds && (drawing.temperature != 1 || drawing.seed != 0)) {
    return absl::InvalidArgumentError(
        "temperature: the model draws nothing: its tokens are the nearest ones: leave temperature "
        "and seed out");
  }
  if (drawing.tokens < 0 || drawing.tokens * rows.size() > kMaxTokens) {
    return absl::InvalidArgumentError(absl::StrCat("tokens: ", drawing.tokens, " for each of ",
                                                   rows.size(), " rows; at most ", kMaxTokens,
                                                   " are written in all"));
  }
  if (!(drawing.temperature >= 0 && drawing.temperature <= kMaxTemperature)) {
    return absl::InvalidArgumentError(
        absl::StrCat("temperature: must be from 0 to ", kMaxTemperature));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Prediction>> Predictor::Predict(
    const Rows& rows, const PredictOptions& options) const {
  RETURN_IF_ERROR(CheckOptions(rows, options));
  if (rows.empty()) return std::vector<v1::Prediction>{};
  const engine::data::FittedTransforms& transforms = state_->inference.transforms;
  const engine::BatchLayout& layout = state_->inference.layout;
  try {
    state_->CheckFields(rows);
    if (card().has_adversarial()) {
      std::unique_ptr<engine::Learner> learner = state_->Take();
      auto samples = DrawSamples(*learner, options.first_sample, rows.size(), layout, transforms);
      state_->Return(std::move(learner));
      return samples;
    }
    if (card().data().has_graph()) return state_->PredictGraph(rows, options);
    RequestTable request = ToTable(card(), rows);
    std::unique_ptr<engine::Learner> learner = state_->Take();
    std::vector<v1::Prediction> predictions;
    if (GuessesHidden(card().data())) {
      predictions = GuessSteps(*learner, layout, CodesOf(request, transforms), card());
    } else if (EmbedsTokens(card().data())) {
      predictions = ToPredictions(PlaceRows(*learner, layout, state_->model.tensors,
                                            CodesOf(request, transforms), options.drawing.tokens),
                                  card());
    } else if (GivesNextToken(card().data())) {
      predictions = ToPredictions(
          ContinueRows(*learner, layout, CodesOf(request, transforms), options.drawing), card());
    } else {
      const auto source =
          MakeSource(transforms, request.table, std::move(request.examples), card().data(), layout,
                     {}, {.memory_bytes = std::numeric_limits<int64_t>::max()});
      predictions = PredictRows(*learner, *source, card(), transforms, options.reconstruction);
    }
    state_->Return(std::move(learner));
    return predictions;
  } catch (const engine::Error& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace beamline::pipeline
