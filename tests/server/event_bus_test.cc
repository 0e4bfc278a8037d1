// What watchers are told when they are ended, and by whom.
#include "server/event_bus.h"

#include "tests/server/harness.h"

namespace beamline::server {
namespace {

class EventBusTest : public ServerTest {
 protected:
  // A watcher of a run that waits for a worker, with no events to give so far.
  std::shared_ptr<RunWatcher> Waiting() {
    const auto run = CreateRun();
    EXPECT_TRUE(run.ok()) << run.status();
    v1::WatchRunRequest request;
    request.set_name(run->name());
    request.set_after_sequence(GetRun(run->name()).last_sequence());
    const auto watcher = server_->runs().WatchRun(User("ada"), request);
    EXPECT_TRUE(watcher.ok()) << watcher.status();
    return *watcher;
  }
};

TEST_F(EventBusTest, AStoppingServerEndsThoseWhoWaitAndThoseWhoComeWithUnavailable) {
  const std::shared_ptr<RunWatcher> waits = Waiting();
  const std::shared_ptr<RunWatcher> comes = Waiting();
  Answer<std::vector<v1::Event>> waiting;
  waits->Next(waiting.Take());
  EXPECT_FALSE(waiting.Ready());
  server_->Shutdown();
  EXPECT_TRUE(absl::IsUnavailable(waiting.Wait().status())) << waiting.Wait().status();
  for (const auto& watcher : {waits, comes}) {
    Answer<std::vector<v1::Event>> later;
    watcher->Next(later.Take());
    EXPECT_TRUE(absl::IsUnavailable(later.Wait().status())) << later.Wait().status();
  }
}

TEST_F(EventBusTest, AStoppedBusRefusesNewWatchersWithUnavailable) {
  v1::WatchRunRequest request;
  request.set_name(CreateRun()->name());
  server_->Shutdown();
  const auto watcher = server_->runs().WatchRun(User("ada"), request);
  ASSERT_TRUE(watcher.ok()) << watcher.status();
  Answer<std::vector<v1::Event>> next;
  (*watcher)->Next(next.Take());
  EXPECT_TRUE(absl::IsUnavailable(next.Wait().status())) << next.Wait().status();
}

TEST_F(EventBusTest, WhatEndedAWatcherFirstCounts) {
  const std::shared_ptr<RunWatcher> left = Waiting();
  Answer<std::vector<v1::Event>> waiting;
  left->Next(waiting.Take());
  left->Cancel();
  EXPECT_TRUE(absl::IsCancelled(waiting.Wait().status())) << waiting.Wait().status();
  server_->Shutdown();
  Answer<std::vector<v1::Event>> later;
  left->Next(later.Take());
  EXPECT_TRUE(absl::IsCancelled(later.Wait().status())) << later.Wait().status();
}

}  // namespace
}  // namespace beamline::server
