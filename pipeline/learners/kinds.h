// Four functions for each learner that is no network: the table in registry.cc joins them by the
// type of the learner's fields. What they have to do: learner_kind.h.
#pragma once

#include <memory>

#include "beamline/v1/learners.pb.h"
#include "pipeline/learners/learner_kind.h"

namespace beamline::pipeline {

// linear.cc
void CheckFields(const v1::LinearLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::LinearLearner* fields);
double BytesOf(const v1::LinearLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::LinearLearner& fields,
                                      const LearnerSetting& setting);

// nearest_neighbours.cc
void CheckFields(const v1::NearestNeighboursLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::NearestNeighboursLearner* fields);
double BytesOf(const v1::NearestNeighboursLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::NearestNeighboursLearner& fields,
                                      const LearnerSetting& setting);

// naive_bayes.cc
void CheckFields(const v1::NaiveBayesLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::NaiveBayesLearner* fields);
double BytesOf(const v1::NaiveBayesLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::NaiveBayesLearner& fields,
                                      const LearnerSetting& setting);

// support_vectors.cc
void CheckFields(const v1::SupportVectorLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::SupportVectorLearner* fields);
double BytesOf(const v1::SupportVectorLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::SupportVectorLearner& fields,
                                      const LearnerSetting& setting);

// trees.cc
void CheckFields(const v1::BoostedTreesLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::BoostedTreesLearner* fields);
double BytesOf(const v1::BoostedTreesLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::BoostedTreesLearner& fields,
                                      const LearnerSetting& setting);

// trees.cc
void CheckFields(const v1::RandomForestLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::RandomForestLearner* fields);
double BytesOf(const v1::RandomForestLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::RandomForestLearner& fields,
                                      const LearnerSetting& setting);

}  // namespace beamline::pipeline
