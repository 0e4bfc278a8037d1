// Everything that a training needs before its first step, from definition and table.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "engine/core/error.h"
#include "engine/data/columnar.h"
#include "engine/learners/learner.h"
#include "engine/nn/adversarial_spec.h"
#include "engine/nn/network_spec.h"
#include "pipeline/examples.h"
#include "pipeline/learners/registry.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline {

// An engine::Error with the field of the definition that is to blame.
class PlacedError : public engine::Error {
 public:
  PlacedError(const std::string& message, std::string field)
      : engine::Error(message), field_(std::move(field)) {}
  const std::string& field() const { return field_; }

 private:
  std::string field_;
};

// Calls `body` and turns an engine::Error into a PlacedError with `field`.
template <typename Body>
auto At(const std::string& field, const Body& body) {
  try {
    return body();
  } catch (const PlacedError&) {
    throw;
  } catch (const engine::Error& error) {
    throw PlacedError(error.what(), field);
  }
}

// What learns: a network, or `adversarial` or `other` in its place.
struct Specification {
  engine::NetworkSpec spec;
  std::optional<engine::AdversarialSpec> adversarial;
  LearnerChoice other;
  engine::BatchLayout layout;

  // Where it computes; a backend is a matter of networks.
  void Use(int threads, const std::string& backend);
};

struct Training : Specification {
  // Complete but for parameter_count.
  v1::ModelCard card;
  std::unique_ptr<engine::BatchSource> training;
  // Only of a learner that is a program: others read it from `training`.
  std::optional<Truth> training_truth;
  // Null if there are no validation rows.
  std::unique_ptr<engine::BatchSource> validation;
  // The row of the table that the target of each is read from.
  std::vector<int64_t> validation_rows;
  Truth validation_truth;
};

// Splits, fits and builds. `path` is the step's field path ("steps.train.train"). Features are held
// where `room` says. Throws PlacedError for what the definition or the data is to
// blame for. Depends on definition, data and seed only.
// `arcs`: those of data.graph; null without one. `fold` takes the place of the split's own
// validation rows. `initial`: the card of the model that training begins with, whose codes are
// taken over; null without one.
Training PrepareTraining(const engine::data::Dataset& dataset, const engine::data::Table* arcs,
                         const v1::TrainStep& train, uint64_t seed, const std::string& path,
                         const FeatureRoom& room, const Fold& fold = {},
                         const v1::ModelCard* initial = nullptr);

// Target and weight of examples. Throws engine::Error as ReadTruth does.
Truth TruthOf(const engine::data::Table& table, const engine::data::FittedTarget& target,
              const v1::TrainingData& data, const Examples& examples);

// Examples of a table as the learner of such data takes them. Throws engine::Error as RowSource and
// SequenceSource do.
std::unique_ptr<engine::BatchSource> MakeSource(const engine::data::FittedTransforms& fitted,
                                                const engine::data::Table& table, Examples examples,
                                                const v1::TrainingData& data,
                                                const engine::BatchLayout& layout,
                                                const Truth& truth, const FeatureRoom& room);

// A learner's specification for prediction from a card, and its rows' layout.
struct Inference : Specification {
  engine::data::FittedTransforms transforms;
  engine::data::FittedTarget target;
};
// Throws engine::Error for a card that no training made.
Inference PrepareInference(const v1::ModelCard& card);

// The learner that trains, and one that predicts. Throws engine::Error as engine::MakeLearner does.
std::unique_ptr<engine::Learner> MakeLearner(const Training& training);
std::unique_ptr<engine::Learner> MakeLearner(const Inference& inference);

}  // namespace beamline::pipeline
