// Predictions of a trained model for rows that arrive one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/model.pb.h"
#include "google/protobuf/struct.pb.h"
#include "pipeline/tokens.h"

namespace beamline::pipeline {

// Rows of one call. Unit: rows.
inline constexpr int kMaxPredictRows = 10'000;
// Numbers in the reconstructions and forecasts of one call: what fits into an answer.
inline constexpr int64_t kMaxReconstructionNumbers = 300'000;

// Of models that translate: codes that the network reads for one call, over all passes. Of one row
// it may read more, and of that row make so many numbers at once.
inline constexpr int64_t kMaxTranslatedCodes = int64_t{1} << 24;
inline constexpr int64_t kMaxCodesOfTranslatedRow = int64_t{1} << 30;
inline constexpr int64_t kMaxNumbersOfTranslatedRow = int64_t{1} << 28;
// Numbers in the vectors of tokens of one call: what fits into an answer.
inline constexpr int64_t kMaxEmbeddingNumbers = int64_t{1} << 22;
// Tokens that one call writes.
inline constexpr int64_t kMaxTokens = 10'000;
inline constexpr double kMaxTemperature = 100;

// As in PredictRequest.
struct PredictOptions {
  bool reconstruction = false;
  Drawing drawing = {};
  int64_t first_sample = 0;
  // Must outlive the call. Null: none.
  const google::protobuf::RepeatedPtrField<google::protobuf::Struct>* arcs = nullptr;
  // Of a model of graphs: the tables that it was trained on, columnar files. Empty: not there any
  // more. Rows may then name their nodes.
  std::string nodes_file = {};
  std::string arcs_file = {};
};

// A model, ready to answer. Thread-safe: calls run side by side.
class Predictor {
 public:
  // From the bytes of a model file. InvalidArgument if they are damaged or of a later version;
  // Unimplemented for one whose learner is a program.
  static absl::StatusOr<std::unique_ptr<Predictor>> Load(std::string_view model_file);
  ~Predictor();

  const v1::ModelCard& card() const;

  // One prediction a row, in order. What a row must have: request_rows.h; fields that are none of
  // card().columns are ignored if the training table had them (target, weight, split), and refused
  // otherwise. InvalidArgument names row (from 1) and column also for a missing value that no
  // transform fills in and an unknown category that the model refuses; or says that there are more
  // than kMaxPredictRows rows, kMaxReconstructionNumbers or another limit above in all, or that the
  // options are not for this model. A model that generates takes empty rows, and gives a sample for
  // each. Rows of a model of graphs are nodes, with arcs between them, and there is a prediction
  // for each, or for each small graph; or they do nothing but name nodes, or small graphs, of the
  // training's graph (request_graph.h). Unimplemented for models of pairs of nodes.
  absl::StatusOr<std::vector<v1::Prediction>> Predict(
      const google::protobuf::RepeatedPtrField<google::protobuf::Struct>& rows,
      const PredictOptions& options = {}) const;

 private:
  struct State;
  absl::Status CheckOptions(
      const google::protobuf::RepeatedPtrField<google::protobuf::Struct>& rows,
      const PredictOptions& options) const;
  explicit Predictor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace beamline::pipeline
