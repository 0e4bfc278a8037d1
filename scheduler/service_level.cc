#include "scheduler/service_level.h"

#include <algorithm>
#include <limits>

namespace beamline::scheduler {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 4;
__extension__ typedef __int128 Wide;

// The attained service at which `level` ends.
int64_t EndOf(const Options& options, int32_t level) {
  const Wide end =
      static_cast<Wide>(options.level_hours[static_cast<size_t>(level)]) * 1000 * 3'600'000;
  return static_cast<int64_t>(std::min<Wide>(end, kMost));
}

}  // namespace

int32_t LevelOf(const Options& options, int64_t attained) {
  int32_t level = 0;
  while (level < kLevels - 1 && attained >= EndOf(options, level)) ++level;
  return level;
}

int32_t RankOf(const Options& options, const Task& task) {
  const Wide all =
      static_cast<Wide>(task.spec.predicted_ms) * ServiceRate(GangAmounts(task.spec.demand));
  const Wide left = std::min<Wide>(all - task.attained, kMost);
  return left <= 0 ? task.level : LevelOf(options, static_cast<int64_t>(left));
}

int64_t AttainedBy(const Task& task, int64_t now_ms) {
  if (task.serves_since_ms == 0) return task.attained;
  const Wide more =
      static_cast<Wide>(task.rate) * std::max<int64_t>(now_ms - task.serves_since_ms, 0);
  return static_cast<int64_t>(std::min<Wide>(task.attained + more, kMost));
}

void Crossings::Begin(const Options& options, Task& task, int64_t now_ms) {
  if (task.serves_since_ms != 0) return;
  task.serves_since_ms = std::max<int64_t>(now_ms, 1);
  task.rate = ServiceRate(task.held);
  Arm(options, task);
}

void Crossings::End(Task& task, int64_t now_ms, bool keep) {
  tasks_.erase(&task);
  if (keep) task.attained = AttainedBy(task, now_ms);
  task.serves_since_ms = 0;
  task.crosses_ms = 0;
}

void Crossings::Advance(const Options& options, Task& task) {
  tasks_.erase(&task);
  ++task.level;
  task.entered_ms = task.crosses_ms;
  task.rank = RankOf(options, task);
  Arm(options, task);
}

void Crossings::Arm(const Options& options, Task& task) {
  task.crosses_ms = 0;
  if (task.level >= kLevels - 1 || task.rate <= 0) return;
  const int64_t missing = std::max<int64_t>(EndOf(options, task.level) - task.attained, 0);
  task.crosses_ms = task.serves_since_ms + (missing + task.rate - 1) / task.rate;
  tasks_.insert(&task);
}

Task* Crossings::Due(int64_t now_ms) const {
  if (tasks_.empty() || (*tasks_.begin())->crosses_ms > now_ms) return nullptr;
  return *tasks_.begin();
}

}  // namespace beamline::scheduler
