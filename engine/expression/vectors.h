// The values of a block of rows while an expression is computed. Internal to the evaluator.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "engine/expression/program.h"

namespace beamline::engine::expression {

// Rows that are computed at once: a value of each instruction stays in the cache.
inline constexpr int64_t kBlockRows = 2048;

// Truth values, in this order: "and" is the least of two, "or" the largest, "not" 2 - x.
enum Truth : uint8_t { kFalse = 0, kUnknown = 1, kTrue = 2 };

// The values of one instruction; the member of its type points to one for each row.
struct Vector {
  const double* reals = nullptr;      // missing: NaN
  const int64_t* integers = nullptr;  // missing: 0
  const uint8_t* present = nullptr;   // of integers: 1 or 0; null: all are present
  const uint8_t* truths = nullptr;
  const std::string_view* texts = nullptr;  // missing: data() is null
};

// Where an instruction writes.
struct Buffers {
  std::vector<double> reals;
  std::vector<int64_t> integers;
  std::vector<uint8_t> present;
  std::vector<uint8_t> truths;
  std::vector<std::string_view> texts;
  // What texts point to, if it was made here.
  std::deque<std::string> strings;
};

// One instruction on a block of `rows`.
struct Step {
  const Instruction& code;
  // Of its arguments, and their types.
  std::vector<const Vector*> inputs;
  std::vector<Type> types;
  int64_t rows = 0;
  Buffers& own;
};

// Each computes the instructions of one kind; false if the instruction is of another.
bool RunNumbers(Step& step, Vector* out);
bool RunTruth(Step& step, Vector* out);
bool RunChoice(Step& step, Vector* out);
bool RunTexts(Step& step, Vector* out);

// Points `out` to integers that were computed, of which `own.present` says which are there.
void FinishIntegers(Step& step, Vector* out);

}  // namespace beamline::engine::expression
