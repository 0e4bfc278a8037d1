// What commands that make or plan a run share: parameters by --set, inputs by --input.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "beamline/v1/pipeline.pb.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

// "--set NAME=VALUE" as the API takes them: values are read as YAML would read them. UsageError if
// there is no "=" or a name comes twice.
absl::StatusOr<google::protobuf::Map<std::string, google::protobuf::Value>> ParametersOf(
    const Arguments& args);

// By input: the dataset that --input names for it, or that a local file of it has become, which is
// uploaded unless the project has it. Paths in the definition are relative to `folder`. UsageError
// for an input that does not exist, or a file.
absl::StatusOr<google::protobuf::Map<std::string, std::string>> InputsOf(
    Invocation& invocation, const std::string& folder, const v1::PipelineDefinition& definition);

// Whether there is such a file here.
bool IsFile(const std::string& path);

// Whether it names a definition in a file, and not a stored pipeline.
bool NamesFile(const std::string& pipeline);

// Names the file before each violation of the error, so that an editor finds it; the error itself
// if it has none.
absl::Status WithFile(const absl::Status& status, const std::string& path);

}  // namespace beamline::cli
