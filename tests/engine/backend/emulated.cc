// The backend "cuda/emulated": the CUDA backend's kernels compiled for the host, where their loops
// run one after the other. What the tests of a machine without a GPU can say about them.
#include "engine/backend/backend.h"
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine {
namespace {

const bool kAdded = [] {
  AddBackend({"cuda/emulated", "", &cuda::Table(), nullptr, &cuda::ScratchOf});
  return true;
}();

}  // namespace
}  // namespace beamline::engine
