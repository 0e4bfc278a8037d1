#include "benchmarks/learners/cases.h"

#include <numeric>

#include "engine/learners/boltzmann.h"
#include "engine/learners/deep_belief.h"
#include "engine/learners/echo_state.h"
#include "engine/learners/extreme_learning_machine.h"
#include "engine/learners/hopfield.h"
#include "engine/learners/isolation_forest.h"
#include "engine/learners/k_means.h"
#include "engine/learners/kohonen_map.h"
#include "engine/learners/linear.h"
#include "engine/learners/liquid_state.h"
#include "engine/learners/markov_chain.h"
#include "engine/learners/naive_bayes.h"
#include "engine/learners/nearest_neighbours.h"
#include "engine/learners/principal_components.h"
#include "engine/learners/radial_basis.h"
#include "engine/learners/restricted_boltzmann.h"
#include "engine/learners/trees/trees.h"
#include "engine/learners/vectors/support_vectors.h"
#include "engine/learners/word_vectors.h"

namespace beamline::engine {
namespace {

// The first rows of the training in place of what the learner would draw.
void BeginWithFirstRows(const std::string& name, const Shape& shape, const LearnerData& data,
                        Learner* learner) {
  Tensor tensor(shape, DType::kFloat32);
  std::vector<int64_t> rows(
      static_cast<size_t>(tensor.NumElements() / data.training->layout().features));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  data.training->Gather(rows, {.features = tensor.values<float>().data()});
  std::vector<NamedTensor> weights;
  weights.push_back({name, std::move(tensor)});
  learner->SetWeights(weights);
}

std::unique_ptr<Learner> KMeansFromFirst(int64_t clusters, const LearnerData& data, int threads) {
  auto learner = MakeKMeans({.clusters = clusters, .max_iterations = 30, .threads = threads}, data);
  BeginWithFirstRows("centres", {clusters, data.layout.features}, data, learner.get());
  return learner;
}

std::vector<Case> SupervisedCases() {
  using D = const LearnerData&;
  return {
      {"linear_ridge", "regression", Quality::kError, false,
       [](D d, int t) { return MakeLinear({.penalty = 1, .threads = t}, d); }},
      {"linear_logistic_2", "magic", Quality::kAccuracy, false,
       [](D d, int t) { return MakeLinear({.penalty = 2, .tolerance = 1e-5, .threads = t}, d); }},
      {"linear_logistic_10", "mnist", Quality::kAccuracy, false,
       [](D d, int t) {
         return MakeLinear({.penalty = 1, .max_iterations = 50, .tolerance = 1e-12, .threads = t},
                           d);
       }},
      {"nearest_neighbours_64", "optdigits", Quality::kAccuracy, false,
       [](D d, int t) { return MakeNearestNeighbours({.neighbours = 5, .threads = t}, d); }},
      {"nearest_neighbours_784", "mnist", Quality::kAccuracy, false,
       [](D d, int t) { return MakeNearestNeighbours({.neighbours = 5, .threads = t}, d); }},
      {"nearest_neighbours_10", "magic", Quality::kAccuracy, false,
       [](D d, int t) { return MakeNearestNeighbours({.neighbours = 5, .threads = t}, d); }},
      {"naive_bayes", "mnist", Quality::kAccuracy, false,
       [](D d, int t) { return MakeNaiveBayes({.smoothing = 1e-2, .threads = t}, d); }},
      {"naive_bayes_2", "magic", Quality::kAccuracy, false,
       [](D d, int t) { return MakeNaiveBayes({.threads = t}, d); }},
      {"support_vectors_10", "optdigits", Quality::kAccuracy, false,
       [](D d, int t) { return MakeSupportVectors({.threads = t}, d); }},
      {"support_vectors_2", "magic_small", Quality::kAccuracy, false,
       [](D d, int t) { return MakeSupportVectors({.threads = t}, d); }},
      {"support_vectors_numbers", "housing_small", Quality::kError, false,
       [](D d, int t) { return MakeSupportVectors({.threads = t}, d); }},
      {"boosted_trees_2", "magic", Quality::kAccuracy, false,
       [](D d, int t) { return MakeBoostedTrees({.threads = t}, d); }},
      {"boosted_trees_10", "optdigits", Quality::kAccuracy, false,
       [](D d, int t) { return MakeBoostedTrees({.trees = 30, .threads = t}, d); }},
      {"boosted_trees_numbers", "regression", Quality::kError, false,
       [](D d, int t) { return MakeBoostedTrees({.trees = 50, .threads = t}, d); }},
      {"random_forest", "magic", Quality::kAccuracy, false,
       [](D d, int t) {
         return MakeRandomForest({.trees = 100, .feature_share = 0.31, .threads = t}, d);
       }},
      {"radial_basis", "housing", Quality::kError, false,
       [](D d, int t) { return MakeRadialBasis({.centres = 200, .threads = t}, d); }},
      {"extreme_learning_machine", "housing", Quality::kError, false,
       [](D d, int t) { return MakeExtremeLearningMachine({.hidden = 500, .threads = t}, d); }},
      {"echo_state", "series", Quality::kError, false,
       [](D d, int t) { return MakeEchoState({.reservoir = 300, .threads = t}, d); }},
      {"liquid_state", "series", Quality::kError, false,
       [](D d, int t) {
         return MakeLiquidState({.cells = 200, .presentation = 3, .threads = t}, d);
       }},
      {"deep_belief", "mnist", Quality::kAccuracy, false,
       [](D d, int t) {
         return MakeDeepBelief(
             {.hidden = {256, 64}, .pretraining_epochs = 1, .epochs = 2, .threads = t}, d);
       }},
  };
}

std::vector<Case> UnsupervisedCases() {
  using D = const LearnerData&;
  return {
      {"isolation_forest", "thyroid", Quality::kReconstruction, true,
       [](D d, int t) { return MakeIsolationForest({.threads = t}, d); }},
      {"k_means_16", "blobs", Quality::kReconstruction, true,
       [](D d, int t) { return KMeansFromFirst(20, d, t); }},
      {"k_means_784", "mnist", Quality::kReconstruction, true,
       [](D d, int t) { return KMeansFromFirst(10, d, t); }},
      {"principal_components_50", "regression", Quality::kReconstruction, true,
       [](D d, int t) { return MakePrincipalComponents({.components = 10, .threads = t}, d); }},
      {"principal_components_784", "mnist", Quality::kReconstruction, true,
       [](D d, int t) { return MakePrincipalComponents({.components = 50, .threads = t}, d); }},
      {"kohonen_map", "optdigits", Quality::kReconstruction, true,
       [](D d, int t) {
         auto learner = MakeKohonenMap({.epochs = 5, .threads = t}, d);
         BeginWithFirstRows("units", {10, 10, d.layout.features}, d, learner.get());
         return learner;
       }},
      {"kohonen_map_online", "optdigits", Quality::kReconstruction, true,
       [](D d, int t) {
         auto learner = MakeKohonenMap({.epochs = 5, .online = true, .threads = t}, d);
         BeginWithFirstRows("units", {10, 10, d.layout.features}, d, learner.get());
         return learner;
       }},
      {"markov_chain", "shakespeare", Quality::kPerplexity, false,
       [](D d, int t) { return MakeMarkovChain({.vocabulary = 65, .order = 2, .threads = t}, d); }},
      {"word_vectors", "words", Quality::kLoss, false,
       [](D d, int t) { return MakeWordVectors({.vocabulary = 11000, .threads = t}, d); }},
      {"word_vectors_bag", "words", Quality::kLoss, false,
       [](D d, int t) {
         return MakeWordVectors({.vocabulary = 11000,
                                 .architecture = WordArchitecture::kBagOfWords,
                                 .learning_rate = 0.05,
                                 .threads = t},
                                d);
       }},
      {"hopfield", "semeion", Quality::kReconstruction, true,
       [](D d, int t) { return MakeHopfield({.threads = t}, d); }},
      {"boltzmann", "optdigits", Quality::kReconstruction, true,
       [](D d, int t) { return MakeBoltzmann({.hidden = 32, .epochs = 3, .threads = t}, d); }},
      {"restricted_boltzmann", "mnist", Quality::kReconstruction, true,
       [](D d, int t) {
         return MakeRestrictedBoltzmann(
             {.hidden = 128, .persistent = true, .learning_rate = 0.05, .epochs = 2, .threads = t},
             d);
       }},
  };
}

}  // namespace

const std::vector<Case>& Cases() {
  static const std::vector<Case> kCases = [] {
    std::vector<Case> cases = SupervisedCases();
    for (Case& one : UnsupervisedCases()) cases.push_back(std::move(one));
    return cases;
  }();
  return kCases;
}

}  // namespace beamline::engine
