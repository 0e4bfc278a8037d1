// What stays between runs: parameters, running statistics, optimiser state.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/backend/device.h"
#include "engine/core/tensor.h"
#include "engine/graph/graph.h"

namespace beamline::engine {

struct Variable {
  Role role = Role::kParameter;
  Tensor tensor;
  // Where a device computes with it. At most one of the two copies is newer than the other.
  DeviceBuffer on_device;
  bool host_newer = true;
  bool device_newer = false;
};

// The parameters and states of one model by name, shared by all graphs that were made of it. The
// tensors keep their place in memory for the life of this object; if a device computes with them,
// they are what it made of them whenever they are asked for here. Not thread-safe.
class Variables {
 public:
  Variables() = default;
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

  // Creates those of the graph's parameters and states that are not there yet, with their initial
  // values: an element depends on (seed, name, index) alone. Throws Error if one is there with
  // another shape or type.
  void Create(const Graph& graph, uint64_t seed);

  // Ascending by name.
  const std::map<std::string, Variable, std::less<>>& all() const;
  // The same, whose tensors may be older than what a device holds: for names, roles and sizes.
  const std::map<std::string, Variable, std::less<>>& stale() const { return variables_; }

  // Throws Error if there is none of that name. What is not const may be changed until the next run
  // of a graph.
  Tensor& Get(std::string_view name);
  const Tensor& Get(std::string_view name) const;
  // The same for all of them, for those that kept pointers to elements: the tensors are up to date;
  // if `change`, they may be changed until the next run.
  void Touch(bool change);

  // For executors on a device; all executors of one object use the same device. The memory of a
  // variable there, for the life of this object.
  Variable* OnDevice(std::string_view name, Device* device);
  // Before a run: the device sees what was changed here.
  void ToDevice();

 private:
  void ToHost(Variable* variable) const;

  Device* device_ = nullptr;
  bool touched_ = false;  // some tensor may be newer than the device's
  // Refreshing a tensor does not change what it stands for.
  mutable std::map<std::string, Variable, std::less<>> variables_;
};

}  // namespace beamline::engine
