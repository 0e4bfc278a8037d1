#include "tests/sim/world.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace beamline::sim {

std::string_view NameOf(Fault fault) {
  static constexpr std::array<std::string_view, static_cast<size_t>(Fault::kCount)> kNames = {
      "message lost",   "message duplicated", "message delayed", "server killed",  "power lost",
      "server stalled", "worker killed",      "worker stalled",  "worker drained", "task crashed",
      "network cut",    "disk full",          "disk broken",     "disk slow",      "write lost",
      "write torn",     "clock jumped"};
  return kNames[static_cast<size_t>(fault)];
}

World::World(uint64_t seed) : state_(seed) {}

absl::Time World::Now() const {
  return absl::FromUnixMillis(1'800'000'000'000 + now_ms_ + wall_offset_ms_);
}

void World::After(int64_t delay_ms, Task task) {
  tasks_.emplace(std::pair(now_ms_ + std::max<int64_t>(delay_ms, 0), ++posted_), std::move(task));
}

bool World::RunNext() {
  if (tasks_.empty()) return false;
  auto next = tasks_.extract(tasks_.begin());
  now_ms_ = std::max(now_ms_, next.key().first);
  next.mapped()();
  return true;
}

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
uint64_t World::Draw() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

bool World::Chance(double probability) {
  // Draws at any rate: what is drawn later does not depend on whether a fault is on.
  return static_cast<double>(Draw() >> 11) * 0x1.0p-53 < probability;
}

int64_t World::Wait(int64_t mean_ms) {
  const double uniform = (static_cast<double>(Draw() >> 11) + 0.5) * 0x1.0p-53;
  return 1 + static_cast<int64_t>(-std::log(uniform) * static_cast<double>(mean_ms));
}

void World::Heal() {
  healed_ = true;
  faults_ = Faults();
}

void World::Note(std::string_view what) {
  const auto add = [this](unsigned char byte) {
    trace_hash_ = (trace_hash_ ^ byte) * 1099511628211ULL;
  };
  for (int shift = 0; shift < 64; shift += 8) add(static_cast<unsigned char>(now_ms_ >> shift));
  for (const char c : what) add(static_cast<unsigned char>(c));
  if (print_) {
    std::fprintf(stderr, "%10.3f  %.*s\n", static_cast<double>(now_ms_) / 1000,
                 static_cast<int>(what.size()), what.data());
  }
}

void World::Fail(std::string_view checker, const std::string& what) {
  if (!failure_.empty()) return;
  failure_ = std::string(checker) + ": " + what;
  Note("FAILED " + failure_);
}

Faults DrawFaults(World& world) {
  Faults faults;
  // Each fault is there in half of the worlds, at a rate between the two bounds.
  const auto rate = [&world](int64_t fast_ms, int64_t slow_ms) {
    const int64_t mean =
        fast_ms << world.Below(1 + static_cast<uint64_t>(std::log2(static_cast<double>(slow_ms) /
                                                                   static_cast<double>(fast_ms))));
    return world.Chance(0.5) ? mean : 0;
  };
  const auto part = [&world](double most) {
    const double drawn = most * static_cast<double>(1 + world.Below(100)) / 100;
    return world.Chance(0.5) ? drawn : 0.0;
  };
  faults.lose = part(0.1);
  faults.duplicate = part(0.1);
  faults.max_delay_ms = int64_t{1} << world.Below(12);
  faults.kill_server_ms = rate(4'000, 128'000);
  faults.lose_power_ms = rate(4'000, 128'000);
  faults.stall_server_ms = rate(8'000, 64'000);
  faults.kill_worker_ms = rate(4'000, 64'000);
  faults.stall_worker_ms = rate(4'000, 64'000);
  faults.drain_worker_ms = rate(16'000, 64'000);
  faults.crash_task_ms = rate(64'000, 256'000);
  faults.cut_network_ms = rate(8'000, 64'000);
  faults.fill_disk_ms = rate(16'000, 128'000);
  faults.break_disk_ms = rate(16'000, 128'000);
  faults.slow_disk_ms = rate(8'000, 64'000);
  faults.jump_clock_ms = rate(8'000, 64'000);
  return faults;
}

}  // namespace beamline::sim
