// Predictions of a trained model for rows that arrive one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "beamline/v1/model.pb.h"
#include "google/protobuf/struct.pb.h"

namespace beamline::pipeline {

// Rows of one call. Unit: rows.
inline constexpr int kMaxPredictRows = 10'000;
// Numbers in the reconstructions of one call: what fits into an answer.
inline constexpr int64_t kMaxReconstructionNumbers = 300'000;

// A model, ready to answer. Thread-safe: calls run side by side.
class Predictor {
 public:
  // From the bytes of a model file. InvalidArgument if they are damaged or of a later version.
  static absl::StatusOr<std::unique_ptr<Predictor>> Load(std::string_view model_file);
  ~Predictor();

  const v1::ModelCard& card() const;

  // One prediction a row, in order. A row has a value for each of card().columns, null where it
  // is missing, for arrays a list, flat or nested as the item's shape; other fields are ignored if
  // the training table had them (target, weight, split), and refused otherwise. InvalidArgument
  // names row (from 1) and column: missing, of a wrong type, a missing value that no transform
  // fills in, an unknown category that the model refuses; or says that there are more than
  // kMaxPredictRows rows, or more than kMaxReconstructionNumbers in all if reconstructions are
  // asked for. A model that generates takes empty rows, and gives a sample for each, at most
  // kMaxReconstructionNumbers in all. `reconstruction` and `first_sample`: as in PredictRequest.
  absl::StatusOr<std::vector<v1::Prediction>> Predict(
      const google::protobuf::RepeatedPtrField<google::protobuf::Struct>& rows,
      bool reconstruction = false, int64_t first_sample = 0) const;

 private:
  struct State;
  explicit Predictor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace beamline::pipeline
