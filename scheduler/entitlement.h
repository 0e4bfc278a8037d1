// What each project is owed right now. Private to this folder.
//
// Guarantees first, then express tasks, then weighted water-filling over what is asked for, by
// dominant share (Ghodsi et al., NSDI'11, in its fluid form), at each node of the tree.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "scheduler/projects.h"
#include "scheduler/queue.h"

namespace beamline::scheduler {

// One claimant of WaterFill. Units: parts of 10^9 of the capacity.
struct Claim {
  // What it asks for in each dimension, and the largest of these.
  std::array<int64_t, Amounts::kDimensions> shares{};
  int64_t dominant = 0;
  int64_t weight = 1;
  // It gets at least `floor` and at most `goal` of its dominant share.
  int64_t floor = 0;
  int64_t goal = 0;
  int64_t result = 0;
};

// Raises all claims together, in proportion to their weights, until they have their goal or a
// dimension that they ask for is used up; `capacity` per dimension. Floors that exceed the capacity
// are kept all the same.
void WaterFill(std::vector<Claim>& claims,
               const std::array<int64_t, Amounts::kDimensions>& capacity);

// Sets demand, demand_share and entitled of all projects. `entitled` of an inner project is that of
// its own tasks, which go before those of its children.
void ComputeEntitlements(const TaskQueue& queue, const std::vector<Project*>& top);

}  // namespace beamline::scheduler
