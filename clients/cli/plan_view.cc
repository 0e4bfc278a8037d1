#include "clients/cli/plan_view.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "clients/cli/format.h"
#include "clients/cli/table.h"

namespace beamline::cli {
namespace {

using StepPlan = v1::PlanPipelineResponse::StepPlan;
using DevicePlan = v1::PlanPipelineResponse::DevicePlan;

std::string Count(double count) { return count == 0 ? "-" : HumanCount(count); }
std::string Bytes(int64_t bytes) { return bytes == 0 ? "-" : HumanBytes(bytes); }
std::string Seconds(double seconds) { return HumanDuration(absl::Seconds(seconds)); }

std::string Steps(const v1::PlanPipelineResponse& plan) {
  Table table({{"STEP"},
               {"TASKS", Table::Align::kRight},
               {"EXAMPLES", Table::Align::kRight},
               {"BATCH", Table::Align::kRight},
               {"STEPS", Table::Align::kRight},
               {"PARAMETERS", Table::Align::kRight},
               {"FLOP/STEP", Table::Align::kRight},
               {"NEEDS", Table::Align::kRight},
               {"HAS", Table::Align::kRight},
               {"WORKERS", Table::Align::kRight},
               {"TIME", Table::Align::kRight}});
  for (const StepPlan& step : plan.steps()) {
    table.Add({step.step(), absl::StrCat(step.tasks()), Count(static_cast<double>(step.examples())),
               step.batch_size() > 0 ? absl::StrCat(step.batch_size()) : "-",
               Count(static_cast<double>(step.optimizer_steps())),
               Count(static_cast<double>(step.parameters())), Count(step.flops_per_step()),
               Bytes(step.peak_memory_bytes()), Bytes(step.memory_bytes()),
               absl::StrCat(step.fitting_workers()),
               step.has_expected_seconds() ? Seconds(step.expected_seconds()) : "?"});
  }
  return table.Render();
}

std::string Devices(const v1::PlanPipelineResponse& plan) {
  Table table({{"STEP"},
               {"DEVICE"},
               {"ON IT", Table::Align::kRight},
               {"MAIN MEMORY", Table::Align::kRight},
               {"FITS"},
               {"TIME", Table::Align::kRight}});
  for (const StepPlan& step : plan.steps()) {
    for (const DevicePlan& device : step.devices()) {
      table.Add({step.step(), device.device(), Bytes(device.device_memory_bytes()),
                 Bytes(device.memory_bytes()), device.fits() ? "yes" : "no",
                 device.has_expected_seconds() ? Seconds(device.expected_seconds()) : "?"});
    }
  }
  return table.empty() ? "" : absl::StrCat("\n", table.Render());
}

}  // namespace

std::string PlanText(const v1::PlanPipelineResponse& plan) {
  std::string text = absl::StrCat(Steps(plan), Devices(plan), "\n");
  for (const StepPlan& step : plan.steps()) {
    if (step.basis().empty()) continue;
    absl::StrAppend(&text, Printable(step.step()),
                    step.has_expected_seconds() ? ": time by " : ": time not known: ",
                    Printable(step.basis()), "\n");
  }
  for (const StepPlan& step : plan.steps()) {
    for (const std::string& advice : step.advice()) {
      absl::StrAppend(&text, "! ", Printable(step.step()), ": ", Printable(advice), "\n");
    }
  }
  absl::StrAppend(&text, "the whole run: ",
                  plan.has_expected_seconds()
                      ? absl::StrCat("about ", Seconds(plan.expected_seconds()),
                                     " if it has the workers to itself")
                      : "how long it takes is not known",
                  "\n");
  return text;
}

}  // namespace beamline::cli
