// What scikit-learn made of small data sets (make_fixture.py), and rows to learn from.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/learners/learner.h"

namespace beamline::engine::testing {

// Numbers by name.
using Case = std::map<std::string, std::vector<double>>;

// The case of that name. The test fails, and it is empty, if there is none.
const Case& FixtureCase(const std::string& name);

// The rows of a case: labels, or numbers; with its weights if `weighted`.
MemoryBatchSource RowsOf(const Case& recorded, bool weighted);
// Rows to ask about: features alone count.
MemoryBatchSource ProbesOf(const Case& recorded, const std::vector<double>& features);

// Numbers that a learner says of rows.
std::vector<double> Said(Learner& learner, const BatchSource& rows);
std::vector<double> WeightOf(const Learner& learner, const std::string& name);

void ExpectNear(const std::vector<double>& got, const std::vector<double>& want, double tolerance);

// Trains to the end; expects the same model, checkpoint and predictions for 1, 2, 3, 4 and 8
// threads, of a training that is saved and loaded into a fresh learner after each step, and of a
// learner that has the weights alone. `make` gives a learner of so many threads, with rows to train
// on or without.
void ExpectSameBits(const std::function<std::unique_ptr<Learner>(int threads, bool trains)>& make,
                    const BatchSource& rows);

}  // namespace beamline::engine::testing
