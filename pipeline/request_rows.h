// Rows of a request for predictions as a table.
#pragma once

#include "beamline/v1/model.pb.h"
#include "engine/data/table.h"
#include "google/protobuf/struct.pb.h"
#include "pipeline/examples.h"

namespace beamline::pipeline {

// Steps of all rows of one call together, for models of windows and sequences. Unit: rows of the
// table.
inline constexpr int64_t kMaxPredictSteps = 1'000'000;

struct RequestTable {
  engine::data::Table table;
  // One for each row of the request.
  Examples examples;
};

// A row has a value for each of card.columns: null where it is missing, for arrays a list, flat or
// nested as the item's shape. Of models of windows and sequences it has a list of such values, one
// for each step; a text stands for the list of its characters. Throws engine::Error, naming row
// (from 1), step and column: missing, of a wrong type, columns of different lengths, a window of
// more or fewer steps than the model takes; or says that there are more than kMaxPredictSteps
// steps.
RequestTable ToTable(const v1::ModelCard& card,
                     const google::protobuf::RepeatedPtrField<google::protobuf::Struct>& rows);

// "row 3, column "x": ", for rows counted from 0.
std::string RowPlace(int row, const std::string& column);

}  // namespace beamline::pipeline
