// Instructions that give true, false or missing, and those that choose.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/expression/vectors.h"

namespace beamline::engine::expression {
namespace {

// All ones if the condition holds: the loops below have no branches.
uint8_t Ask(bool known, bool holds) {
  return static_cast<uint8_t>(known ? 2 * static_cast<uint8_t>(holds) : kUnknown);
}

template <typename Function>
bool CompareReals(Step& step, Vector* out, const Function& function) {
  const double* const a = step.inputs[0]->reals;
  const double* const b = step.inputs[1]->reals;
  uint8_t* const to = step.own.truths.data();
  for (int64_t i = 0; i < step.rows; ++i) {
    to[i] = Ask((a[i] == a[i]) & (b[i] == b[i]), function(a[i], b[i]));
  }
  out->truths = to;
  return true;
}

template <typename Function>
bool CompareIntegers(Step& step, Vector* out, const Function& function) {
  const Vector& a = *step.inputs[0];
  const Vector& b = *step.inputs[1];
  uint8_t* const to = step.own.truths.data();
  for (int64_t i = 0; i < step.rows; ++i) to[i] = Ask(true, function(a.integers[i], b.integers[i]));
  for (const Vector* side : {&a, &b}) {
    if (side->present == nullptr) continue;
    for (int64_t i = 0; i < step.rows; ++i) {
      if (side->present[i] == 0) to[i] = kUnknown;
    }
  }
  out->truths = to;
  return true;
}

template <typename Function>
bool CompareTruths(Step& step, Vector* out, const Function& function) {
  const uint8_t* const a = step.inputs[0]->truths;
  const uint8_t* const b = step.inputs[1]->truths;
  uint8_t* const to = step.own.truths.data();
  for (int64_t i = 0; i < step.rows; ++i) {
    to[i] = Ask((a[i] != kUnknown) & (b[i] != kUnknown), function(a[i], b[i]));
  }
  out->truths = to;
  return true;
}

template <typename Function>
bool CompareTexts(Step& step, Vector* out, const Function& function) {
  const std::string_view* const a = step.inputs[0]->texts;
  const std::string_view* const b = step.inputs[1]->texts;
  uint8_t* const to = step.own.truths.data();
  for (int64_t i = 0; i < step.rows; ++i) {
    const bool known = a[i].data() != nullptr && b[i].data() != nullptr;
    to[i] = Ask(known, known && function(a[i], b[i]));
  }
  out->truths = to;
  return true;
}

template <typename Function>
bool Compare(Step& step, Vector* out, const Function& function) {
  switch (step.types[0]) {
    case Type::kReal:
      return CompareReals(step, out, function);
    case Type::kInteger:
      return CompareIntegers(step, out, function);
    case Type::kBoolean:
      return CompareTruths(step, out, function);
    default:
      return CompareTexts(step, out, function);
  }
}

template <typename Function>
bool Combine(Step& step, Vector* out, const Function& function) {
  const uint8_t* const a = step.inputs[0]->truths;
  const uint8_t* const b = step.inputs.back()->truths;
  uint8_t* const to = step.own.truths.data();
  for (int64_t i = 0; i < step.rows; ++i) to[i] = function(a[i], b[i]);
  out->truths = to;
  return true;
}

bool IsMissing(const Vector& vector, Type type, int64_t i) {
  switch (type) {
    case Type::kReal:
      return std::isnan(vector.reals[i]);
    case Type::kInteger:
      return vector.present != nullptr && vector.present[i] == 0;
    case Type::kBoolean:
      return vector.truths[i] == kUnknown;
    default:
      return vector.texts[i].data() == nullptr;
  }
}

bool IsIn(const Instruction& code, const Vector& vector, Type type, int64_t i) {
  switch (type) {
    case Type::kReal:
      return std::binary_search(code.reals.begin(), code.reals.end(), vector.reals[i]);
    case Type::kInteger:
      return std::binary_search(code.integers.begin(), code.integers.end(), vector.integers[i]);
    case Type::kBoolean:
      return std::binary_search(code.integers.begin(), code.integers.end(),
                                vector.truths[i] / kTrue);
    default:
      return std::binary_search(code.texts.begin(), code.texts.end(), vector.texts[i]);
  }
}

// Copies value `i` of an argument, or makes it missing if that is null.
void Copy(Step& step, const Vector* from, int64_t i) {
  const auto at = static_cast<size_t>(i);
  switch (step.code.type) {
    case Type::kReal:
      step.own.reals[at] =
          from == nullptr ? std::numeric_limits<double>::quiet_NaN() : from->reals[i];
      break;
    case Type::kInteger: {
      const bool present = from != nullptr && (from->present == nullptr || from->present[i] != 0);
      step.own.integers[at] = present ? from->integers[i] : 0;
      step.own.present[at] = present ? 1 : 0;
      break;
    }
    case Type::kBoolean:
      step.own.truths[at] = from == nullptr ? static_cast<uint8_t>(kUnknown) : from->truths[i];
      break;
    case Type::kText:
      step.own.texts[at] = from == nullptr ? std::string_view() : from->texts[i];
  }
}

const Vector* Chosen(const Step& step, int64_t i) {
  if (step.code.op == Op::kIf) {
    const uint8_t condition = step.inputs[0]->truths[i];
    return condition == kUnknown ? nullptr : step.inputs[condition == kTrue ? 1 : 2];
  }
  for (const Vector* input : step.inputs) {
    if (!IsMissing(*input, step.code.type, i)) return input;
  }
  return nullptr;
}

}  // namespace

bool RunTruth(Step& step, Vector* out) {
  uint8_t* const to = step.own.truths.data();
  switch (step.code.op) {
    case Op::kEqual:
      return Compare(step, out, [](const auto& a, const auto& b) { return a == b; });
    case Op::kUnequal:
      return Compare(step, out, [](const auto& a, const auto& b) { return a != b; });
    case Op::kLess:
      return Compare(step, out, [](const auto& a, const auto& b) { return a < b; });
    case Op::kLessEqual:
      return Compare(step, out, [](const auto& a, const auto& b) { return a <= b; });
    case Op::kAnd:
      return Combine(step, out, [](uint8_t a, uint8_t b) { return std::min(a, b); });
    case Op::kOr:
      return Combine(step, out, [](uint8_t a, uint8_t b) { return std::max(a, b); });
    case Op::kNot:
      return Combine(step, out, [](uint8_t a, uint8_t) { return static_cast<uint8_t>(2 - a); });
    case Op::kIn:
      for (int64_t i = 0; i < step.rows; ++i) {
        const bool known = !IsMissing(*step.inputs[0], step.types[0], i);
        to[i] = Ask(known, known && IsIn(step.code, *step.inputs[0], step.types[0], i));
      }
      out->truths = to;
      return true;
    case Op::kIsMissing:
      for (int64_t i = 0; i < step.rows; ++i) {
        to[i] = Ask(true, IsMissing(*step.inputs[0], step.types[0], i));
      }
      out->truths = to;
      return true;
    default:
      return false;
  }
}

bool RunChoice(Step& step, Vector* out) {
  if (step.code.op != Op::kIf && step.code.op != Op::kCoalesce) return false;
  for (int64_t i = 0; i < step.rows; ++i) Copy(step, Chosen(step, i), i);
  switch (step.code.type) {
    case Type::kReal:
      out->reals = step.own.reals.data();
      break;
    case Type::kInteger:
      FinishIntegers(step, out);
      break;
    case Type::kBoolean:
      out->truths = step.own.truths.data();
      break;
    case Type::kText:
      out->texts = step.own.texts.data();
  }
  return true;
}

}  // namespace beamline::engine::expression
