// What the executor needs of a backend that computes in memory of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::engine {

// A run of kernels that is repeated as a whole.
class Recording {
 public:
  virtual ~Recording() = default;
  // Starts it behind all that was asked of the device before.
  virtual void Replay() = 0;
};

// One device of this process. All work is done in the order in which it is asked for, after the
// call has returned; an error of the device is thrown as Error by the next call that finds it, and
// the device is of no use afterwards. Not thread-safe: one thread at a time.
class Device {
 public:
  virtual ~Device() = default;

  // For logs and a model's lineage: "NVIDIA H100 80GB HBM3 (compute capability 9.0), CUDA 13.0".
  virtual std::string Description() const = 0;

  // Zeroed memory of the device. Throws Error, with figures, if there is not so much.
  virtual void* Allocate(int64_t bytes) = 0;
  virtual void Free(void* memory) noexcept = 0;
  // Zeroed memory of the host that the device reads and writes without the processor.
  virtual std::byte* AllocateHost(int64_t bytes) = 0;
  virtual void FreeHost(std::byte* memory) noexcept = 0;

  // `from` may be changed once AwaitUploads has returned.
  virtual void Upload(void* to, const void* from, int64_t bytes) = 0;
  virtual void AwaitUploads() = 0;
  // `to` may be read once Wait has returned.
  virtual void Download(void* to, const void* from, int64_t bytes) = 0;

  struct Copy {
    std::byte* to = nullptr;  // AllocateHost's
    const void* from = nullptr;
    int64_t bytes = 0;  // a multiple of 4
  };
  // Several downloads at the price of one; may be recorded.
  virtual void DownloadAll(std::span<const Copy> copies) = 0;

  // Returns when all is done. Throws Error if the device failed.
  virtual void Wait() = 0;

  // Kernels between the two are recorded and do not run.
  virtual void BeginRecording() = 0;
  virtual std::unique_ptr<Recording> EndRecording() = 0;
  // Throws Error, naming `what`, if the launches since the last call could not be made.
  virtual void CheckLaunch(std::string_view what) = 0;
};

// Gives memory back to its device.
struct FreeOnDevice {
  Device* device = nullptr;
  void operator()(void* memory) const { device->Free(memory); }
};
struct FreeOnHost {
  Device* device = nullptr;
  void operator()(std::byte* memory) const { device->FreeHost(memory); }
};

// Memory of a device, freed on destruction. Movable, not copyable.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(Device* device, int64_t bytes)
      : data_(bytes > 0 ? device->Allocate(bytes) : nullptr, FreeOnDevice{device}) {}
  std::byte* data() const { return static_cast<std::byte*>(data_.get()); }

 private:
  std::unique_ptr<void, FreeOnDevice> data_;
};

// Memory of the host for a device.
class HostBuffer {
 public:
  HostBuffer() = default;
  HostBuffer(Device* device, int64_t bytes)
      : data_(bytes > 0 ? device->AllocateHost(bytes) : nullptr, FreeOnHost{device}) {}
  std::byte* data() const { return data_.get(); }

 private:
  std::unique_ptr<std::byte, FreeOnHost> data_;
};

}  // namespace beamline::engine
