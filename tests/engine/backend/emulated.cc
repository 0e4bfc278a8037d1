// The CUDA backend's kernels compiled for the host, where their loops run one after the other: what
// the tests of a machine without a GPU can say about them.
//
// "cuda/emulated" computes in the host's memory as the CPU's backends do. "cuda/fake" pretends to
// be a device with memory of its own: what is not uploaded is not there, and what is not downloaded
// cannot be read; so it also tests how executors and learners deal with a device.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/update_many.h"
#include "engine/backend/device.h"
#include "engine/core/error.h"

namespace beamline::engine {
namespace {

class FakeDevice : public Device {
 public:
  std::string Description() const override { return "none"; }
  // Filled with NaN, against the contract: nothing may rest on zeros, and what nobody wrote shows.
  void* Allocate(int64_t bytes) override {
    void* memory = std::aligned_alloc(64, static_cast<size_t>((bytes + 63) / 64 * 64));
    std::memset(memory, 0xff, static_cast<size_t>(bytes));
    return memory;
  }
  void Free(void* memory) noexcept override { std::free(memory); }
  std::byte* AllocateHost(int64_t bytes) override {
    return static_cast<std::byte*>(std::calloc(1, static_cast<size_t>(bytes)));
  }
  void FreeHost(std::byte* memory) noexcept override { std::free(memory); }
  void Upload(void* to, const void* from, int64_t bytes) override {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void AwaitUploads() override {}
  void Download(void* to, const void* from, int64_t bytes) override {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void DownloadAll(std::span<const Copy> copies) override {
    for (const Copy& copy : copies) Download(copy.to, copy.from, copy.bytes);
  }
  void Wait() override {}
  void BeginRecording() override { Fail("the fake device cannot record"); }
  std::unique_ptr<Recording> EndRecording() override { return nullptr; }
  void CheckLaunch(std::string_view) override {}
};

const bool kAdded = [] {
  static FakeDevice device;
  Backend backend{"cuda/emulated", "", &cuda::Table(), nullptr, &cuda::ScratchOf};
  AddBackend(backend);
  backend.name = "cuda/fake";
  backend.device = &device;
  backend.update_many = &cuda::UpdateMany;
  AddBackend(backend);
  return true;
}();

}  // namespace
}  // namespace beamline::engine
