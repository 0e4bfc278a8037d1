// How a backend that is a library of its own joins the program.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/backend/backend.h"
#include "engine/backend/device.h"

namespace beamline::engine {

// Changes with what crosses the border between program and plugin; both are built of one source.
inline constexpr uint64_t kPluginAbi = [] {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  };
  const auto size = [&hash](uint64_t bytes) { hash = (hash ^ bytes) * 0x100000001b3u; };
#define BEAMLINE_OP(Name, text) add(#Name " ");
#include "engine/graph/ops.def"
#undef BEAMLINE_OP
  size(sizeof(Attributes));
  size(sizeof(KernelCall));
  size(sizeof(Operand));
  size(sizeof(RunState));
  size(sizeof(Device::Copy));
  size(1);  // of what the compiler cannot see: raise it
  return hash;
}();

// What the library's function kPluginEntry returns.
struct Plugin {
  uint64_t abi = 0;
  const KernelTable* float32 = nullptr;
  Scratch (*scratch)(OpKind op, const KernelCall& call) = nullptr;
  void (*update_many)(const KernelCall* calls, int count, const RunState& run) = nullptr;
  // Makes the process' device, once. Throws Error if there is none.
  Device* (*open)() = nullptr;
  // RunState::context for a way of computing.
  const void* (*context)(bool tf32) = nullptr;
};

inline constexpr const char* kPluginEntry = "BeamlineCudaPlugin";
using PluginEntry = const Plugin* (*)();

// Opens the CUDA plugin and its device, and adds the backends "cuda", "cuda/tf32" and "cuda/plain".
// Once per process: later calls give the same answer. Empty, or why there is none.
std::string_view OpenCudaPlugin();

}  // namespace beamline::engine
