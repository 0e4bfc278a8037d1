// The learner "word_vectors": word2vec with negative sampling (Mikolov et al. 2013).
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

enum class WordArchitecture : uint8_t {
  kSkipGram,    // the vector of each code around a place tells the place's code
  kBagOfWords,  // the mean of them does
};

// Rows are codes in [0, vocabulary); a negative one, and one that the training does not have, is
// unknown: what stands on its sides are neighbours. So are those on the sides of a code that does
// not stay (`subsample`). At each place 1 to `reach` is drawn, and the codes within so many places
// on both sides each tell (skip-gram), or their mean tells, its code: x is its vector and y the
// context of the code, and the loss is -log sigmoid(x y) - sum over `negatives` drawn codes of log
// sigmoid(-x y'), but for those that are the code itself. Negatives are drawn for each place, by
// counts to the power of 3/4. With bag of words each code around moves by the whole of what the
// mean should: as Mikolov's program does.
//
// A step takes `batch_size` rows, drawn in another order each epoch, and goes through their places
// in blocks of kWordBlock. What a block changes is computed from what was before it, and added up;
// but the products of a vector or context in a block, each times the rate, count as kWordStep of
// their mean where they would count as more: what occurs often would overshoot. The rate falls in a
// straight line over all steps, to 1/10000. No vector depends on threads. The loss is the mean over
// pairs of an x and a code; where a source is measured the draws are always the same ones.
struct WordVectorsSpec {
  int64_t vocabulary = 0;
  int32_t unknown = -1;  // a code that is unknown as well
  WordArchitecture architecture = WordArchitecture::kSkipGram;
  int64_t dimensions = 100;
  int64_t reach = 5;
  int64_t negatives = 5;
  double subsample = 1e-3;  // 0: all stay
  double learning_rate = 0.025;
  int64_t epochs = 5;
  int64_t batch_size = 32;
  uint64_t seed = 0;
  int threads = 1;
};

inline constexpr int64_t kWordBlock = 128;
inline constexpr double kWordStep = 3.2;

// Weights: "vectors" and "contexts", [vocabulary, dimensions], zeros where a code was not seen; and
// "counts" (int64), [vocabulary], of the training rows. Predictions are the means of the vectors of
// the codes of each row, made as long as 1, in `probabilities` [rows, dimensions]; zeros where none
// is known. Event weights are refused.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeWordVectors(const WordVectorsSpec& spec, const LearnerData& data);

// Bytes of a training, beside the data's own; `rows` of `columns` codes.
double WordVectorsBytes(const WordVectorsSpec& spec, int64_t rows, int64_t columns);

}  // namespace beamline::engine
