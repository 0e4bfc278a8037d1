#include "server/audit_entry.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/strings.h"
#include "base/without_secrets.h"
#include "beamline/v1/options.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/timestamp.pb.h"
#include "store/time.h"

namespace beamline::server {
namespace {

namespace pb = google::protobuf;

constexpr size_t kMaxSummaryLength = 300;
constexpr size_t kMaxValueLength = 100;
constexpr size_t kMaxResourceLength = 200;
// Longer runs of letters and digits may be secrets. Ids have at most 63 characters with dashes;
// digests of datasets are shown as the resource.
constexpr size_t kMaxRunLength = 32;
constexpr int kMaxDepth = 3;
constexpr int kMaxRepeated = 8;

bool IsWordCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// Whether `text` looks like what people choose as names.
bool IsIdentifier(const std::string& text) {
  size_t run = 0;
  for (const char c : text) {
    run = IsWordCharacter(c) ? run + 1 : 0;
    if (run > kMaxRunLength) return false;
    if (run == 0 && c != '-' && c != '_' && c != '.' && c != '/' && c != ':') return false;
  }
  return !text.empty() && text.size() <= kMaxValueLength && WithoutSecrets(text) == text;
}

// The summary is made of what strangers send: seconds may be any number.
std::string TimeText(const pb::Timestamp& time) {
  return absl::FormatTime(absl::RFC3339_sec, store::FromProto(time), absl::UTCTimeZone());
}

void AddFields(const pb::Message& message, const std::string& path, int depth,
               std::vector<std::string>& words);

void AddValue(const pb::Message& message, const pb::FieldDescriptor& field, int index,
              const std::string& path, int depth, std::vector<std::string>& words) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  const auto add = [&](const auto& value) { words.push_back(absl::StrCat(path, "=", value)); };
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE: {
      const pb::Message& part = repeated ? reflection.GetRepeatedMessage(message, &field, index)
                                         : reflection.GetMessage(message, &field);
      if (const auto* time = dynamic_cast<const pb::Timestamp*>(&part)) return add(TimeText(*time));
      if (depth < kMaxDepth) AddFields(part, path, depth + 1, words);
      return;
    }
    case pb::FieldDescriptor::CPPTYPE_STRING: {
      if (field.type() == pb::FieldDescriptor::TYPE_BYTES) return;
      const std::string value = repeated ? reflection.GetRepeatedString(message, &field, index)
                                         : reflection.GetString(message, &field);
      if (IsIdentifier(value)) add(value);
      return;
    }
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return add((repeated ? reflection.GetRepeatedEnum(message, &field, index)
                           : reflection.GetEnum(message, &field))
                     ->name());
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return add(repeated || reflection.GetBool(message, &field) ? "true" : "false");
    case pb::FieldDescriptor::CPPTYPE_INT64:
      if (!repeated) add(reflection.GetInt64(message, &field));
      return;
    case pb::FieldDescriptor::CPPTYPE_INT32:
      if (!repeated) add(reflection.GetInt32(message, &field));
      return;
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      if (!repeated) add(reflection.GetDouble(message, &field));
      return;
    default:
      return;
  }
}

void AddFields(const pb::Message& message, const std::string& path, int depth,
               std::vector<std::string>& words) {
  const pb::Reflection& reflection = *message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    // The resource has a field of its own in the entry.
    if (field->is_map() || field->name() == "request_id" ||
        field->options().GetExtension(v1::resource)) {
      continue;
    }
    const std::string name = path.empty() ? field->name() : absl::StrCat(path, ".", field->name());
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < std::min(count, kMaxRepeated); ++i) {
      AddValue(message, *field, i, name, depth, words);
    }
  }
}

// The text without what could break a line and without secrets, not longer than a name may be.
std::string Tame(std::string text) {
  text.resize(WithoutSecrets(text).size());
  if (text.size() > kMaxResourceLength) text.resize(kMaxResourceLength);
  for (char& c : text) {
    if (c < 0x21 || c > 0x7e) c = '?';
  }
  return text;
}

bool IsResource(const std::string& text) {
  return absl::StartsWith(text, "projects/") || absl::StartsWith(text, "users/") ||
         absl::StartsWith(text, "workers/");
}

std::string FindResource(const pb::Message& message, int depth) {
  const pb::Reflection& reflection = *message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->is_repeated()) continue;
    std::string found;
    if (field->type() == pb::FieldDescriptor::TYPE_STRING) {
      found = reflection.GetString(message, field);
      if (field->options().GetExtension(v1::resource)) return found;
    } else if (field->type() == pb::FieldDescriptor::TYPE_MESSAGE && depth > 0) {
      found = FindResource(reflection.GetMessage(message, field), depth - 1);
    }
    if (IsResource(found)) return found;
  }
  return "";
}

}  // namespace

std::string RequestDigest(const pb::Message& request) {
  // Maps have no order of their own; this gives equal requests equal bytes.
  std::string bytes;
  {
    pb::io::StringOutputStream out(&bytes);
    pb::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&coded);
  }
  return Sha256Hex(bytes);
}

std::string RequestSummary(const pb::Message& request) {
  std::vector<std::string> words;
  AddFields(request, "", 0, words);
  std::string summary;
  for (const std::string& word : words) {
    if (summary.size() + word.size() + 1 > kMaxSummaryLength) {
      absl::StrAppend(&summary, " ...");
      break;
    }
    absl::StrAppend(&summary, summary.empty() ? "" : " ", word);
  }
  return summary;
}

std::string RequestResource(const pb::Message& request) { return Tame(FindResource(request, 1)); }

std::string TokenOf(const auth::Principal& caller) {
  if (caller.outside == nullptr) return caller.token_id;
  return absl::StrCat(caller.outside->issuer, " ", caller.outside->subject);
}

v1::AuditEntry MakeAuditEntry(const auth::Principal& caller, std::string_view method,
                              const pb::Message& request) {
  v1::AuditEntry entry;
  entry.set_principal(caller.name);
  entry.set_token(TokenOf(caller));
  entry.set_peer(caller.peer);
  entry.set_method(std::string(method));
  entry.set_summary(RequestSummary(request));
  entry.set_request_digest(RequestDigest(request));
  return entry;
}

}  // namespace beamline::server
