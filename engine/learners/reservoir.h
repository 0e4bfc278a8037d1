// Random recurrent connections of echo state networks and liquid state machines.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/core/philox.h"
#include "engine/core/tensor.h"
#include "engine/learners/batch_source.h"

namespace beamline::engine {

// Connections into each unit when that share of all exist: at least one.
int64_t FanIn(int64_t units, double density);

// sources: [units, fan_in] (int64): for each unit different ones, drawn without replacement.
void DrawSources(const Philox& random, int64_t units, Tensor* sources);

// Throws Error if one is not a unit.
void CheckSources(const Tensor& sources, int64_t units);

// Numbers of one step of the examples. Throws Error, which names the learner, if they have none.
int64_t ChannelsOf(const std::string& learner, const BatchLayout& layout);

}  // namespace beamline::engine
