#include "pipeline/parameters.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "pipeline/fill_message.h"
#include "pipeline/text_value.h"

namespace beamline::pipeline {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Walks a field path from the top of a definition and sets what it ends at.
class PathSetter {
 public:
  PathSetter(std::string key, std::string_view path, Violations* violations)
      : key_(std::move(key)), path_(path), violations_(violations) {
    parts_ = absl::StrSplit(path_, '.');
  }

  void Set(const TextValue& value, Message* top) { SetIn(value, 0, top); }

 private:
  // The path as far as part `count`.
  std::string Here(size_t count) const {
    return absl::StrJoin(parts_.begin(), parts_.begin() + static_cast<long>(count), ".");
  }
  void Complain(const std::string& text) { violations_->Add(key_, text); }

  void SetIn(const TextValue& value, size_t at, Message* message) {
    const auto& type = *message->GetDescriptor();
    const FieldDescriptor* field = type.FindFieldByName(parts_[at]);
    if (field == nullptr) {
      const std::vector<std::string> known = FieldNames(type);
      const std::string hint = Hint(parts_[at], known);
      const std::string place = at == 0 ? "the definition" : absl::StrCat("\"", Here(at), "\"");
      Complain(absl::StrCat(
          place, " has no field \"", parts_[at], "\"",
          !hint.empty() ? hint : absl::StrCat(": it has ", absl::StrJoin(known, ", "))));
      return;
    }
    if (at + 1 == parts_.size()) {
      SetLeaf(value, *field, message);
    } else if (field->is_map()) {
      SetInMap(value, at, *field, message);
    } else if (field->is_repeated()) {
      SetInList(value, at, *field, message);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      SetIn(value, at + 1, message->GetReflection()->MutableMessage(message, field));
    } else {
      Complain(absl::StrCat("\"", Here(at + 1), "\" is a single value: nothing is inside it"));
    }
  }

  void SetLeaf(const TextValue& value, const FieldDescriptor& field, Message* message) {
    message->GetReflection()->ClearField(message, &field);
    if (value.kind == TextValue::Kind::kNull) return;
    Violations found;
    // "[1, 2]" given as text for a list is what a command line can write.
    TextValue parsed;
    Violations ignored;
    const bool text_for_more =
        value.kind == TextValue::Kind::kScalar && value.quoted &&
        (field.is_repeated() || field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) &&
        ReadYaml(value.text, &parsed, &ignored);
    FillField(text_for_more ? parsed : value, path_, field, message, &found, nullptr);
    for (const v1::Violation& violation : found.list()) {
      const std::string_view inner = violation.field();
      Complain(inner == path_ || inner.size() <= path_.size()
                   ? violation.description()
                   : absl::StrCat(violation.field(), ": ", violation.description()));
    }
  }

  void SetInMap(const TextValue& value, size_t at, const FieldDescriptor& field, Message* message) {
    const auto& get = *message->GetReflection();
    const FieldDescriptor* key = field.message_type()->map_key();
    const FieldDescriptor* mapped = field.message_type()->map_value();
    Message* entry = nullptr;
    for (int i = 0; i < get.FieldSize(*message, &field) && entry == nullptr; ++i) {
      Message* candidate = get.MutableRepeatedMessage(message, &field, i);
      if (candidate->GetReflection()->GetString(*candidate, key) == parts_[at + 1]) {
        entry = candidate;
      }
    }
    if (entry == nullptr) {
      entry = get.AddMessage(message, &field);
      entry->GetReflection()->SetString(entry, key, parts_[at + 1]);
    }
    if (at + 2 == parts_.size()) {
      SetLeaf(value, *mapped, entry);
    } else if (mapped->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      SetIn(value, at + 2, entry->GetReflection()->MutableMessage(entry, mapped));
    } else {
      Complain(absl::StrCat("\"", Here(at + 2), "\" is a single value: nothing is inside it"));
    }
  }

  void SetInList(const TextValue& value, size_t at, const FieldDescriptor& field,
                 Message* message) {
    const auto& get = *message->GetReflection();
    const int size = get.FieldSize(*message, &field);
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      Complain(absl::StrCat("\"", Here(at + 1), "\" is set as a whole: give a list"));
      return;
    }
    int index = -1;
    std::vector<std::string> names;
    const FieldDescriptor* name = field.message_type()->FindFieldByName("name");
    for (int i = 0; i < size && name != nullptr; ++i) {
      const Message& element = get.GetRepeatedMessage(*message, &field, i);
      names.push_back(element.GetReflection()->GetString(element, name));
      if (names.back() == parts_[at + 1]) index = i;
    }
    if (index < 0 && !absl::SimpleAtoi(parts_[at + 1], &index)) index = -1;
    if (index < 0 || index >= size) {
      Complain(absl::StrCat("\"", Here(at + 1), "\" has ", size, " elements and none is \"",
                            parts_[at + 1], "\"", Hint(parts_[at + 1], names)));
      return;
    }
    Message* element = get.MutableRepeatedMessage(message, &field, index);
    if (at + 2 == parts_.size()) {
      element->Clear();
      Violations found;
      FillMessage(value, path_, element, &found, nullptr);
      for (const v1::Violation& violation : found.list()) Complain(violation.description());
    } else {
      SetIn(value, at + 2, element);
    }
  }

  const std::string key_;
  const std::string path_;
  Violations* const violations_;
  std::vector<std::string> parts_;
};

}  // namespace

std::vector<v1::Violation> ApplyParameters(
    const google::protobuf::Map<std::string, google::protobuf::Value>& parameters,
    v1::PipelineDefinition* definition) {
  Violations violations;
  std::map<std::string, std::string> declared;
  std::vector<std::string> names;
  for (const v1::Parameter& parameter : definition->parameters()) {
    declared[parameter.name()] = parameter.path();
    names.push_back(parameter.name());
  }
  const std::map<std::string, google::protobuf::Value> sorted(parameters.begin(), parameters.end());
  for (const auto& [key, value] : sorted) {
    const auto found = declared.find(key);
    const bool is_field = v1::PipelineDefinition::descriptor()->FindFieldByName(key) != nullptr;
    if (found == declared.end() && key.find('.') == std::string::npos && !is_field) {
      const std::string hint = Hint(key, names);
      violations.Add(key, absl::StrCat("no parameter of that name",
                                       !hint.empty()   ? hint
                                       : names.empty() ? ": the definition declares none; give a "
                                                         "field path such as steps.NAME.train..."
                                                       : absl::StrCat(": there are ",
                                                                      absl::StrJoin(names, ", "))));
      continue;
    }
    PathSetter(key, found == declared.end() ? key : found->second, &violations)
        .Set(FromProto(value), definition);
  }
  return violations.list();
}

std::vector<v1::Violation> ApplyInputs(
    const google::protobuf::Map<std::string, std::string>& inputs,
    v1::PipelineDefinition* definition) {
  Violations violations;
  std::vector<std::string> names;
  for (const auto& [name, input] : definition->inputs()) names.push_back(name);
  std::sort(names.begin(), names.end());
  for (const auto& [name, dataset] : std::map(inputs.begin(), inputs.end())) {
    const auto found = definition->mutable_inputs()->find(name);
    if (found == definition->mutable_inputs()->end()) {
      violations.Add(absl::StrCat("inputs.", name),
                     absl::StrCat("the definition has no input of that name", Hint(name, names)));
      continue;
    }
    found->second.clear_options();
    found->second.clear_files();
    found->second.set_dataset(dataset);
  }
  return violations.list();
}

}  // namespace beamline::pipeline
