// Random streams of events on a cluster with preemption; see World for what is drawn, ClusterModel
// for what is checked.
#include <gtest/gtest.h>

#include "tests/scheduler/world.h"

namespace beamline::scheduler {
namespace {

constexpr int kEvents = 1500;
constexpr int kSeeds = 8;

class PreemptionProperty : public testing::TestWithParam<int> {};

TEST_P(PreemptionProperty, HoldsOverRandomEvents) {
  int64_t preemptions = 0;
  int64_t gangs = 0;
  int64_t kept_promises = 0;
  int64_t restores = 0;
  for (int seed = GetParam() * kSeeds; seed < (GetParam() + 1) * kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto run = [&](const std::string& prefix, bool restored) {
      auto world =
          std::make_unique<World>(World::Config{static_cast<uint64_t>(seed), prefix, restored});
      world->Run(kEvents);
      return world;
    };
    const auto world = run("", false);
    if (HasFailure()) return;
    const auto restored = run("", true);
    EXPECT_EQ(world->log_hash(), restored->log_hash())
        << "after a snapshot the same events gave other decisions";
    EXPECT_EQ(world->Snapshot(), restored->Snapshot());
    EXPECT_EQ(world->log_hash(), run("zz/", false)->log_hash())
        << "the same events under other names gave other decisions";
    world->HealAndFinish();
    preemptions += world->model().preemptions();
    gangs += world->model().gangs();
    kept_promises += world->model().kept_promises();
    restores += restored->restores();
  }
  EXPECT_GT(preemptions, 50) << "the stream tests nothing";
  EXPECT_GT(gangs, 20);
  EXPECT_GT(kept_promises, 20);
  EXPECT_GT(restores, 20);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PreemptionProperty, testing::Range(0, 4));

TEST(Snapshot, DamagedBytesAreRefused) {
  World world({7, "", false});
  world.Run(300);
  const std::string snapshot = world.Snapshot();
  EXPECT_NE(Scheduler::Restore({}, snapshot), nullptr);
  EXPECT_EQ(Scheduler::Restore({}, ""), nullptr);
  EXPECT_EQ(Scheduler::Restore({}, snapshot.substr(0, snapshot.size() / 2)), nullptr);
  for (size_t at = 0; at < snapshot.size(); at += 97) {
    std::string damaged = snapshot;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_EQ(Scheduler::Restore({}, damaged), nullptr) << "byte " << at;
  }
}

}  // namespace
}  // namespace beamline::scheduler
