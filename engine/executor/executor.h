// Runs a graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/error.h"
#include "engine/core/tensor.h"
#include "engine/core/thread_pool.h"
#include "engine/executor/variables.h"
#include "engine/graph/graph.h"
#include "engine/passes/memory_plan.h"

namespace beamline::engine {

// The most that any node of the graph needs on this backend.
Scratch ScratchFor(const Graph& graph, const Backend& backend);

// A graph made ready for one backend: memory planned, kernels resolved. Run neither allocates nor
// locks nor looks anything up by name. The results do not depend on the number of threads in the
// pool. Not thread-safe.
class Executor {
 public:
  // Creates the graph's missing variables (initial values from `seed`). `variables` and `pool` must
  // outlive this object; they may be shared by executors that run one at a time. Throws Error if
  // the backend lacks an op, or the type, of the graph.
  Executor(const Graph& graph, const Backend& backend, Variables* variables, ThreadPool* pool,
           uint64_t seed);

  // The memory of an input (to be written before Run), a parameter, a state, or an output (to be
  // read after it). Stays in place. Throws Error if the value has no memory of that type of its
  // own.
  template <typename T>
  std::span<T> Data(Value value) {
    return {static_cast<T*>(Locate(value, DTypeOf<T>())),
            static_cast<size_t>(values_[static_cast<size_t>(value.id)].shape.NumElements())};
  }
  void Set(Value number, double to);
  double Get(Value number);

  // Computes all nodes once. `step` tells dropouts of different steps apart. Inputs may be
  // overwritten: write them before each Run.
  void Run(uint64_t step);

  const MemoryPlan& plan() const { return plan_; }
  // Of all kernels together: shared, and of each thread of the pool. Unit: bytes.
  int64_t scratch_bytes() const { return scratch_.size_bytes(); }
  // For tests: the arena itself.
  std::span<std::byte> arena() { return {arena_.data(), static_cast<size_t>(arena_.size_bytes())}; }

 private:
  struct Step {
    Kernel kernel = nullptr;
    KernelCall call;
  };

  void* Locate(Value value, DType dtype);
  void Resolve(const Graph& graph, Variables* variables);
  void Compile(const Graph& graph, const Backend& backend);
  void AllocateScratch(const Scratch& scratch);

  std::vector<ValueInfo> values_;
  std::vector<Node> nodes_;
  MemoryPlan plan_;
  AlignedBuffer arena_;
  AlignedBuffer scratch_;
  std::vector<void*> pointers_;  // by value
  std::vector<Operand> operands_;
  std::vector<Step> steps_;
  RunState run_;
};

}  // namespace beamline::engine
