#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "pipeline/fill_message.h"
#include "pipeline/text_value.h"
#include "pipeline/units.h"
#include "pipeline/yaml.h"

namespace beamline::pipeline {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Text that YAML reads back as the same text without quotes, whatever the context.
bool IsPlain(const std::string& text) {
  static const std::set<std::string> kReserved = {"true", "false", "null", "yes", "no",
                                                  "on",   "off",   "y",    "n",   "nan"};
  if (text.empty() || !absl::ascii_isalpha(text[0])) return false;
  if (kReserved.contains(absl::AsciiStrToLower(text)) || text.back() == ' ') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.' || c == '/' || c == ' ';
  });
}

std::string TextOf(const std::string& text) {
  if (IsPlain(text)) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string NumberOf(const FieldDescriptor& field, double number) {
  if (absl::EndsWith(field.name(), "_bytes") && number > 0) return BytesText(number);
  if (absl::EndsWith(field.name(), "_seconds") && number > 0) return SecondsText(number);
  return NumberText(number);
}

// `index`: of a repeated field, else -1.
std::string ScalarOf(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& get = *message.GetReflection();
#define BEAMLINE_GET(Kind) \
  (index < 0 ? get.Get##Kind(message, &field) : get.GetRepeated##Kind(message, &field, index))
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(BEAMLINE_GET(Int32));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(BEAMLINE_GET(UInt32));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(BEAMLINE_GET(UInt64));
    case FieldDescriptor::CPPTYPE_INT64: {
      const int64_t number = BEAMLINE_GET(Int64);
      const bool unit =
          absl::EndsWith(field.name(), "_bytes") || absl::EndsWith(field.name(), "_seconds");
      constexpr int64_t kExactDouble = int64_t{1} << 53;
      return unit && number > 0 && number < kExactDouble ? NumberOf(field, number)
                                                         : absl::StrCat(number);
    }
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NumberOf(field, BEAMLINE_GET(Double));
    case FieldDescriptor::CPPTYPE_BOOL:
      return BEAMLINE_GET(Bool) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(*BEAMLINE_GET(Enum));
    default:
      return TextOf(BEAMLINE_GET(String));
  }
#undef BEAMLINE_GET
}

std::string FlowOf(const google::protobuf::Value& value) {
  switch (value.kind_case()) {
    case google::protobuf::Value::kNumberValue:
      return NumberText(value.number_value());
    case google::protobuf::Value::kStringValue:
      return TextOf(value.string_value());
    case google::protobuf::Value::kBoolValue:
      return value.bool_value() ? "true" : "false";
    case google::protobuf::Value::kListValue: {
      std::string out = "[";
      for (const auto& element : value.list_value().values()) {
        absl::StrAppend(&out, out.size() > 1 ? ", " : "", FlowOf(element));
      }
      return out + "]";
    }
    case google::protobuf::Value::kStructValue: {
      std::string out = "{";
      const auto& fields = value.struct_value().fields();
      for (const auto& [key, field] : std::map(fields.begin(), fields.end())) {
        absl::StrAppend(&out, out.size() > 1 ? ", " : "", TextOf(key), ": ", FlowOf(field));
      }
      return out + "}";
    }
    default:
      return "null";
  }
}

class Writer {
 public:
  std::string Take() { return std::move(out_); }

  // The fields of `message`, each on a line of its own that begins with `indent` spaces; but the
  // first line's indentation is there already if `inlined`.
  void Fields(const Message& message, int indent, bool inlined) {
    const auto& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      if (!IsSet(message, field)) continue;
      if (!inlined) out_.append(indent, ' ');
      inlined = false;
      absl::StrAppend(&out_, field.name(), ":");
      if (field.is_map()) {
        Map(message, field, indent);
      } else if (field.is_repeated()) {
        List(message, field, indent);
      } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        Inner(message.GetReflection()->GetMessage(message, &field), indent + 2);
      } else {
        absl::StrAppend(&out_, " ", ScalarOf(message, field, -1), "\n");
      }
    }
  }

 private:
  static bool IsSet(const Message& message, const FieldDescriptor& field) {
    return field.is_repeated() ? message.GetReflection()->FieldSize(message, &field) > 0
                               : message.GetReflection()->HasField(message, &field);
  }
  static bool IsEmpty(const Message& message) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    return fields.empty();
  }

  // A message behind "name:".
  void Inner(const Message& message, int indent) {
    if (const auto* any = dynamic_cast<const google::protobuf::Value*>(&message)) {
      absl::StrAppend(&out_, " ", FlowOf(*any), "\n");
    } else if (const auto* list = dynamic_cast<const google::protobuf::ListValue*>(&message)) {
      google::protobuf::Value value;
      *value.mutable_list_value() = *list;
      absl::StrAppend(&out_, " ", FlowOf(value), "\n");
    } else if (IsEmpty(message)) {
      out_ += " {}\n";
    } else {
      out_ += "\n";
      Fields(message, indent, false);
    }
  }

  void Map(const Message& message, const FieldDescriptor& field, int indent) {
    const Reflection& get = *message.GetReflection();
    std::map<std::string, const Message*> entries;
    for (int i = 0; i < get.FieldSize(message, &field); ++i) {
      const Message& entry = get.GetRepeatedMessage(message, &field, i);
      const FieldDescriptor* key = field.message_type()->map_key();
      entries[entry.GetReflection()->GetString(entry, key)] = &entry;
    }
    const FieldDescriptor& value = *field.message_type()->map_value();
    out_ += "\n";
    for (const auto& [key, entry] : entries) {
      out_.append(indent + 2, ' ');
      absl::StrAppend(&out_, TextOf(key), ":");
      if (value.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        Inner(entry->GetReflection()->GetMessage(*entry, &value), indent + 4);
      } else {
        absl::StrAppend(&out_, " ", ScalarOf(*entry, value, -1), "\n");
      }
    }
  }

  void List(const Message& message, const FieldDescriptor& field, int indent) {
    const Reflection& get = *message.GetReflection();
    const int size = get.FieldSize(message, &field);
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      out_ += " [";
      for (int i = 0; i < size; ++i) {
        absl::StrAppend(&out_, i > 0 ? ", " : "", ScalarOf(message, field, i));
      }
      out_ += "]\n";
      return;
    }
    out_ += "\n";
    for (int i = 0; i < size; ++i) {
      const Message& element = get.GetRepeatedMessage(message, &field, i);
      out_.append(indent + 2, ' ');
      if (IsEmpty(element)) {
        out_ += "- {}\n";
      } else {
        out_ += "- ";
        Fields(element, indent + 4, true);
      }
    }
  }

  std::string out_;
};

}  // namespace

std::string WriteYaml(const v1::PipelineDefinition& definition) {
  Writer writer;
  writer.Fields(definition, 0, false);
  return writer.Take();
}

}  // namespace beamline::pipeline
