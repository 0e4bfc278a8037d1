// What the models of cross-validation said of the rows that they had not seen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "beamline/v1/dataset.pb.h"
#include "beamline/v1/model.pb.h"
#include "engine/data/table.h"
#include "pipeline/measure.h"

namespace beamline::pipeline {

// The predictions of one fold: column "row" (from 0) and those that OutOfFold adds, but for "fold".
// `rows`: that of the table for each prediction.
engine::data::Table HeldOut(const Said& said, const std::vector<int64_t>& rows,
                            const v1::ModelCard& card);

// The predictions of all folds in order, with the plain columns of their rows in `table`: in the
// order of the rows, repeats behind each other. Adds the columns "fold" (from 1) and
//   of numbers: "prediction";
//   of classes: "prediction" (its name) and "probability_C" of each class C; 0 where none of the
//   rows that the fold trained on was of it.
// An underscore is put behind a name that the table has.
engine::data::Table OutOfFold(const engine::data::Table& table,
                              const std::vector<engine::data::Table>& folds);

}  // namespace beamline::pipeline
