#include "pipeline/fill_message.h"

#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "pipeline/units.h"

namespace beamline::pipeline {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// What is wrong with a value, if anything is.
using Complaint = std::optional<std::string>;

std::string Shown(const TextValue& value) {
  if (value.kind != TextValue::Kind::kScalar) return std::string(value.KindName());
  constexpr size_t kMaxShown = 40;
  // Cut at a character's start, so that the message stays UTF-8.
  size_t end = std::min(value.text.size(), kMaxShown);
  while (end < value.text.size() && end > 0 && (value.text[end] & 0xC0) == 0x80) --end;
  return absl::StrCat("\"", value.text.substr(0, end), end < value.text.size() ? "..." : "", "\"");
}

std::string EnumPrefix(const EnumDescriptor& type) {
  std::string prefix;
  for (const char c : type.name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(c);
  }
  return prefix + "_";
}

Complaint ToNumber(const TextValue& value, const FieldDescriptor& field, double* number) {
  std::optional<double> parsed;
  std::string expected = "a number";
  if (absl::EndsWith(field.name(), "_bytes")) {
    parsed = ParseBytes(value.text);
    expected = "a size such as 512 MiB";
  } else if (absl::EndsWith(field.name(), "_seconds")) {
    parsed = ParseSeconds(value.text);
    expected = "a duration such as 10 min";
  } else if (double simple = 0; absl::SimpleAtod(value.text, &simple)) {
    parsed = simple;
  }
  if (!parsed.has_value()) {
    return absl::StrCat("expected ", expected, ", not ", Shown(value));
  }
  if (!std::isfinite(*parsed)) return absl::StrCat("must be finite, not ", Shown(value));
  *number = *parsed;
  return std::nullopt;
}

template <typename Integer>
Complaint ToInteger(const TextValue& value, const FieldDescriptor& field, Integer* integer) {
  if (absl::SimpleAtoi(value.text, integer)) return std::nullopt;
  double number = 0;
  if (Complaint complaint = ToNumber(value, field, &number)) return complaint;
  if (number != std::floor(number)) {
    return absl::StrCat("expected a whole number, not ", Shown(value));
  }
  // The largest double below 2^31, 2^63, ...: max() itself may round up.
  const double limit = std::ldexp(1.0, std::numeric_limits<Integer>::digits);
  const double lowest = std::numeric_limits<Integer>::is_signed ? -limit : 0;
  if (number < lowest || number >= limit) {
    return absl::StrCat("must be from ", std::numeric_limits<Integer>::min(), " to ",
                        std::numeric_limits<Integer>::max(), ", not ", Shown(value));
  }
  *integer = static_cast<Integer>(number);
  return std::nullopt;
}

Complaint ToEnum(const TextValue& value, const EnumDescriptor& type, int* number) {
  std::vector<std::string> known;
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor& candidate = *type.value(i);
    if (candidate.number() == 0) continue;  // ..._UNSPECIFIED: leave the field out instead.
    known.push_back(EnumText(candidate));
    if (known.back() == value.text) {
      *number = candidate.number();
      return std::nullopt;
    }
  }
  const std::string hint = Hint(absl::AsciiStrToLower(value.text), known);
  return absl::StrCat(Shown(value), " is not one of ", absl::StrJoin(known, ", "), hint);
}

// Sets or, for repeated fields, adds.
#define BEAMLINE_PUT(Kind, number)                                                    \
  (field.is_repeated() ? message->GetReflection()->Add##Kind(message, &field, number) \
                       : message->GetReflection()->Set##Kind(message, &field, number))

template <typename Integer, typename Put>
Complaint PutInteger(const TextValue& value, const FieldDescriptor& field, Put put) {
  Integer number = 0;
  Complaint complaint = ToInteger(value, field, &number);
  if (!complaint) put(number);
  return complaint;
}

Complaint PutScalar(const TextValue& value, const FieldDescriptor& field, Message* message) {
  if (value.kind != TextValue::Kind::kScalar) {
    return absl::StrCat("expected a single value, not ", Shown(value));
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return PutInteger<int32_t>(value, field, [&](int32_t n) { BEAMLINE_PUT(Int32, n); });
    case FieldDescriptor::CPPTYPE_INT64:
      return PutInteger<int64_t>(value, field, [&](int64_t n) { BEAMLINE_PUT(Int64, n); });
    case FieldDescriptor::CPPTYPE_UINT32:
      return PutInteger<uint32_t>(value, field, [&](uint32_t n) { BEAMLINE_PUT(UInt32, n); });
    case FieldDescriptor::CPPTYPE_UINT64:
      return PutInteger<uint64_t>(value, field, [&](uint64_t n) { BEAMLINE_PUT(UInt64, n); });
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double number = 0;
      Complaint complaint = ToNumber(value, field, &number);
      if (!complaint) BEAMLINE_PUT(Double, number);
      return complaint;
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (value.text != "true" && value.text != "false") {
        return absl::StrCat("expected true or false, not ", Shown(value));
      }
      BEAMLINE_PUT(Bool, value.text == "true");
      return std::nullopt;
    case FieldDescriptor::CPPTYPE_ENUM: {
      int number = 0;
      Complaint complaint = ToEnum(value, *field.enum_type(), &number);
      if (!complaint) BEAMLINE_PUT(EnumValue, number);
      return complaint;
    }
    case FieldDescriptor::CPPTYPE_STRING:
      BEAMLINE_PUT(String, value.text);
      return std::nullopt;
    default:
      return absl::StrCat("this field cannot be set from text");
  }
}
#undef BEAMLINE_PUT

// Fills the messages that hold any value at all. False if `message` is none of them.
bool FillAnyValue(const TextValue& value, std::string_view path, Message* message,
                  Violations* violations) {
  if (auto* any = dynamic_cast<google::protobuf::Value*>(message)) {
    *any = ToProto(value);
    return true;
  }
  if (auto* list = dynamic_cast<google::protobuf::ListValue*>(message)) {
    if (value.kind == TextValue::Kind::kList) {
      *list = ToProto(value).list_value();
    } else {
      violations->AddAt(path, absl::StrCat("expected a list, not ", Shown(value)), value.position);
    }
    return true;
  }
  return false;
}

void FillMap(const TextValue& value, std::string_view path, const FieldDescriptor& field,
             Message* message, Violations* violations, Positions* positions) {
  if (value.kind != TextValue::Kind::kMap) {
    violations->AddAt(path, absl::StrCat("expected a mapping, not ", Shown(value)), value.position);
    return;
  }
  std::map<std::string, Position> seen;
  for (const TextValue::Entry& entry : value.map) {
    const std::string entry_path = JoinPath(path, entry.key);
    if (const auto [first, fresh] = seen.emplace(entry.key, entry.position); !fresh) {
      violations->AddAt(entry_path,
                        absl::StrCat("is given twice, first on line ", first->second.line),
                        entry.position);
      continue;
    }
    if (positions != nullptr) positions->emplace(entry_path, entry.position);
    Message* pair = message->GetReflection()->AddMessage(message, &field);
    pair->GetReflection()->SetString(pair, field.message_type()->map_key(), entry.key);
    FillField(entry.value, entry_path, *field.message_type()->map_value(), pair, violations,
              positions);
  }
}

// Steps are known by their names, other elements by their index.
std::string ElementName(const FieldDescriptor& field, const TextValue& element, size_t index) {
  if (field.message_type() != nullptr && field.message_type()->name() == "Step") {
    for (const TextValue::Entry& entry : element.map) {
      if (entry.key == "name" && !entry.value.text.empty()) return entry.value.text;
    }
  }
  return absl::StrCat(index);
}

void FillRepeated(const TextValue& value, std::string_view path, const FieldDescriptor& field,
                  Message* message, Violations* violations, Positions* positions) {
  if (value.kind == TextValue::Kind::kNull) return;
  if (value.kind != TextValue::Kind::kList) {
    const bool scalar = value.kind == TextValue::Kind::kScalar;
    violations->AddAt(path,
                      absl::StrCat("expected a list, not ", Shown(value),
                                   scalar ? absl::StrCat(": write [", value.text, "]") : ""),
                      value.position);
    return;
  }
  for (size_t i = 0; i < value.list.size(); ++i) {
    const TextValue& element = value.list[i];
    const std::string element_path = JoinPath(path, ElementName(field, element, i));
    if (positions != nullptr) {
      positions->emplace(element_path, element.position);
      positions->emplace(JoinPath(path, absl::StrCat(i)), element.position);
    }
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      FillMessage(element, element_path, message->GetReflection()->AddMessage(message, &field),
                  violations, positions);
    } else if (Complaint complaint = PutScalar(element, field, message)) {
      violations->AddAt(element_path, *complaint, element.position);
    }
  }
}

// Where an unknown field may belong: a field of one of the messages in this one.
std::string BelongsInto(const Descriptor& type, const std::string& name) {
  std::vector<std::string> holders;
  for (int i = 0; i < type.field_count(); ++i) {
    const Descriptor* inner = type.field(i)->message_type();
    if (inner != nullptr && !type.field(i)->is_map() && inner->FindFieldByName(name) != nullptr) {
      holders.push_back(type.field(i)->name());
    }
  }
  if (holders.empty() || holders.size() > 6) return "";
  return absl::StrCat("; it belongs into ", absl::StrJoin(holders, " or "));
}

std::string UnknownField(const Descriptor& type, const std::string& name) {
  const std::vector<std::string> known = FieldNames(type);
  if (name == "<<") return "merge keys (<<) are not read: write the fields out";
  std::string text = absl::StrCat("unknown field \"", name, "\"");
  const std::string hint = Hint(name, known);
  const std::string holder = BelongsInto(type, name);
  if (!hint.empty() || !holder.empty()) return absl::StrCat(text, holder.empty() ? hint : holder);
  if (known.empty()) return absl::StrCat(text, ": there are no fields here");
  return absl::StrCat(text, ": there are ", absl::StrJoin(known, ", "));
}

}  // namespace

std::string JoinPath(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(A(path), ".", A(name));
}

std::string EnumText(const EnumValueDescriptor& value) {
  const std::string prefix = EnumPrefix(*value.type());
  const absl::string_view name = value.name();
  return absl::AsciiStrToLower(absl::StartsWith(name, prefix) ? name.substr(prefix.size()) : name);
}

std::vector<std::string> FieldNames(const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return names;
}

void FillField(const TextValue& value, std::string_view path, const FieldDescriptor& field,
               Message* message, Violations* violations, Positions* positions) {
  if (field.is_repeated()) message->GetReflection()->ClearField(message, &field);
  if (field.is_map()) {
    if (value.kind == TextValue::Kind::kNull) return;
    FillMap(value, path, field, message, violations, positions);
  } else if (field.is_repeated()) {
    FillRepeated(value, path, field, message, violations, positions);
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    FillMessage(value, path, message->GetReflection()->MutableMessage(message, &field), violations,
                positions);
  } else if (value.kind == TextValue::Kind::kNull) {
    violations->AddAt(path, "has no value", value.position);
  } else if (Complaint complaint = PutScalar(value, field, message)) {
    violations->AddAt(path, *complaint, value.position);
  }
}

void FillMessage(const TextValue& value, std::string_view path, Message* message,
                 Violations* violations, Positions* positions) {
  if (FillAnyValue(value, path, message, violations)) return;
  if (value.kind == TextValue::Kind::kNull) return;
  const Descriptor& type = *message->GetDescriptor();
  if (value.kind != TextValue::Kind::kMap) {
    violations->AddAt(path,
                      absl::StrCat("expected a mapping with ",
                                   absl::StrJoin(FieldNames(type), ", "), ", not ", Shown(value)),
                      value.position);
    return;
  }
  std::map<std::string, Position> seen;
  std::map<std::string, const TextValue::Entry*> chosen;  // oneof -> its first field
  for (const TextValue::Entry& entry : value.map) {
    const std::string entry_path = JoinPath(path, entry.key);
    if (const auto [first, fresh] = seen.emplace(entry.key, entry.position); !fresh) {
      violations->AddAt(entry_path,
                        absl::StrCat("is given twice, first on line ", first->second.line),
                        entry.position);
      continue;
    }
    if (positions != nullptr) positions->emplace(entry_path, entry.position);
    const FieldDescriptor* field = type.FindFieldByName(entry.key);
    if (field == nullptr) {
      violations->AddAt(entry_path, UnknownField(type, entry.key), entry.position);
      continue;
    }
    if (const auto* choice = field->real_containing_oneof(); choice != nullptr) {
      const auto [first, fresh] = chosen.emplace(choice->name(), &entry);
      if (!fresh) {
        violations->AddAt(
            entry_path,
            absl::StrCat("only one of ", first->second->key, " (line ",
                         first->second->position.line, ") and ", entry.key, " may be given"),
            entry.position);
        continue;
      }
    }
    FillField(entry.value, entry_path, *field, message, violations, positions);
  }
}

}  // namespace beamline::pipeline
