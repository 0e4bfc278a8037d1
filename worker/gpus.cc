#include "worker/gpus.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/units.h"

namespace beamline::worker {
namespace {

using Devices = google::protobuf::RepeatedPtrField<v1::Device>;

void ClearReadings(v1::Device& device) {
  device.clear_utilization();
  device.clear_temperature_celsius();
  device.clear_power_watts();
}

class SilentGpus : public GpuSource {
 public:
  explicit SilentGpus(std::vector<v1::Device> gpus) : GpuSource(std::move(gpus)) {}
  void Read(Devices&) override {}
};

// ---- Real ones ----

using Text = NvmlResult (*)(NvmlDevice device, char* text, unsigned length);

// Empty if the library does not tell.
std::string TextOf(Text function, NvmlDevice device) {
  char text[kNvmlTextBytes] = "";
  if (function(device, text, sizeof text) != kNvmlSuccess) return "";
  text[sizeof text - 1] = '\0';
  return text;
}

// What is told of a whole GPU and of a slice alike. FailedPrecondition: it does not answer.
absl::StatusOr<v1::Device> Describe(const Nvml& nvml, NvmlDevice handle, const std::string& id) {
  v1::Device device;
  device.set_id(id);
  device.set_kind(v1::DEVICE_KIND_CUDA);
  device.set_model(TextOf(nvml.GetName, handle));
  device.set_uuid(TextOf(nvml.GetUuid, handle));
  NvmlMemory memory{};
  const NvmlResult result = nvml.GetMemoryInfo(handle, &memory);
  if (result != kNvmlSuccess || device.uuid().empty()) {
    return absl::FailedPreconditionError(result == kNvmlSuccess ? "it has no UUID"
                                                                : nvml.ErrorString(result));
  }
  device.set_memory_bytes(static_cast<int64_t>(memory.total));
  return device;
}

class NvmlGpus : public GpuSource {
 public:
  using Handles = std::vector<NvmlDevice>;

  // `handles`: of `gpus`, in their order.
  NvmlGpus(std::unique_ptr<Nvml> nvml, std::vector<v1::Device> gpus, Handles handles)
      : GpuSource(std::move(gpus)), nvml_(std::move(nvml)), handles_(std::move(handles)) {}

  void Read(Devices& devices) override {
    for (v1::Device& device : devices) {
      for (size_t i = 0; i < handles_.size(); ++i) {
        if (gpus()[i].id() == device.id()) ReadOne(handles_[i], device);
      }
    }
  }

 private:
  void ReadOne(NvmlDevice handle, v1::Device& device) const {
    ClearReadings(device);
    NvmlUtilization utilization{};
    if (nvml_->GetUtilizationRates(handle, &utilization) == kNvmlSuccess) {
      device.set_utilization(utilization.gpu / 100.0);
    }
    unsigned value = 0;
    if (nvml_->GetTemperature(handle, kNvmlTemperatureOfTheGpu, &value) == kNvmlSuccess) {
      device.set_temperature_celsius(value);
    }
    if (nvml_->GetPowerUsage(handle, &value) == kNvmlSuccess) {
      device.set_power_watts(value / 1000.0);
    }
  }

  const std::unique_ptr<Nvml> nvml_;
  const Handles handles_;
};

// Finds what NvmlGpus then holds.
class Discovery {
 public:
  explicit Discovery(std::unique_ptr<Nvml> nvml) : nvml_(std::move(nvml)) {}

  absl::StatusOr<std::unique_ptr<GpuSource>> Run() {
    unsigned count = 0;
    if (const NvmlResult result = nvml_->GetCount(&count); result != kNvmlSuccess) {
      return absl::FailedPreconditionError(
          absl::StrCat("libnvidia-ml.so.1: nvmlDeviceGetCount: ", nvml_->ErrorString(result)));
    }
    for (unsigned i = 0; i < count; ++i) {
      const std::string id = absl::StrCat("gpu", i);
      NvmlDevice handle = nullptr;
      const NvmlResult result = nvml_->GetHandleByIndex(i, &handle);
      if (result != kNvmlSuccess) {
        log::Warning("%s is not offered: %s", id, nvml_->ErrorString(result));
        continue;
      }
      AddOne(handle, id);
    }
    return std::make_unique<NvmlGpus>(std::move(nvml_), std::move(gpus_), std::move(handles_));
  }

 private:
  void AddOne(NvmlDevice handle, const std::string& id) {
    // Not of a slice: the library tells it of whole GPUs only.
    std::string capability;
    int major = 0;
    int minor = 0;
    if (nvml_->GetCudaComputeCapability(handle, &major, &minor) == kNvmlSuccess) {
      capability = absl::StrCat(major, ".", minor);
    }
    unsigned current = 0;
    unsigned pending = 0;
    const bool sliced =
        nvml_->GetMigMode(handle, &current, &pending) == kNvmlSuccess && current == kNvmlMigEnabled;
    if (!sliced) return Add(handle, id, "", capability);
    unsigned most = 0;
    if (nvml_->GetMaxMigDeviceCount(handle, &most) != kNvmlSuccess) most = 0;
    for (unsigned i = 0; i < most; ++i) {
      NvmlDevice slice = nullptr;
      if (nvml_->GetMigDeviceHandleByIndex(handle, i, &slice) != kNvmlSuccess) continue;
      Add(slice, absl::StrCat(id, "/mig", i), TextOf(nvml_->GetName, handle) + " MIG", capability);
    }
  }

  // `model`: what it is called if the library does not tell.
  void Add(NvmlDevice handle, const std::string& id, const std::string& model,
           const std::string& capability) {
    absl::StatusOr<v1::Device> device = Describe(*nvml_, handle, id);
    if (!device.ok()) {
      log::Warning("%s is not offered: %s", id, std::string(device.status().message()));
      return;
    }
    if (device->model().empty()) device->set_model(model);
    device->set_compute_capability(capability);
    gpus_.push_back(*std::move(device));
    handles_.push_back(handle);
  }

  std::unique_ptr<Nvml> nvml_;
  std::vector<v1::Device> gpus_;
  NvmlGpus::Handles handles_;
};

// ---- Fake ones ----

// `prefix` and a number behind it: "gpu12".
bool IsNumbered(const std::string& text, const std::string& prefix) {
  uint32_t number = 0;
  return text.starts_with(prefix) && absl::SimpleAtoi(text.substr(prefix.size()), &number) &&
         number < 1000 && absl::StrCat(prefix, number) == text;
}

bool IsGpuId(const std::string& id) {
  const size_t slash = id.find('/');
  if (!IsNumbered(id.substr(0, slash), "gpu")) return false;
  return slash == id.npos || IsNumbered(id.substr(slash + 1), "mig");
}

absl::StatusOr<v1::Device> ParseFake(const std::string& entry) {
  const auto wrong = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("\"", entry.substr(0, 80), "\" ", what));
  };
  const std::vector<std::string> parts = absl::StrSplit(entry, ':');
  if (parts.size() != 3) return wrong("is not of the form ID:MODEL:MEMORY");
  if (!IsGpuId(parts[0])) return wrong("does not begin with an id such as gpu0 or gpu0/mig1");
  if (parts[1].empty()) return wrong("has no model");
  const std::optional<double> bytes = pipeline::ParseBytes(parts[2]);
  if (!bytes || !(*bytes >= 1 && *bytes <= 1e18)) return wrong("has no memory such as 80GiB");
  v1::Device device;
  device.set_id(parts[0]);
  device.set_kind(v1::DEVICE_KIND_CUDA);
  device.set_model(parts[1]);
  device.set_memory_bytes(static_cast<int64_t>(*bytes));
  device.set_uuid(absl::StrCat("FAKE-", parts[0]));
  return device;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GpuSource>> FindGpus(std::span<const char* const> libraries) {
  ASSIGN_OR_RETURN(std::unique_ptr<Nvml> nvml, OpenNvml(libraries));
  return Discovery(std::move(nvml)).Run();
}

absl::StatusOr<std::unique_ptr<GpuSource>> MakeFakeGpus(std::string_view text) {
  std::vector<v1::Device> gpus;
  std::set<std::string> ids;
  for (const absl::string_view entry : absl::StrSplit(A(text), ',')) {
    ASSIGN_OR_RETURN(v1::Device device, ParseFake(std::string(absl::StripAsciiWhitespace(entry))));
    if (!ids.insert(device.id()).second) {
      return absl::InvalidArgumentError(absl::StrCat(device.id(), " is listed twice"));
    }
    gpus.push_back(std::move(device));
  }
  return std::make_unique<SilentGpus>(std::move(gpus));
}

std::unique_ptr<GpuSource> NoGpus() {
  return std::make_unique<SilentGpus>(std::vector<v1::Device>());
}

}  // namespace beamline::worker
