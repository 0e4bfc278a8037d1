// The same as preemption_property_test, for as long as it takes to meet what is rare: 10 seeds, or
// as many as BEAMLINE_SEEDS says, with 100,000 events each, on all cores.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/scheduler/world.h"

namespace beamline::scheduler {
namespace {

constexpr int kEvents = 100'000;
// BEAMLINE_SEEDS: another number; 100 are ten million events.
uint64_t Seeds() {
  const char* const text = std::getenv("BEAMLINE_SEEDS");
  return text == nullptr ? 10 : std::strtoull(text, nullptr, 10);
}

void RunSeed(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  World world({1000 + seed, "", false});
  world.Run(kEvents);
  // Decisions after snapshots are the same; the checks are, too.
  if (seed % 4 == 0) {
    World restored({1000 + seed, "", true});
    restored.Run(kEvents);
    EXPECT_EQ(world.log_hash(), restored.log_hash());
    EXPECT_EQ(world.Snapshot(), restored.Snapshot());
  }
  world.HealAndFinish();
}

TEST(LongProperty, HoldsOverMillionsOfEvents) {
  const uint64_t seeds = Seeds();
  std::atomic<uint64_t> next = 0;
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&next, seeds] {
      for (uint64_t seed = next++; seed < seeds && !testing::Test::HasFailure(); seed = next++) {
        RunSeed(seed);
      }
    });
  }
}

}  // namespace
}  // namespace beamline::scheduler
