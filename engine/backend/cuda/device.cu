// The device of this process, and the plugin's entry.
#include "engine/backend/device.h"

#include <cublasLt.h>

#include <algorithm>
#include <cstring>

#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/stream.h"
#include "engine/backend/cuda/update_many.h"
#include "engine/backend/plugin.h"
#include "engine/core/error.h"

namespace beamline::engine::cuda {

void Check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  Fail("the GPU failed: ", call, ": ", cudaGetErrorString(status), " (", cudaGetErrorName(status),
       ")");
}

namespace {

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;
constexpr double kMebibyte = 1 << 20;

class CudaRecording : public Recording {
 public:
  CudaRecording(cudaGraph_t graph, cudaStream_t stream) : stream_(stream) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    Check(status, "cudaGraphInstantiate");
  }
  ~CudaRecording() override { cudaGraphExecDestroy(executable_); }
  CudaRecording(const CudaRecording&) = delete;
  CudaRecording& operator=(const CudaRecording&) = delete;

  void Replay() override { Check(cudaGraphLaunch(executable_, stream_), "cudaGraphLaunch"); }

 private:
  cudaGraphExec_t executable_ = nullptr;
  cudaStream_t stream_;
};

constexpr int kCopiesAtOnce = 32;
struct Copies {
  Device::Copy copy[kCopiesAtOnce];
};

// Writes straight to the host's memory: a step's few numbers cost one launch and no copy engine.
__global__ void CopyKernel(Copies copies) {
  const Device::Copy& copy = copies.copy[blockIdx.y];
  const auto* from = static_cast<const uint32_t*>(copy.from);
  auto* to = reinterpret_cast<uint32_t*>(copy.to);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * blockDim.x + threadIdx.x; i < copy.bytes / 4; i += stride) {
    to[i] = from[i];
  }
}

class CudaDevice : public Device {
 public:
  CudaDevice() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
      Fail("there is no GPU: ", status != cudaSuccess ? cudaGetErrorString(status)
                                                      : "the driver shows none to this process");
    }
    Check(cudaSetDevice(0), "cudaSetDevice");
    Check(cudaGetDeviceProperties(&properties_, 0), "cudaGetDeviceProperties");
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    Check(cudaEventCreateWithFlags(&uploaded_, cudaEventDisableTiming), "cudaEventCreate");
    cublasLtHandle_t lt = nullptr;
    if (cublasLtCreate(&lt) != CUBLAS_STATUS_SUCCESS) Fail("the GPU failed: cublasLtCreate");
    context_.stream = stream_;
    context_.multiprocessors = properties_.multiProcessorCount;
    context_.lt = lt;
    context_.workspace = Allocate(kWorkspaceBytes);
    context_.workspace_bytes = kWorkspaceBytes;
    context_.counters = static_cast<int*>(Allocate(kCounters * static_cast<int64_t>(sizeof(int))));
    tf32_ = context_;
    tf32_.tf32 = true;
  }

  const Context& context(bool tf32) const { return tf32 ? tf32_ : context_; }

  std::string Description() const override {
    int version = 0;
    cudaRuntimeGetVersion(&version);
    return engine::Concat(properties_.name, " (compute capability ", properties_.major, ".",
                          properties_.minor, "), CUDA ", version / 1000, ".", version % 1000 / 10,
                          ", cuBLASLt ", cublasLtGetVersion());
  }

  void* Allocate(int64_t bytes) override {
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, static_cast<size_t>(bytes));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // forget it: the device is as before
      size_t free = 0;
      size_t total = 0;
      cudaMemGetInfo(&free, &total);
      Fail("the GPU has ", static_cast<double>(free) / kMebibyte, " MiB free of ",
           static_cast<double>(total) / kMebibyte, " MiB, but ",
           static_cast<double>(bytes) / kMebibyte,
           " MiB more are needed: lower batch_size, or ask for a GPU with more memory");
    }
    Check(status, "cudaMalloc");
    Check(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), stream_), "cudaMemsetAsync");
    return memory;
  }
  void Free(void* memory) noexcept override { cudaFree(memory); }

  std::byte* AllocateHost(int64_t bytes) override {
    void* memory = nullptr;
    Check(cudaHostAlloc(&memory, static_cast<size_t>(bytes), cudaHostAllocDefault),
          "cudaHostAlloc");
    std::memset(memory, 0, static_cast<size_t>(bytes));
    return static_cast<std::byte*>(memory);
  }
  void FreeHost(std::byte* memory) noexcept override { cudaFreeHost(memory); }

  void Upload(void* to, const void* from, int64_t bytes) override {
    Check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_),
          "cudaMemcpyAsync to the device");
    Check(cudaEventRecord(uploaded_, stream_), "cudaEventRecord");
  }
  void AwaitUploads() override { Check(cudaEventSynchronize(uploaded_), "an upload"); }
  void Download(void* to, const void* from, int64_t bytes) override {
    Check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_),
          "cudaMemcpyAsync from the device");
  }

  void DownloadAll(std::span<const Copy> copies) override {
    for (size_t from = 0; from < copies.size(); from += kCopiesAtOnce) {
      Copies some = {};
      const size_t count = std::min<size_t>(kCopiesAtOnce, copies.size() - from);
      int64_t most = 0;
      for (size_t i = 0; i < count; ++i) {
        some.copy[i] = copies[from + i];
        most = std::max(most, some.copy[i].bytes / 4);
      }
      const auto blocks = static_cast<unsigned>(std::clamp<int64_t>(most / 256 + 1, 1, 128));
      CopyKernel<<<dim3(blocks, static_cast<unsigned>(count)), 256, 0, stream_>>>(some);
    }
  }

  void Wait() override { Check(cudaStreamSynchronize(stream_), "a kernel"); }

  void BeginRecording() override {
    Check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
          "cudaStreamBeginCapture");
  }
  std::unique_ptr<Recording> EndRecording() override {
    cudaGraph_t graph = nullptr;
    Check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    return std::make_unique<CudaRecording>(graph, stream_);
  }
  void CheckLaunch(std::string_view what) override {
    const cudaError_t status = cudaGetLastError();
    if (status == cudaSuccess) return;
    Fail("the GPU cannot run ", what, ": ", cudaGetErrorString(status), " (",
         cudaGetErrorName(status), ")");
  }

 private:
  cudaDeviceProp properties_ = {};
  cudaStream_t stream_ = nullptr;
  cudaEvent_t uploaded_ = nullptr;
  Context context_;
  Context tf32_;
};

CudaDevice* opened = nullptr;

Device* Open() {
  // Lives as long as the process: a driver that shuts down takes all of it along.
  if (opened == nullptr) opened = std::make_unique<CudaDevice>().release();
  return opened;
}

const void* ContextFor(bool tf32) { return &opened->context(tf32); }

}  // namespace
}  // namespace beamline::engine::cuda

extern "C" __attribute__((visibility("default"))) const beamline::engine::Plugin*
BeamlineCudaPlugin() {
  namespace engine = beamline::engine;
  static const engine::Plugin kPlugin = {
      engine::kPluginAbi,        &engine::cuda::Table(), &engine::cuda::ScratchOf,
      &engine::cuda::UpdateMany, &engine::cuda::Open,    &engine::cuda::ContextFor,
  };
  return &kPlugin;
}
