// Places of texts whose changes to word vectors are computed at once.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/learners/word_places.h"

namespace beamline::engine {

// What stands at some places, and what each change belongs to. Keeps its memory from one use to the
// next.
struct WordBlock {
  struct Place {
    int64_t first_input = 0;  // among `inputs`
    int64_t inputs = 0;       // 0: nothing is told there
    int64_t change = 0;       // the first of its changes: of what tells, then of each output
    double loss = 0;          // for the learner to fill in
  };

  // Takes the places from `first` to `end`. If `takes_mean` the mean of the inputs tells.
  void Draw(const WordPlaces& drawn, int64_t first, int64_t end, bool takes_mean);
  // Fills in `rows` and what follows. `numbers`: -1 for each row, before and after; or empty.
  void FindRows(int64_t vocabulary, std::vector<int32_t>* numbers);

  std::vector<Place> places;
  std::vector<int32_t> inputs;
  std::vector<int32_t> outputs;  // [places, outputs]
  std::vector<float> signs;      // [places, outputs]
  int64_t changes = 0;
  int64_t pairs = 0;

  // Rows that change, in the order in which they are met: a code's vector, or behind the vectors of
  // the whole vocabulary its context.
  std::vector<int32_t> rows;
  // Where the changes of each row begin among `which`, and the end.
  std::vector<int32_t> begins;
  std::vector<int32_t> which;
  std::vector<int64_t> terms;  // how many products the changes of each row are of

 private:
  bool takes_mean_ = false;
  std::vector<std::pair<int32_t, int32_t>> entries_;  // rows by their place, and changes
};

}  // namespace beamline::engine
