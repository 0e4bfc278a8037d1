// Instructions on texts.
#include <charconv>
#include <limits>

#include "engine/data/letters.h"
#include "engine/data/number.h"
#include "engine/data/text.h"
#include "engine/expression/vectors.h"

namespace beamline::engine::expression {
namespace {

// Kept as long as the block; an empty text is missing.
std::string_view Keep(Step& step, std::string text) {
  if (text.empty()) return {};
  return step.own.strings.emplace_back(std::move(text));
}

template <typename Function>
std::string MapCharacters(std::string_view text, const Function& function) {
  std::string out;
  for (size_t size = 0; !text.empty(); text.remove_prefix(size)) {
    data::AppendCharacter(out, function(data::DecodeCharacter(text, &size)));
  }
  return out;
}

// Bytes of the first `count` characters, or of all.
size_t BytesOf(std::string_view text, int64_t count) {
  size_t bytes = 0;
  while (count > 0 && bytes < text.size()) {
    size_t size = 0;
    data::DecodeCharacter(text.substr(bytes), &size);
    bytes += size;
    --count;
  }
  return bytes;
}

// Characters from `from` (from 0; below 0: from the end), at most `count` of them.
std::string_view Substring(std::string_view text, int64_t from, int64_t count) {
  if (from < 0) {
    const auto characters = static_cast<int64_t>(data::CountCharacters(text));
    from = from < -characters ? 0 : from + characters;
  }
  text.remove_prefix(BytesOf(text, from));
  text = text.substr(0, BytesOf(text, count));
  return text.empty() ? std::string_view() : text;
}

std::string Write(const Step& step, int64_t i) {
  const Vector& value = *step.inputs[0];
  switch (step.types[0]) {
    case Type::kReal:
      if (value.reals[i] != value.reals[i]) return "";
      return step.code.integer != 0 ? data::ShortestDecimal(static_cast<float>(value.reals[i]))
                                    : data::ShortestDecimal(value.reals[i]);
    case Type::kInteger:
      if (value.present != nullptr && value.present[i] == 0) return "";
      return std::to_string(value.integers[i]);
    default:
      return value.truths[i] == kUnknown ? "" : value.truths[i] == kTrue ? "true" : "false";
  }
}

double Read(std::string_view text) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (text.data() == nullptr) return kNan;
  const data::ScannedNumber number = data::ParseNumber(text);
  return number.kind == data::ScannedNumber::Kind::kNone ? kNan : number.value;
}

bool Matches(Op op, std::string_view text, std::string_view part) {
  return op == Op::kContains     ? text.find(part) != std::string_view::npos
         : op == Op::kStartsWith ? text.starts_with(part)
                                 : text.ends_with(part);
}

bool RunMatch(Step& step, Vector* out) {
  const std::string_view* const text = step.inputs[0]->texts;
  const std::string_view* const part = step.inputs[1]->texts;
  for (int64_t i = 0; i < step.rows; ++i) {
    const bool known = text[i].data() != nullptr && part[i].data() != nullptr;
    step.own.truths[static_cast<size_t>(i)] = !known                                    ? kUnknown
                                              : Matches(step.code.op, text[i], part[i]) ? kTrue
                                                                                        : kFalse;
  }
  out->truths = step.own.truths.data();
  return true;
}

bool RunSubstring(Step& step, Vector* out) {
  for (int64_t i = 0; i < step.rows; ++i) {
    const std::string_view text = step.inputs[0]->texts[i];
    bool known = text.data() != nullptr;
    for (size_t k = 1; k < step.inputs.size(); ++k) {
      const uint8_t* const present = step.inputs[k]->present;
      known = known && (present == nullptr || present[i] != 0);
    }
    const int64_t count =
        step.inputs.size() < 3 ? std::numeric_limits<int64_t>::max() : step.inputs[2]->integers[i];
    step.own.texts[static_cast<size_t>(i)] =
        known ? Substring(text, step.inputs[1]->integers[i], count) : std::string_view();
  }
  out->texts = step.own.texts.data();
  return true;
}

bool RunLength(Step& step, Vector* out) {
  for (int64_t i = 0; i < step.rows; ++i) {
    const std::string_view text = step.inputs[0]->texts[i];
    step.own.integers[static_cast<size_t>(i)] = static_cast<int64_t>(data::CountCharacters(text));
    step.own.present[static_cast<size_t>(i)] = text.data() != nullptr ? 1 : 0;
  }
  FinishIntegers(step, out);
  return true;
}

}  // namespace

bool RunTexts(Step& step, Vector* out) {
  step.own.strings.clear();
  std::vector<std::string_view>& to = step.own.texts;
  switch (step.code.op) {
    case Op::kContains:
    case Op::kStartsWith:
    case Op::kEndsWith:
      return RunMatch(step, out);
    case Op::kSubstring:
      return RunSubstring(step, out);
    case Op::kLength:
      return RunLength(step, out);
    case Op::kParse:
      for (int64_t i = 0; i < step.rows; ++i) {
        step.own.reals[static_cast<size_t>(i)] = Read(step.inputs[0]->texts[i]);
      }
      out->reals = step.own.reals.data();
      return true;
    case Op::kWrite:
      for (int64_t i = 0; i < step.rows; ++i)
        to[static_cast<size_t>(i)] = Keep(step, Write(step, i));
      break;
    case Op::kLower:
    case Op::kUpper:
      for (int64_t i = 0; i < step.rows; ++i) {
        to[static_cast<size_t>(i)] =
            Keep(step, MapCharacters(step.inputs[0]->texts[i],
                                     step.code.op == Op::kLower ? data::ToLower : data::ToUpper));
      }
      break;
    default:
      return false;
  }
  out->texts = to.data();
  return true;
}

}  // namespace beamline::engine::expression
