// What a search tries next: pure functions of the definition, the seed and what is known of the
// trials so far.
//
// Each trial depends on a set of results that the algorithm fixes beforehand, so that the order in
// which trials end, and how many run at once, change nothing. Nothing is kept between calls:
// whoever holds the outcomes can go on with the search.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "beamline/v1/search.pb.h"
#include "google/protobuf/struct.pb.h"

namespace beamline::pipeline::search {

// Trials that one search may make.
inline constexpr int kMaxTrials = 1000;

// By key of the space; without the keys whose condition does not hold. Choices as the definition
// has them; numbers of intervals as numbers.
using Values = std::map<std::string, google::protobuf::Value>;

// A search, and what it needs to know of its step. `search` has passed validation and outlives it.
struct Setting {
  const v1::Search& search;
  // Of the step itself: a full training.
  int step_epochs = 1;
  // Of the objective: more is better.
  bool maximize = false;
  // Of the pipeline.
  uint64_t seed = 0;
};

// A part of a trial that was suggested before, and how it went.
struct Outcome {
  enum class State { kUnknown, kSucceeded, kFailed };
  int number = 0;
  // As suggested.
  int epochs = 0;
  Values values;
  State state = State::kUnknown;
  // The objective, if it succeeded. A number that is not finite ranks behind all others.
  double value = 0;
};

// A part of a trial: trains to the end of epoch `epochs` (0: to the end), starting where the part
// that ended with epoch `after_epochs` left off (0: from the beginning): that of the same trial, or
// of trial `after_trial` if that is not 0.
struct Suggestion {
  int number = 0;
  int epochs = 0;
  int after_epochs = 0;
  Values values;
  int after_trial = 0;
};

struct Plan {
  // What the outcomes determine and do not hold yet, in the order in which it should start.
  std::vector<Suggestion> due;
  // Parts of trials that the search makes in all, as far as the outcomes tell; failed trials do
  // not go on and leave room for others where halving chooses the best.
  int planned = 0;
  // All that the search makes is among the outcomes and has ended.
  bool complete = false;
};

// `outcomes` in any order. At most `limit` suggestions are made. The same suggestions come,
// whatever outcomes come first: for any outcomes A within B, what A determines B determines too.
Plan MakePlan(const Setting& setting, const std::vector<Outcome>& outcomes, int limit);

// The number of the trial that wins: the best value of those that trained for the most epochs, the
// smaller number of equals. 0: none succeeded.
int BestTrial(const Setting& setting, const std::vector<Outcome>& outcomes);

// Combinations that a grid has; saturates above kMaxTrials. Conditions are obeyed: combinations
// that differ only in values without effect count once.
int GridSize(const v1::Search& search);

// Trials that the search makes within max_epochs; saturates above kMaxTrials, which MakePlan keeps
// to.
int TrialCount(const Setting& setting);

}  // namespace beamline::pipeline::search
