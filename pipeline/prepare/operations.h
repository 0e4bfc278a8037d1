// The rows that a prepare step makes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "beamline/v1/prepare.pb.h"
#include "engine/data/table.h"
#include "engine/data/workspace.h"
#include "pipeline/prepare/schema.h"

namespace beamline::pipeline {

// The table that steps have under that name. Throws if there is none.
using TableLookup = std::function<const engine::data::Table&(const std::string& name)>;

// What an operation depends on beside the table that it takes.
struct OperationContext {
  const TableLookup& tables;
  engine::data::Workspace& workspace;
  // Name of the table that the step began with.
  std::string input;
  // Of what is drawn at random: the pipeline's, and one for each step and operation.
  uint64_t seed = 0;
  uint64_t stream = 0;
};

// The same bits for any number of threads. Precondition: SchemaAfter found nothing wrong with the
// operation on such tables. Throws engine::Error for what only rows tell: too few of them, values
// that are missing, no room.
engine::data::Table Apply(const v1::TableOperation& operation, const engine::data::Table& table,
                          const OperationContext& context);

// The columns of a table.
Schema SchemaOf(const engine::data::Table& table);

}  // namespace beamline::pipeline
