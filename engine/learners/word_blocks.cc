#include "engine/learners/word_blocks.h"

namespace beamline::engine {

void WordBlock::Draw(const WordPlaces& drawn, int64_t first, int64_t end, bool takes_mean) {
  const int64_t width = drawn.outputs();
  const auto count = static_cast<size_t>(end - first);
  takes_mean_ = takes_mean;
  places.resize(count);
  inputs.resize(count * static_cast<size_t>(2 * drawn.reach()));
  outputs.resize(count * static_cast<size_t>(width));
  signs.resize(outputs.size());
  changes = pairs = 0;
  int64_t taken = 0;
  for (int64_t i = first; i < end; ++i) {
    Place& place = places[static_cast<size_t>(i - first)];
    place.first_input = taken;
    place.inputs = drawn.InputsOf(i, inputs.data() + taken);
    place.change = changes;
    place.loss = 0;
    taken += place.inputs;
    if (place.inputs == 0) continue;
    const int64_t at = (i - first) * width;
    drawn.OutputsOf(i, outputs.data() + at, signs.data() + at);
    const int64_t told = takes_mean_ ? 1 : place.inputs;
    changes += told + width;
    pairs += told;
  }
}

void WordBlock::FindRows(int64_t vocabulary, std::vector<int32_t>* numbers) {
  numbers->resize(static_cast<size_t>(2 * vocabulary), -1);
  rows.clear();
  terms.clear();
  begins.assign(1, 0);
  entries_.clear();
  const auto add = [&](int64_t row, int64_t change, int64_t products) {
    int32_t& number = (*numbers)[static_cast<size_t>(row)];
    if (number < 0) {
      number = static_cast<int32_t>(rows.size());
      rows.push_back(static_cast<int32_t>(row));
      begins.push_back(0);
      terms.push_back(0);
    }
    ++begins[static_cast<size_t>(number) + 1];
    terms[static_cast<size_t>(number)] += products;
    entries_.emplace_back(number, static_cast<int32_t>(change));
  };
  const size_t width = places.empty() ? 0 : outputs.size() / places.size();
  for (size_t p = 0; p < places.size(); ++p) {
    const Place& place = places[p];
    const int64_t told = takes_mean_ ? 1 : place.inputs;
    for (int64_t i = 0; i < place.inputs; ++i) {
      add(inputs[static_cast<size_t>(place.first_input + i)], place.change + (takes_mean_ ? 0 : i),
          static_cast<int64_t>(width));
    }
    for (size_t j = 0; j < width && place.inputs > 0; ++j) {
      if (signs[p * width + j] == 0) continue;
      add(vocabulary + outputs[p * width + j], place.change + told + static_cast<int64_t>(j), told);
    }
  }
  for (size_t i = 1; i < begins.size(); ++i) begins[i] += begins[i - 1];
  which.resize(entries_.size());
  for (const auto& [number, change] : entries_) {
    which[static_cast<size_t>(begins[static_cast<size_t>(number)]++)] = change;
  }
  // Each begin has become its end.
  for (size_t i = begins.size() - 1; i > 0; --i) begins[i] = begins[i - 1];
  begins[0] = 0;
  for (const int32_t row : rows) (*numbers)[static_cast<size_t>(row)] = -1;
}

}  // namespace beamline::engine
