// Runs a graph.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/backend/device.h"
#include "engine/core/error.h"
#include "engine/core/tensor.h"
#include "engine/core/thread_pool.h"
#include "engine/executor/variables.h"
#include "engine/graph/graph.h"
#include "engine/passes/memory_plan.h"

namespace beamline::engine {

// The most that any node of the graph needs on this backend.
Scratch ScratchFor(const Graph& graph, const Backend& backend);

// What an executor does for backends with Backend::update_many: one go of updates costs a device
// less than many; the gradients are kept till then. Nothing happens if some node reads a parameter
// or state behind its update.
void MoveUpdatesToEnd(Graph* graph);

// A graph made ready for one backend: memory planned, kernels resolved. Run neither allocates nor
// locks nor looks anything up by name. The results do not depend on the number of threads in the
// pool. Not thread-safe.
//
// On a device the graph's values live there; inputs and outputs have a place in the host's memory
// too, from which a run takes the ones and into which it puts the others. The second run is
// recorded, those behind it repeat the recording.
class Executor {
 public:
  // Creates the graph's missing variables (initial values from `seed`). `variables` and `pool` must
  // outlive this object; they may be shared by executors that run one at a time. Throws Error if
  // the backend lacks an op, or the type, of the graph, or the memory cannot be had.
  Executor(const Graph& graph, const Backend& backend, Variables* variables, ThreadPool* pool,
           uint64_t seed);

  // The memory of an input (to be written before Run), a parameter, a state, or an output (to be
  // read after it). Inputs and outputs stay in place; ask anew for the others after each run.
  // Throws Error if the value has no memory of that type of its own.
  template <typename T>
  std::span<T> Data(Value value) {
    return {static_cast<T*>(Locate(value, DTypeOf<T>())),
            static_cast<size_t>(values_[static_cast<size_t>(value.id)].shape.NumElements())};
  }
  void Set(Value number, double to);
  double Get(Value number);

  // Computes all nodes once. `step` tells dropouts of different steps apart. Inputs may be
  // overwritten: write them before each Run.
  void Run(uint64_t step) {
    Start(step);
    Finish();
  }
  // The same in two parts. Between them a device computes; inputs may be written for the next run
  // once AwaitInputs has returned. Outputs may be read after Finish.
  void Start(uint64_t step);
  void AwaitInputs();
  void Finish();

  // As Run, on a backend without a device only; notes how long each kernel took, by `now`, which
  // gives seconds from any beginning. In the order of the nodes, without reshapes; resizes
  // `seconds`.
  void RunTimed(uint64_t step, const std::function<double()>& now, std::vector<double>* seconds);

  bool on_device() const { return backend_->device != nullptr; }
  const MemoryPlan& plan() const { return plan_; }
  // Of all kernels together: shared, and of each thread of the pool. Unit: bytes.
  int64_t scratch_bytes() const { return scratch_bytes_; }
  // For tests: the arena itself; empty on a device.
  std::span<std::byte> arena() { return {arena_.data(), static_cast<size_t>(arena_.size_bytes())}; }

 private:
  // Calls of one kernel, one after the other.
  struct Step {
    OpKind op = OpKind::kReshape;
    Kernel kernel = nullptr;  // null: Backend::update_many
    size_t first = 0;
    int count = 0;
  };

  void* Locate(Value value, DType dtype);
  void PlaceOnHost();
  void PlaceOnDevice();
  void PlaceOutputs();
  void Compile(const Graph& graph);
  void AllocateScratch(const Scratch& scratch);
  void Launch();
  void StartOnDevice();

  const Backend* backend_;
  Variables* variables_;
  std::vector<ValueInfo> values_;
  std::vector<Node> nodes_;
  MemoryPlan plan_;
  int64_t scratch_bytes_ = 0;
  AlignedBuffer arena_;
  AlignedBuffer scratch_;
  std::vector<void*> pointers_;  // by value: where kernels find it
  std::vector<void*> places_;    // by value: where the caller does; null: in variables_
  std::vector<Operand> operands_;
  std::vector<KernelCall> calls_;
  std::vector<Step> steps_;
  RandomState random_;
  RunState run_;

  // On a device.
  DeviceBuffer device_arena_;
  DeviceBuffer device_scratch_;
  DeviceBuffer device_inputs_;  // RandomState, then the inputs
  HostBuffer mirror_;           // the same, then the outputs
  int64_t input_bytes_ = 0;
  std::vector<DeviceBuffer> constants_;
  std::vector<Variable*> written_;  // by the graph
  std::vector<Device::Copy> outputs_;
  int64_t runs_ = 0;
  std::unique_ptr<Recording> recording_;
};

}  // namespace beamline::engine
