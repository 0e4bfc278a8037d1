// A learner that is the user's own program: what it gets, what it says of rows, its model file.
#pragma once

#include <string>
#include <string_view>

#include "beamline/v1/model.pb.h"
#include "engine/data/table.h"
#include "engine/learners/batch_source.h"
#include "google/protobuf/struct.pb.h"
#include "pipeline/measure.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline {

// PATH: a row for each of `source`, with the features and codes as learners see them under their
// names in the card, in place of a file that is there; with `truth` also the target (the class's
// name, or the number as the table has it) and the weight, under the names of their columns. Throws
// engine::Error if it cannot be written.
void WriteExamples(const engine::BatchSource& source, const v1::ModelCard& card, const Truth* truth,
                   const std::string& path);

// For parameters.json: "target", "classes" (empty for numbers), "weight" (may be empty),
// "features".
void AddFacts(const v1::ModelCard& card, google::protobuf::Struct* facts);

// What predictions.csv at `path` says of `rows` rows. Throws engine::Error, naming row and column,
// for anything that docs/command.md does not allow.
Said ReadPredictions(const std::string& path, int64_t rows, const v1::ModelCard& card);

// The mean log loss of classes; the mean squared error of numbers.
double LossOf(const Said& said, const Truth& truth);

// The first file of the archive that is such a model's file: its card as JSON.
inline constexpr char kCardName[] = "beamline.card.json";
std::string CardText(const v1::ModelCard& card);
// Whether bytes of a model file are such an archive.
bool IsProgramModel(std::string_view bytes);
// The card in the archive at `path`. Throws engine::Error if there is none.
v1::ModelCard ReadProgramCard(const std::string& path);

}  // namespace beamline::pipeline
