#include "clients/cli/json.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"
#include "google/protobuf/util/json_util.h"

namespace beamline::cli {
namespace {

using google::protobuf::util::JsonPrintOptions;

std::string Print(const google::protobuf::Message& message, bool pretty) {
  JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.add_whitespace = pretty;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  // Only messages with an Any of unknown type or an invalid Timestamp cannot be printed.
  if (!status.ok()) return "{}";
  return json;
}

}  // namespace

std::string JsonLine(const google::protobuf::Message& message) { return Print(message, false); }

std::string PrettyJson(const google::protobuf::Message& message) { return Print(message, true); }

absl::Status ParseJson(std::string_view json, google::protobuf::Message* message) {
  const auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), message);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(status.message().ToString());
}

google::protobuf::Value ValueOf(std::string_view text) {
  google::protobuf::Value value;
  const std::string_view trimmed = S(absl::StripAsciiWhitespace(A(text)));
  const bool looks_like_json =
      !trimmed.empty() && (trimmed.find_first_of("-0123456789[{\"") == 0 || trimmed == "true" ||
                           trimmed == "false" || trimmed == "null");
  if (looks_like_json && ParseJson(trimmed, &value).ok()) return value;
  value.set_string_value(std::string(text));
  return value;
}

std::string EnumWord(std::string_view name, std::string_view prefix) {
  if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  return absl::StrReplaceAll(absl::AsciiStrToLower(A(name)), {{"_", " "}});
}

}  // namespace beamline::cli
