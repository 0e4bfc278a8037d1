#include "pipeline/memory_limit.h"

#include "pipeline/expand.h"

namespace beamline::pipeline {

int64_t MainMemoryOf(const v1::Resources& resources) {
  // A figure out of range has its own error: it should not make the network one too.
  return resources.memory_bytes() >= kMinMemoryBytes ? resources.memory_bytes()
                                                     : kDefaultMemoryBytes;
}

int64_t HeldInMemory(int64_t training_bytes, int64_t validation_bytes, const FeatureRoom& room) {
  int64_t held = 0;
  for (const int64_t bytes : {training_bytes, validation_bytes}) {
    if (PlaceOf(bytes, room) == FeaturePlace::kMemory) held += bytes;
  }
  return held;
}

MemoryLimit LimitOf(const v1::Resources& resources) {
  const MemoryLimit main{MainMemoryOf(resources), "resources.memory_bytes"};
  const bool only_gpu = resources.device() == v1::DEVICE_KIND_CUDA ||
                        (resources.device() == v1::DEVICE_KIND_UNSPECIFIED && resources.gpus() > 0);
  const bool known = resources.gpu_memory_bytes() > 0;
  const MemoryLimit gpu{known ? resources.gpu_memory_bytes() : INT64_MAX,
                        "resources.gpu_memory_bytes", true};
  if (only_gpu || (known && resources.gpus() > 0 && gpu.bytes < main.bytes)) return gpu;
  return main;
}

}  // namespace beamline::pipeline
