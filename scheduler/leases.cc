#include "scheduler/leases.h"

namespace beamline::scheduler {

void Leases::Extend(Worker& worker, int64_t until_ms) {
  workers_.erase(&worker);
  worker.lease_until_ms = until_ms;
  workers_.insert(&worker);
}

void Leases::Drop(Worker& worker) { workers_.erase(&worker); }

Worker* Leases::Expired(int64_t now_ms) const {
  if (workers_.empty() || (*workers_.begin())->lease_until_ms >= now_ms) return nullptr;
  return *workers_.begin();
}

int64_t Leases::NextMs() const {
  return workers_.empty() ? 0 : (*workers_.begin())->lease_until_ms + 1;
}

Task* BackOff::Due(int64_t now_ms) const {
  if (tasks_.empty() || (*tasks_.begin())->spec.not_before_ms > now_ms) return nullptr;
  return *tasks_.begin();
}

int64_t BackOff::NextMs() const {
  return tasks_.empty() ? 0 : (*tasks_.begin())->spec.not_before_ms;
}

}  // namespace beamline::scheduler
