#include "worker/nvml.h"

#include <dlfcn.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace beamline::worker {
namespace {

// Looks symbols up and remembers the first that is missing.
class Symbols {
 public:
  explicit Symbols(void* library) : library_(library) {}

  template <typename Function>
  void Find(const char* name, Function** function) {
    *function = reinterpret_cast<Function*>(dlsym(library_, name));
    if (*function == nullptr && missing_.empty()) missing_ = name;
  }
  const std::string& missing() const { return missing_; }

 private:
  void* const library_;
  std::string missing_;
};

}  // namespace

Nvml::~Nvml() {
  if (shutdown_ != nullptr) shutdown_();
}

absl::StatusOr<std::unique_ptr<Nvml>> OpenNvml(std::span<const char* const> libraries) {
  void* library = nullptr;
  std::string reason;
  for (const char* name : libraries) {
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    // The first name is the one that people know.
    const char* const error = dlerror();
    if (reason.empty() && error != nullptr) reason = error;
  }
  if (library == nullptr) return absl::NotFoundError(reason);

  auto nvml = std::make_unique<Nvml>();
  NvmlResult (*init)() = nullptr;
  NvmlResult (*shutdown)() = nullptr;
  Symbols symbols(library);
  symbols.Find("nvmlInit_v2", &init);
  symbols.Find("nvmlShutdown", &shutdown);
  symbols.Find("nvmlErrorString", &nvml->ErrorString);
  symbols.Find("nvmlDeviceGetCount_v2", &nvml->GetCount);
  symbols.Find("nvmlDeviceGetHandleByIndex_v2", &nvml->GetHandleByIndex);
  symbols.Find("nvmlDeviceGetName", &nvml->GetName);
  symbols.Find("nvmlDeviceGetUUID", &nvml->GetUuid);
  symbols.Find("nvmlDeviceGetMemoryInfo", &nvml->GetMemoryInfo);
  symbols.Find("nvmlDeviceGetCudaComputeCapability", &nvml->GetCudaComputeCapability);
  symbols.Find("nvmlDeviceGetUtilizationRates", &nvml->GetUtilizationRates);
  symbols.Find("nvmlDeviceGetTemperature", &nvml->GetTemperature);
  symbols.Find("nvmlDeviceGetPowerUsage", &nvml->GetPowerUsage);
  symbols.Find("nvmlDeviceGetMigMode", &nvml->GetMigMode);
  symbols.Find("nvmlDeviceGetMaxMigDeviceCount", &nvml->GetMaxMigDeviceCount);
  symbols.Find("nvmlDeviceGetMigDeviceHandleByIndex", &nvml->GetMigDeviceHandleByIndex);
  if (!symbols.missing().empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "libnvidia-ml.so.1 has no ", symbols.missing(), ": the driver is older than release 450"));
  }
  if (const NvmlResult result = init(); result != kNvmlSuccess) {
    return absl::FailedPreconditionError(
        absl::StrCat("libnvidia-ml.so.1: nvmlInit: ", nvml->ErrorString(result)));
  }
  nvml->shutdown_ = shutdown;
  return nvml;
}

}  // namespace beamline::worker
