// The simulated world: one thread, one clock, one source of randomness. The same seed gives the
// same events in the same order, to the last one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"

namespace beamline::sim {

// What may go wrong, and how often. A world has some of these faults and not others, each as strong
// as its seed says, so that every mixture comes up (swarm testing: Groce et al. 2012).
struct Faults {
  // Of one message between two processes.
  double lose = 0;
  double duplicate = 0;
  // Delays are drawn up to this. Unit: milliseconds.
  int64_t max_delay_ms = 5;
  // Mean time from one to the next; 0: never. Unit: milliseconds.
  int64_t kill_server_ms = 0;
  int64_t lose_power_ms = 0;
  int64_t stall_server_ms = 0;
  int64_t kill_worker_ms = 0;
  int64_t stall_worker_ms = 0;
  int64_t drain_worker_ms = 0;
  int64_t crash_task_ms = 0;
  int64_t cut_network_ms = 0;
  int64_t fill_disk_ms = 0;
  int64_t break_disk_ms = 0;
  int64_t slow_disk_ms = 0;
  int64_t jump_clock_ms = 0;
};

// Kinds of faults that were really done, to count them.
enum class Fault {
  kMessageLost,
  kMessageDuplicated,
  kMessageDelayed,
  kServerKilled,
  kPowerLost,
  kServerStalled,
  kWorkerKilled,
  kWorkerStalled,
  kWorkerDrained,
  kTaskCrashed,
  kNetworkCut,
  kDiskFull,
  kDiskBroken,
  kDiskSlow,
  kWriteLost,
  kWriteTorn,
  kClockJumped,
  kCount,
};
std::string_view NameOf(Fault fault);

class World : public Clock {
 public:
  explicit World(uint64_t seed);

  // ---- Time ----
  absl::Time Now() const override;
  int64_t MonotonicMillis() const override { return now_ms_; }
  // Something takes so long that nothing else happens meanwhile.
  void Pass(int64_t millis) { now_ms_ += millis; }
  // The wall clock, not the monotonic one, is set forward or back.
  void JumpWallClock(int64_t millis) { wall_offset_ms_ += millis; }

  // ---- Order ----
  using Task = absl::AnyInvocable<void()>;
  // Runs `task` when `delay_ms` have gone by, after what was put there before.
  void After(int64_t delay_ms, Task task);
  // Runs the next task. False: there is none.
  bool RunNext();

  // ---- Chance ----
  uint64_t Draw();
  // From 0 to `count` - 1.
  uint64_t Below(uint64_t count) { return count == 0 ? 0 : Draw() % count; }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low + 1)));
  }
  bool Chance(double probability);
  // Exponential with this mean.
  int64_t Wait(int64_t mean_ms);

  // ---- Faults ----
  const Faults& faults() const { return faults_; }
  void SetFaults(const Faults& faults) { faults_ = faults; }
  // From now on nothing goes wrong any more.
  void Heal();
  bool healed() const { return healed_; }
  void Count(Fault fault) { ++counts_[static_cast<size_t>(fault)]; }
  const std::array<int64_t, static_cast<size_t>(Fault::kCount)>& counts() const { return counts_; }

  // ---- What happened ----
  // Notes something for the trace, and for its hash: two worlds of one seed have the same.
  void Note(std::string_view what);
  uint64_t trace_hash() const { return trace_hash_; }
  void PrintTrace() { print_ = true; }
  // A guarantee does not hold. The first one ends the world.
  void Fail(std::string_view checker, const std::string& what);
  const std::string& failure() const { return failure_; }

 private:
  int64_t now_ms_ = 1'000;
  int64_t wall_offset_ms_ = 0;
  uint64_t state_;
  uint64_t posted_ = 0;
  std::map<std::pair<int64_t, uint64_t>, Task> tasks_;
  Faults faults_;
  bool healed_ = false;
  std::array<int64_t, static_cast<size_t>(Fault::kCount)> counts_ = {};
  uint64_t trace_hash_ = 14695981039346656037ULL;
  bool print_ = false;
  std::string failure_;
};

// A mixture of faults.
Faults DrawFaults(World& world);

}  // namespace beamline::sim
