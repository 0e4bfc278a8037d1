// Which step waits for which.
#pragma once

#include <string>
#include <vector>

#include "beamline/v1/pipeline.pb.h"

namespace beamline::pipeline {

// Names of steps whose results `step` uses or that it names in `after`; ascending, without
// duplicates. Names of steps that do not exist are left out.
std::vector<std::string> DependenciesOf(const v1::PipelineDefinition& definition,
                                        const v1::Step& step);

// Whether later steps may use what it makes by its name, as if it were an input: a prepare or
// predict step, or a command step with a table.
bool MakesTable(const v1::Step& step);

// What a step that asks a model of rows, an evaluate or predict step, names; empty of others.
struct ModelUse {
  std::string model;
  std::string input;
  v1::DataPart part = v1::DATA_PART_UNSPECIFIED;
};
ModelUse ModelUseOf(const v1::Step& step);

// The names of the tables that `step` reads; without an input of its own a step that asks a model
// reads those of the model's step. May have repetitions and empty names.
std::vector<std::string> TablesRead(const v1::PipelineDefinition& definition, const v1::Step& step);

// The tables of those names, and all tables that steps make these of; ascending.
std::vector<std::string> TablesBehind(const v1::PipelineDefinition& definition,
                                      const std::vector<std::string>& names);

// What each step reads or waits for: steps in their order; of each its inputs, then the steps, both
// ascending.
std::vector<v1::StepArc> ArcsOf(const v1::PipelineDefinition& definition);

// A train step that scaling studies name and nothing else: its own training is of no use.
bool IsOnlyStudied(const v1::PipelineDefinition& definition, const v1::Step& step);

// Names along one cycle, the first one again at the end: {"a", "b", "a"}; empty if there is none.
std::vector<std::string> FindCycle(const v1::PipelineDefinition& definition);

// Indices of the steps, dependencies first, else in the order of the definition. Steps on a cycle
// are left out.
std::vector<int> TopologicalOrder(const v1::PipelineDefinition& definition);

// True for "projects/P/models/M/versions/V".
bool IsRegisteredModel(const std::string& model);

}  // namespace beamline::pipeline
