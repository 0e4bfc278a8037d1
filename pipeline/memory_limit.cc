#include "pipeline/memory_limit.h"

#include "pipeline/expand.h"

namespace beamline::pipeline {

MemoryLimit LimitOf(const v1::Resources& resources) {
  // A figure out of range has its own error: it should not make the network one too.
  const int64_t main_bytes =
      resources.memory_bytes() >= kMinMemoryBytes ? resources.memory_bytes() : kDefaultMemoryBytes;
  const MemoryLimit main{main_bytes, "resources.memory_bytes"};
  const bool only_gpu = resources.device() == v1::DEVICE_KIND_CUDA ||
                        (resources.device() == v1::DEVICE_KIND_UNSPECIFIED && resources.gpus() > 0);
  const bool known = resources.gpu_memory_bytes() > 0;
  const MemoryLimit gpu{known ? resources.gpu_memory_bytes() : INT64_MAX,
                        "resources.gpu_memory_bytes"};
  if (only_gpu || (known && resources.gpus() > 0 && gpu.bytes < main.bytes)) return gpu;
  return main;
}

}  // namespace beamline::pipeline
