// From what a caller sends to a definition that can run, in one call.
#pragma once

#include <string>

#include "beamline/v1/pipeline.pb.h"
#include "pipeline/parameters.h"
#include "pipeline/validate.h"

namespace beamline::pipeline {

struct Resolved {
  // As executed, if verdict.ok(): with parameters and inputs applied.
  v1::PipelineDefinition definition;
  Verdict verdict;
};

// Reads `source` (text or message) and validates it with `datasets` where they are known.
// For ValidatePipeline and CreatePipeline. Never throws. Thread-safe.
Resolved ResolveDefinition(const v1::DefinitionSource& source, const DatasetLookup& datasets);

// Also applies parameters and inputs, and requires that every input is a dataset. For CreateRun;
// with `findings`, as ValidateOptions has them, for PlanPipeline.
Resolved ResolveRun(const v1::DefinitionSource& source,
                    const google::protobuf::Map<std::string, google::protobuf::Value>& parameters,
                    const google::protobuf::Map<std::string, std::string>& inputs,
                    const DatasetLookup& datasets, Findings* findings = nullptr);

// Of Pipeline.digest: SHA-256 of the definition's deterministic serialisation. Not of
// `description`s, which change nothing.
std::string DefinitionDigest(const v1::PipelineDefinition& definition);

}  // namespace beamline::pipeline
