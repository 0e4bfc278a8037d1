#include "pipeline/resolve.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "base/digest.h"
#include "pipeline/yaml.h"

namespace beamline::pipeline {
namespace {

// The definition and where it stands in its text, or what is wrong with that.
ParsedDefinition Read(const v1::DefinitionSource& source) {
  if (source.form_case() == v1::DefinitionSource::kYaml) return ParseDefinition(source.yaml());
  ParsedDefinition parsed;
  parsed.definition = source.definition();
  if (source.form_case() == v1::DefinitionSource::FORM_NOT_SET) {
    Violations violations;
    violations.Add("", "no definition is given: send it as text or as a message");
    parsed.violations = violations.list();
  }
  return parsed;
}

Resolved Conclude(ParsedDefinition parsed, const ValidateOptions& options) {
  Resolved resolved;
  // A text that could not be read whole would give errors about what is missing from it.
  if (parsed.violations.empty()) {
    resolved.verdict = Validate(parsed.definition, options);
  } else {
    resolved.verdict.violations = std::move(parsed.violations);
  }
  resolved.definition = std::move(parsed.definition);
  return resolved;
}

}  // namespace

Resolved ResolveDefinition(const v1::DefinitionSource& source, const DatasetLookup& datasets) {
  ParsedDefinition parsed = Read(source);
  const Positions positions = parsed.positions;
  return Conclude(std::move(parsed), {.datasets = datasets, .tables = {}, .positions = &positions});
}

Resolved ResolveRun(const v1::DefinitionSource& source,
                    const google::protobuf::Map<std::string, google::protobuf::Value>& parameters,
                    const google::protobuf::Map<std::string, std::string>& inputs,
                    const DatasetLookup& datasets, Findings* findings) {
  ParsedDefinition parsed = Read(source);
  if (parsed.violations.empty()) {
    for (auto& list : {ApplyInputs(inputs, &parsed.definition),
                       ApplyParameters(parameters, &parsed.definition)}) {
      parsed.violations.insert(parsed.violations.end(), list.begin(), list.end());
    }
  }
  const Positions positions = parsed.positions;
  return Conclude(std::move(parsed), {.datasets = datasets,
                                      .for_run = true,
                                      .tables = {},
                                      .findings = findings,
                                      .positions = &positions});
}

std::string DefinitionDigest(const v1::PipelineDefinition& definition) {
  v1::PipelineDefinition plain = definition;
  plain.clear_description();
  for (v1::Parameter& parameter : *plain.mutable_parameters()) parameter.clear_description();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    plain.SerializeToCodedStream(&out);
  }
  return Sha256Hex(bytes);
}

}  // namespace beamline::pipeline
