// What a run changes in its definition: values by field path or declared name, and inputs.
#pragma once

#include <string>
#include <vector>

#include "beamline/v1/pipeline.pb.h"
#include "google/protobuf/struct.pb.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {

// Sets each parameter in `definition`. A key is the name of one of definition.parameters, or a
// field path; list elements by index or, where they have a name, by name:
//   "rate", "seed", "steps.train.train.network.optimizer.adam.learning_rate",
//   "steps.train.train.network.layers.0.dense.units", "inputs.events.dataset"
// Values: numbers, booleans, text (read as in YAML: "0.01", "relu", "512 MiB"), lists for repeated
// fields, mappings for messages, null to clear. Messages on the way come into being, other kinds
// of a choice go. In ascending order of the keys.
// Returns one violation for each key that cannot be set, with field = key; the definition then has
// all other changes.
std::vector<v1::Violation> ApplyParameters(
    const google::protobuf::Map<std::string, google::protobuf::Value>& parameters,
    v1::PipelineDefinition* definition);

// Replaces inputs: name -> dataset (v1.CreateRunRequest.inputs). Import options of a replaced file
// go. One violation ("inputs.NAME") for each name that the definition does not have.
std::vector<v1::Violation> ApplyInputs(
    const google::protobuf::Map<std::string, std::string>& inputs,
    v1::PipelineDefinition* definition);

}  // namespace beamline::pipeline
