// Which models a step of a pipeline can ask of rows.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "beamline/v1/model.pb.h"
#include "beamline/v1/pipeline.pb.h"

namespace beamline::pipeline {

// Why a predict step cannot say anything of rows.
struct NoPredictions {
  // To be put behind the model's name: "generates rows and predicts none". Empty: it can.
  std::string_view why;
  // What to do instead with a model of the registry.
  std::string_view instead;
  // It is right to ask, and not built yet.
  bool unimplemented = false;
};

// Of a model that was trained on `data`. `generates`: its learner is adversarial.
NoPredictions WhyNoPredictions(bool generates, const v1::TrainingData& data);

// Of a registered model with this card, which `step` names: InvalidArgument or Unimplemented, with
// the step's field and what to do instead, if it is an evaluate or predict step that cannot ask it.
absl::Status CheckRegistered(const v1::Step& step, const v1::ModelCard& card);

}  // namespace beamline::pipeline
