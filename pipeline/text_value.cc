#include "pipeline/text_value.h"

#include <google/protobuf/util/json_util.h>

#include <charconv>
#include <cmath>

#include "absl/strings/numbers.h"

namespace beamline::pipeline {

std::string_view TextValue::KindName() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return "a single value";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a mapping";
  }
  return "";
}

std::string ValueText(const google::protobuf::Value& value) {
  if (!value.has_list_value() && !value.has_struct_value()) return FromProto(value).text;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(value, &json).ok()) return "?";
  return json;
}

std::string NumberText(double number) {
  char buffer[40];
  const bool integral = std::floor(number) == number && std::abs(number) < 1e15;
  const auto end =
      integral ? std::to_chars(buffer, buffer + sizeof(buffer), static_cast<long long>(number)).ptr
               : std::to_chars(buffer, buffer + sizeof(buffer), number).ptr;
  return std::string(buffer, end);
}

TextValue FromProto(const google::protobuf::Value& value) {
  TextValue out;
  switch (value.kind_case()) {
    case google::protobuf::Value::kNumberValue:
      out.kind = TextValue::Kind::kScalar;
      out.text = NumberText(value.number_value());
      break;
    case google::protobuf::Value::kStringValue:
      out.kind = TextValue::Kind::kScalar;
      out.text = value.string_value();
      out.quoted = true;
      break;
    case google::protobuf::Value::kBoolValue:
      out.kind = TextValue::Kind::kScalar;
      out.text = value.bool_value() ? "true" : "false";
      break;
    case google::protobuf::Value::kListValue:
      out.kind = TextValue::Kind::kList;
      for (const auto& element : value.list_value().values()) {
        out.list.push_back(FromProto(element));
      }
      break;
    case google::protobuf::Value::kStructValue: {
      out.kind = TextValue::Kind::kMap;
      const auto& fields = value.struct_value().fields();
      const std::map<std::string, google::protobuf::Value> sorted(fields.begin(), fields.end());
      for (const auto& [key, field] : sorted) {
        out.map.push_back({key, {}, FromProto(field)});
      }
      break;
    }
    default:
      break;
  }
  return out;
}

google::protobuf::Value ToProto(const TextValue& value) {
  google::protobuf::Value out;
  double number = 0;
  switch (value.kind) {
    case TextValue::Kind::kNull:
      out.set_null_value(google::protobuf::NULL_VALUE);
      break;
    case TextValue::Kind::kScalar:
      if (value.quoted) {
        out.set_string_value(value.text);
      } else if (value.text == "true" || value.text == "false") {
        out.set_bool_value(value.text == "true");
      } else if (absl::SimpleAtod(value.text, &number) && std::isfinite(number)) {
        out.set_number_value(number);
      } else {
        out.set_string_value(value.text);
      }
      break;
    case TextValue::Kind::kList:
      out.mutable_list_value();
      for (const TextValue& element : value.list) {
        *out.mutable_list_value()->add_values() = ToProto(element);
      }
      break;
    case TextValue::Kind::kMap:
      out.mutable_struct_value();
      for (const auto& entry : value.map) {
        (*out.mutable_struct_value()->mutable_fields())[entry.key] = ToProto(entry.value);
      }
      break;
  }
  return out;
}

}  // namespace beamline::pipeline
