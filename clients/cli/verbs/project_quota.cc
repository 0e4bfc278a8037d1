// What a project may hold: for operators.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/rpc.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

// "2", "1.5": not negative.
absl::StatusOr<double> ParseAmount(const std::string& flag, const std::string& text) {
  double value = 0;
  if (absl::SimpleAtod(text, &value) && value >= 0 && std::isfinite(value)) return value;
  return UsageError(
      absl::StrFormat("--%s is a number that is not negative, not \"%s\"", flag, text));
}

// The same, whole.
absl::StatusOr<double> ParseCount(const std::string& flag, const std::string& text) {
  ASSIGN_OR_RETURN(const double value, ParseAmount(flag, text));
  constexpr double kMost = 1e6;
  if (value == std::floor(value) && value <= kMost) return value;
  return UsageError(
      absl::StrFormat("--%s is a whole number up to a million, not \"%s\"", flag, text));
}

// "20 GiB", "512MiB", "1000".
absl::StatusOr<double> ParseSize(const std::string& flag, const std::string& text) {
  const size_t end = text.find_first_not_of("0123456789.");
  const std::string unit(
      absl::StripAsciiWhitespace(end == std::string::npos ? "" : text.substr(end)));
  static const std::pair<const char*, double> kUnits[] = {
      {"", 1}, {"B", 1}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  for (const auto& [name, factor] : kUnits) {
    if (unit != name) continue;
    ASSIGN_OR_RETURN(const double value, ParseAmount(flag, text.substr(0, end)));
    return value * factor;
  }
  return UsageError(
      absl::StrFormat("--%s is a size such as 20GiB or 512MiB, not \"%s\"", flag, text));
}

// One flag and the field of the quota that it sets.
struct Bound {
  const char* flag;
  const char* field;
  absl::StatusOr<double> (*parse)(const std::string& flag, const std::string& text);
  void (*set)(v1::Quota& quota, double value);
  const char* value;
  const char* help;
};

const std::vector<Bound>& Bounds() {
  static const std::vector<Bound> kBounds = {
      {"weight", "weight_milli", ParseAmount,
       [](v1::Quota& quota, double value) {
         quota.set_weight_milli(static_cast<int64_t>(std::llround(value * 1000)));
       },
       "W", "Share relative to other projects (default 1)"},
      {"max-cores", "max_cpus", ParseAmount,
       [](v1::Quota& quota, double value) { quota.set_max_cpus(value); }, "N",
       "Cores that its tasks may hold together; 0: any number"},
      {"max-memory", "max_memory_bytes", ParseSize,
       [](v1::Quota& quota, double value) {
         quota.set_max_memory_bytes(static_cast<int64_t>(value));
       },
       "SIZE", "Main memory, such as 64GiB; 0: any"},
      {"max-gpus", "max_gpus", ParseCount,
       [](v1::Quota& quota, double value) { quota.set_max_gpus(static_cast<int32_t>(value)); }, "N",
       "GPUs; 0: any number"},
      {"guaranteed-cores", "guaranteed_cpus", ParseAmount,
       [](v1::Quota& quota, double value) { quota.set_guaranteed_cpus(value); }, "N",
       "Cores that it gets before the others get their shares"},
      {"guaranteed-memory", "guaranteed_memory_bytes", ParseSize,
       [](v1::Quota& quota, double value) {
         quota.set_guaranteed_memory_bytes(static_cast<int64_t>(value));
       },
       "SIZE", "Main memory likewise"},
      {"guaranteed-gpus", "guaranteed_gpus", ParseCount,
       [](v1::Quota& quota, double value) {
         quota.set_guaranteed_gpus(static_cast<int32_t>(value));
       },
       "N", "GPUs likewise"},
      {"max-queued-runs", "max_queued_runs", ParseCount,
       [](v1::Quota& quota, double value) {
         quota.set_max_queued_runs(static_cast<int32_t>(value));
       },
       "N", "Runs that may wait; 0: the server's default"},
      {"max-storage", "max_storage_bytes", ParseSize,
       [](v1::Quota& quota, double value) {
         quota.set_max_storage_bytes(static_cast<int64_t>(value));
       },
       "SIZE", "What it may keep; 0: the server's default"},
  };
  return kBounds;
}

absl::StatusOr<ExitCode> SetQuota(Invocation& invocation) {
  v1::UpdateProjectRequest request;
  const std::string text = invocation.args().Positional(0);
  request.mutable_project()->set_name(text.starts_with("projects/") ? text : "projects/" + text);
  for (const Bound& bound : Bounds()) {
    if (!invocation.args().Has(bound.flag)) continue;
    ASSIGN_OR_RETURN(const double value,
                     bound.parse(bound.flag, invocation.args().Get(bound.flag)));
    constexpr double kMost = 1e15;
    if (value > kMost) return UsageError(absl::StrFormat("--%s is too large", bound.flag));
    bound.set(*request.mutable_project()->mutable_quota(), value);
    request.mutable_update_mask()->add_paths(absl::StrCat("quota.", bound.field));
  }
  if (request.update_mask().paths().empty()) {
    return UsageError("nothing is to be changed: give one of the flags, see --help");
  }
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::Project project, invocation.Call(kUpdateProject, request));
  if (invocation.json()) {
    invocation.PrintJson(project);
  } else {
    invocation.Note(
        absl::StrFormat("see it: beamline project show %s\n", LastPart(project.name())));
  }
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> ProjectQuotaCommands() {
  std::vector<Flag> flags;
  for (const Bound& bound : Bounds()) flags.push_back({bound.flag, bound.value, bound.help});
  return {
      {.path = "project quota",
       .summary = "Change what a project may hold and is owed (operators)",
       .positionals = {{.name = "PROJECT"}},
       .flags = std::move(flags),
       .details = "What is not named stays as it is. Tasks that run are not stopped by a smaller "
                  "quota.",
       .run = SetQuota},
  };
}

}  // namespace beamline::cli
