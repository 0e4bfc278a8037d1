// Operations that draw rows at random, or weigh them. Only for the files of pipeline/prepare.
#pragma once

#include "pipeline/prepare/operations.h"

namespace beamline::pipeline {

// Throw engine::Error if there are fewer rows than wanted, or a value to balance by is missing.
engine::data::Table Sample(const v1::SampleRows& sample, const engine::data::Table& table,
                           const OperationContext& context);
engine::data::Table Balance(const v1::BalanceRows& balance, const engine::data::Table& table,
                            const OperationContext& context);

}  // namespace beamline::pipeline
