// Definitions, as text and as messages: any of them is understood or refused, with a place and a
// reason for each error; what is understood can be written as text and read back.
#include <string>

#include "beamline/v1/pipeline.pb.h"
#include "google/protobuf/util/message_differencer.h"
#include "pipeline/dependencies.h"
#include "pipeline/expand.h"
#include "pipeline/resolve.h"
#include "pipeline/yaml.h"
#include "tests/fuzz/fuzz.h"

namespace beamline::fuzz {
namespace {

using google::protobuf::util::MessageDifferencer;

// The table that every input has.
const v1::Dataset& Points() {
  static const v1::Dataset dataset = [] {
    v1::Dataset made;
    made.set_name("projects/p/datasets/d");
    made.set_row_count(1000);
    for (const char* name : {"x", "y", "z"}) {
      v1::Column& column = *made.add_columns();
      column.set_name(name);
      column.set_type(v1::COLUMN_TYPE_FLOAT64);
      column.mutable_statistics()->set_count(1000);
    }
    v1::Column& label = *made.add_columns();
    label.set_name("label");
    label.set_type(v1::COLUMN_TYPE_CATEGORICAL);
    label.mutable_statistics()->set_count(1000);
    label.mutable_statistics()->set_distinct(2);
    return made;
  }();
  return dataset;
}

void Check(const v1::DefinitionSource& source) {
  const pipeline::Resolved resolved = pipeline::ResolveDefinition(
      source, [](std::string_view) -> const v1::Dataset* { return &Points(); });
  for (const auto* list : {&resolved.verdict.violations, &resolved.verdict.unimplemented}) {
    for (const v1::Violation& violation : *list) {
      Require(!violation.description().empty(), "an error says what is wrong");
    }
  }
  if (!resolved.verdict.ok()) return;
  const pipeline::ParsedDefinition again =
      pipeline::ParseDefinition(pipeline::WriteYaml(resolved.definition));
  Require(again.violations.empty(), "what was written can be read");
  Require(MessageDifferencer::Equals(again.definition, resolved.definition),
          "what was written reads as the same");
  size_t tasks = 0;
  for (const v1::Step& step : resolved.definition.steps()) {
    tasks += pipeline::IsOnlyStudied(resolved.definition, step) ? 0 : 1;
  }
  Require(pipeline::Expand(resolved.definition).size() == tasks,
          "each step is a task, but for those that are only studied");
  pipeline::ArcsOf(resolved.definition);
}

}  // namespace

void Fuzz(std::string_view bytes) {
  v1::DefinitionSource source;
  source.set_yaml(std::string(bytes));
  Check(source);
  if (source.mutable_definition()->ParseFromString(std::string(bytes))) Check(source);
}

}  // namespace beamline::fuzz
