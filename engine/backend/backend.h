// What a backend is: a kernel per op.
//
// The folders reference/ and cpu/ hold files of the same names: what one has and the other lacks
// is what remains to be ported. A kernel is a plain function; the executor resolves it once, when
// the plan is made, and then calls it with pointers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/graph/op.h"

namespace beamline::engine {

class Device;
class ThreadPool;

// A tensor as kernels see it: [rows, columns], row-major, columns being the last extent; or by all
// its extents.
struct Operand {
  void* data = nullptr;
  int64_t rows = 1;
  int64_t columns = 1;
  int64_t elements = 1;
  const int64_t* extents = nullptr;  // [rank]
  int rank = 0;
};

// One node, ready to run. All pointers stay valid and unchanged for the life of the executor.
struct KernelCall {
  const Attributes* attributes = nullptr;
  const int64_t* offsets = nullptr;  // Attributes::offsets
  const Operand* inputs = nullptr;
  const Operand* outputs = nullptr;
  int inputs_count = 0;
  int outputs_count = 0;
};

// What dropout and noise depend on.
struct RandomState {
  uint64_t seed = 0;
  uint64_t step = 0;
};

// What changes from run to run.
struct RunState {
  ThreadPool* pool = nullptr;
  // Of dropout and noise.
  uint64_t seed = 0;
  uint64_t step = 0;
  // The same two in the backend's memory, for kernels that are recorded once and run many times.
  const RandomState* random = nullptr;
  // The device's own: Device::context.
  const void* context = nullptr;
  // As much as the kernel asked for; arbitrary content. Aligned to kAlignmentBytes.
  std::byte* shared_scratch = nullptr;
  std::byte* thread_scratch = nullptr;  // [threads], each of thread_scratch_bytes
  int64_t thread_scratch_bytes = 0;
};

// Memory that one call of a kernel needs beside its operands. Unit: bytes.
struct Scratch {
  int64_t shared_bytes = 0;
  int64_t per_thread_bytes = 0;
};

// Must not allocate, lock or throw. On a device: starts the work.
using Kernel = void (*)(const KernelCall& call, const RunState& run);

// By OpKind; null where a backend has no kernel.
using KernelTable = std::array<Kernel, kOpKinds>;

// Immutable, lives as long as the program, thread-safe (its device is not).
struct Backend {
  std::string_view name;
  // Instruction set: "generic", "avx2", "avx512"; "" where there is no choice.
  std::string_view variant;
  const KernelTable* float32 = nullptr;
  // Null: does not compute in float64.
  const KernelTable* float64 = nullptr;
  // What a call needs, from its attributes and extents alone. Null: no kernel needs any.
  Scratch (*scratch)(OpKind op, const KernelCall& call) = nullptr;

  // The rest is of backends with memory of their own; null: pointers are of the host's memory.
  Device* device = nullptr;
  const void* context = nullptr;  // RunState::context
  // Runs of a graph are recorded once and repeated.
  bool records = false;
  // Updates of one rule, of different parameters, in one go. Null: one by one.
  void (*update_many)(const KernelCall* calls, int count, const RunState& run) = nullptr;
};

// "reference", "cpu" (the best instruction set of this machine), "cpu/generic", "cpu/avx2",
// "cpu/avx512". The bits of "cpu" do not depend on the instruction set. "cuda" (float32),
// "cuda/tf32" (products of numbers rounded to TF32) and "cuda/plain" (float32; launches kernel by
// kernel, with the same bits): the first GPU that this process sees, through the plugin
// libbeamline_cuda.so that stands beside the program. Throws Error if there is no such backend or
// this machine cannot run it; the message says why and lists those it can.
const Backend& FindBackend(std::string_view name);

// Adds a backend under a name of its own: what plugins and tests call, before anything is run. Its
// tables must live as long as the program. Not thread-safe.
void AddBackend(const Backend& backend);

// The names that FindBackend takes on this machine.
std::vector<std::string_view> AvailableBackends();

// Calls fn(context, tile, slot) for each tile in [0, tiles), as ThreadPool::ParallelFor. Plain
// functions, so that code compiled for one instruction set instantiates nothing that other code
// shares.
using TileFunction = void (*)(const void* context, int64_t tile, int slot);
void RunTiles(ThreadPool* pool, int64_t tiles, TileFunction fn, const void* context);

}  // namespace beamline::engine
