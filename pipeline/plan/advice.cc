#include "pipeline/plan/advice.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "pipeline/learners/registry.h"
#include "pipeline/units.h"

namespace beamline::pipeline {
namespace {

// Rounded up to whole MiB, so that what is asked for suffices.
std::string Mebibytes(int64_t bytes) {
  constexpr int64_t kMebibyte = int64_t{1} << 20;
  return BytesText(static_cast<double>((bytes + kMebibyte - 1) / kMebibyte * kMebibyte));
}

std::string Duration(double seconds) {
  if (seconds < 120) return absl::StrFormat("%.3g s", seconds);
  if (seconds < 7200) return absl::StrFormat("%.3g min", seconds / 60);
  if (seconds < 2 * 86400) return absl::StrFormat("%.3g h", seconds / 3600);
  return absl::StrFormat("%.3g days", seconds / 86400);
}

// Where they are is no error: it costs time.
void AdviseOnFeatures(const v1::Resources& resources, const TrainingEstimate& training,
                      StepPlan* plan) {
  const int64_t memory = resources.memory_bytes();
  const FeaturePlace place = training.PlaceOfFeatures(memory);
  if (place == FeaturePlace::kMemory || place == FeaturePlace::kFile) return;
  const int64_t bytes = training.FeatureBytes();
  plan->add_advice(absl::StrCat(PlaceText(place, bytes), ": resources.memory_bytes of \"",
                                Mebibytes(2 * bytes), "\" leaves them to the system's cache, of \"",
                                Mebibytes(4 * bytes), "\" holds them"));
}

}  // namespace

void AdviseOnWorkers(const v1::Resources& resources, const std::vector<v1::Worker>& workers,
                     StepPlan* plan) {
  if (workers.empty()) {
    plan->add_advice("no worker is at hand: start one (beamline-worker), the step waits till then");
    return;
  }
  double cpus = 0;
  int64_t memory_bytes = 0;
  bool gpu = false;
  for (const v1::Worker& worker : workers) {
    memory_bytes = std::max(memory_bytes, worker.memory_bytes());
    for (const v1::Device& device : worker.devices()) {
      cpus = std::max(cpus, device.cpus());
      gpu = gpu || device.kind() == v1::DEVICE_KIND_CUDA;
    }
  }
  std::vector<std::string> changes;
  if (resources.cpus() > cpus) {
    changes.push_back(
        absl::StrFormat("lower resources.cpus from %g to %g or less", resources.cpus(), cpus));
  }
  if (resources.memory_bytes() > memory_bytes) {
    changes.push_back(absl::StrCat("lower resources.memory_bytes to ",
                                   BytesText(static_cast<double>(memory_bytes >> 20 << 20)),
                                   " or less"));
  }
  if (resources.gpus() > 0 && !gpu) {
    changes.push_back("no worker at hand has a graphics processor: leave gpus and device out");
  }
  if (changes.empty()) {
    changes.push_back(
        "no worker at hand has all that resources (pool, image, gpu_memory_bytes) "
        "ask for: see beamline worker list");
  }
  for (const std::string& change : changes) plan->add_advice(change);
}

void AdviseOnMemory(const v1::Step& step, const v1::Resources& resources,
                    TrainingEstimate& training, StepPlan* plan) {
  AdviseOnFeatures(resources, training, plan);
  if (resources.device() == v1::DEVICE_KIND_CUDA) return;
  const int64_t has = resources.memory_bytes();
  const int64_t needs = training.DeviceBytes(DeviceClass::kCpu);
  if (needs <= has) return;
  const std::string field = LearnerField(step.train());
  const int64_t batch = training.FittingBatch(DeviceClass::kCpu, has);
  plan->add_advice(absl::StrCat("training needs ", Mebibytes(needs), ", but the step has ",
                                Mebibytes(has), ": set resources.memory_bytes to \"",
                                Mebibytes(needs), "\" or more"));
  if (batch > 0) {
    plan->add_advice(absl::StrCat("or set train.", field, ".batch_size to ", batch,
                                  ", which fits what the step has"));
  } else if (training.planned()) {
    plan->add_advice("or use smaller layers: no batch fits what the step has");
  }
}

void AdviseOnGpus(const std::map<std::string, DevicePlan>& devices, int64_t fitting_batch,
                  StepPlan* plan) {
  bool any = false;
  bool fits = false;
  for (const auto& [name, device] : devices) {
    if (name == "cpu") continue;
    any = true;
    fits = fits || device.fits();
  }
  if (!any || fits) return;
  plan->add_advice(
      "no graphics processor at hand has the memory: leave gpus and device out, so "
      "that processor cores train");
  if (fitting_batch > 0) {
    plan->add_advice(absl::StrCat("or use batches of ", fitting_batch, ", which fit the largest"));
  }
}

void AdviseOnTime(const v1::Step& step, StepPlan* plan) {
  constexpr double kPatience = 86400;
  const double seconds = plan->expected_seconds();
  if (step.timeout_seconds() > 0 && seconds > static_cast<double>(step.timeout_seconds())) {
    plan->add_advice(absl::StrCat("is expected to take ", Duration(seconds),
                                  ", but timeout_seconds ends it after ",
                                  Duration(static_cast<double>(step.timeout_seconds())),
                                  ": raise it, or train fewer epochs"));
  }
  if (seconds > kPatience && step.has_train()) {
    plan->add_advice(absl::StrCat("one training takes ", Duration(seconds),
                                  ": use more cpus or a graphics processor, fewer epochs, smaller "
                                  "layers, or a limit of the data"));
  }
}

}  // namespace beamline::pipeline
