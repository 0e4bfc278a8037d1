// The learners that are no networks, in one table. See docs/learners.md for how to add one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "pipeline/learners/learner_kind.h"

namespace beamline::pipeline {

// In the order of their fields. Thread-safe.
const std::vector<LearnerKind>& LearnerKinds();

// The kind of a train step's learner, or of a card's. Null for networks, adversarial pairs, what is
// not set and what is not built.
const LearnerKind* FindLearnerKind(const v1::TrainStep& train);
const LearnerKind* FindLearnerKind(const v1::ModelCard& card);

// The field of the train step that holds its learner: "network", "linear"; "network" if none is
// set.
std::string LearnerField(const v1::TrainStep& train);

// Epochs of a whole training; 1 for a learner that has none.
int EpochsOf(const v1::TrainStep& train);
// The field below train with the epochs: "network.epochs"; empty for a learner that has none.
std::string EpochsField(const v1::TrainStep& train);

// What data asks of a learner; `is_class` of its target, if it has one.
LearnerTask TaskOf(const v1::TrainingData& data, bool is_class);

// True if the target, a column of that type and with so many different values, is taken for
// classes: as TargetIsClass (schema.h) says, unless the learner can do only one of the two.
bool PredictsClasses(const v1::TrainStep& train, v1::ColumnType type, int64_t distinct);

// A learner of one of these kinds, ready to be made.
struct LearnerChoice {
  // Null: there is none.
  const LearnerKind* kind = nullptr;
  // Complete.
  v1::Learner learner;
  LearnerFacts facts;
  uint64_t seed = 0;
  int threads = 1;
};
// Throws engine::Error if the step has no such learner.
LearnerChoice ChooseLearner(const v1::TrainStep& train, const LearnerFacts& facts, uint64_t seed);
// As trained.
LearnerChoice ChooseLearner(const v1::ModelCard& card, const LearnerFacts& facts);

// Throws engine::Error as the learner does.
std::unique_ptr<engine::Learner> MakeLearner(const LearnerChoice& choice,
                                             const engine::LearnerData& data);

// Adds what is wrong with the learner's own fields, `path` being the learner's, and if nothing is
// gives the bytes that it takes at the least, else 0.
double CheckLearnerFields(const v1::TrainStep& train, const LearnerFacts& facts,
                          const std::string& path, Violations* errors);

}  // namespace beamline::pipeline
