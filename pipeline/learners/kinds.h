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

// isolation_forest.cc
void CheckFields(const v1::IsolationForestLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::IsolationForestLearner* fields);
double BytesOf(const v1::IsolationForestLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::IsolationForestLearner& fields,
                                      const LearnerSetting& setting);

// k_means.cc
void CheckFields(const v1::KMeansLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::KMeansLearner* fields);
double BytesOf(const v1::KMeansLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::KMeansLearner& fields,
                                      const LearnerSetting& setting);

// principal_components.cc
void CheckFields(const v1::PrincipalComponentsLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::PrincipalComponentsLearner* fields);
double BytesOf(const v1::PrincipalComponentsLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::PrincipalComponentsLearner& fields,
                                      const LearnerSetting& setting);

// kohonen_map.cc
void CheckFields(const v1::KohonenLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::KohonenLearner* fields);
double BytesOf(const v1::KohonenLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::KohonenLearner& fields,
                                      const LearnerSetting& setting);

// markov_chain.cc
void CheckFields(const v1::MarkovLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::MarkovLearner* fields);
double BytesOf(const v1::MarkovLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::MarkovLearner& fields,
                                      const LearnerSetting& setting);

// hopfield.cc
void CheckFields(const v1::HopfieldLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::HopfieldLearner* fields);
double BytesOf(const v1::HopfieldLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::HopfieldLearner& fields,
                                      const LearnerSetting& setting);

// boltzmann.cc
void CheckFields(const v1::BoltzmannLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::BoltzmannLearner* fields);
double BytesOf(const v1::BoltzmannLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::BoltzmannLearner& fields,
                                      const LearnerSetting& setting);

// restricted_boltzmann.cc
void CheckFields(const v1::RestrictedBoltzmannLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::RestrictedBoltzmannLearner* fields);
double BytesOf(const v1::RestrictedBoltzmannLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::RestrictedBoltzmannLearner& fields,
                                      const LearnerSetting& setting);

// deep_belief.cc
void CheckFields(const v1::DeepBeliefLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::DeepBeliefLearner* fields);
double BytesOf(const v1::DeepBeliefLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::DeepBeliefLearner& fields,
                                      const LearnerSetting& setting);

// radial_basis.cc
void CheckFields(const v1::RadialBasisLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::RadialBasisLearner* fields);
double BytesOf(const v1::RadialBasisLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::RadialBasisLearner& fields,
                                      const LearnerSetting& setting);

// extreme_learning_machine.cc
void CheckFields(const v1::ExtremeLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::ExtremeLearner* fields);
double BytesOf(const v1::ExtremeLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::ExtremeLearner& fields,
                                      const LearnerSetting& setting);

// echo_state.cc
void CheckFields(const v1::EchoStateLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::EchoStateLearner* fields);
double BytesOf(const v1::EchoStateLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::EchoStateLearner& fields,
                                      const LearnerSetting& setting);

// liquid_state.cc
void CheckFields(const v1::LiquidStateLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::LiquidStateLearner* fields);
double BytesOf(const v1::LiquidStateLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::LiquidStateLearner& fields,
                                      const LearnerSetting& setting);

// command.cc
void CheckFields(const v1::CommandLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::CommandLearner* fields);
double BytesOf(const v1::CommandLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::CommandLearner& fields,
                                      const LearnerSetting& setting);

// word_vectors.cc
void CheckFields(const v1::WordVectorsLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::WordVectorsLearner* fields);
double BytesOf(const v1::WordVectorsLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::WordVectorsLearner& fields,
                                      const LearnerSetting& setting);

}  // namespace beamline::pipeline
