#include "server/quota.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/errors.h"
#include "store/datasets.h"
#include "store/identity.h"

namespace beamline::server {
namespace {

constexpr int64_t kDefaultWeightMilli = 1000;

int64_t CpuMillis(double cpus) { return static_cast<int64_t>(std::ceil(cpus * 1000)); }

// Of a bound of a quota: zero means none.
int64_t Cap(int64_t most) { return most > 0 ? most : -1; }

// Space comes back when somebody deletes something: not soon.
constexpr int64_t kRetryMs = 3'600'000;

}  // namespace

absl::Status CheckStorage(const store::View& view, std::string_view project, int64_t more_bytes,
                          const Limits& limits) {
  ASSIGN_OR_RETURN(const v1::Project stored, store::GetProject(view, project));
  const int64_t quota = stored.quota().max_storage_bytes();
  const int64_t most = quota > 0 ? quota : limits.max_storage_bytes;
  ASSIGN_OR_RETURN(const int64_t used, store::StorageBytes(view, project));
  if (used <= most && more_bytes <= most - used) return absl::OkStatus();
  return Overloaded(absl::StrCat("the project keeps ", used, " of at most ", most,
                                 " bytes: delete datasets or models, or ask an operator for a "
                                 "larger max_storage_bytes"),
                    kRetryMs);
}

scheduler::QuotaChanged QuotaEvent(const v1::Project& project) {
  const v1::Quota& quota = project.quota();
  scheduler::QuotaChanged event;
  event.project = scheduler::ProjectId(std::string(store::IdOf(project.name())));
  event.weight_millis = quota.weight_milli() > 0 ? quota.weight_milli() : kDefaultWeightMilli;
  event.guaranteed_cpu_millis = CpuMillis(quota.guaranteed_cpus());
  event.guaranteed_memory_bytes = quota.guaranteed_memory_bytes();
  event.guaranteed_devices = quota.guaranteed_gpus();
  event.max_cpu_millis = Cap(CpuMillis(quota.max_cpus()));
  event.max_memory_bytes = Cap(quota.max_memory_bytes());
  event.max_devices = Cap(quota.max_gpus());
  return event;
}

absl::Status RestoreQuotas(Transaction& transaction) {
  constexpr int64_t kPage = 1000;
  std::string after;
  while (true) {
    ASSIGN_OR_RETURN(const auto projects,
                     store::ListProjects(transaction.store(), "", after, kPage));
    for (const v1::Project& project : projects) {
      // Those that the scheduler knows nothing of have the defaults.
      if (project.has_quota()) transaction.Schedule(QuotaEvent(project));
    }
    if (static_cast<int64_t>(projects.size()) < kPage) return absl::OkStatus();
    after = store::IdOf(projects.back().name());
  }
}

}  // namespace beamline::server
