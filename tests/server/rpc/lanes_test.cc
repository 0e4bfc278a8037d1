#include "server/rpc/lanes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace beamline::server::rpc {
namespace {

using ::testing::ElementsAre;

class LanesTest : public ::testing::Test {
 protected:
  // Calls that wait run on one thread, one after the other: their order is certain.
  void Make(int max_running, int of_one, size_t waiting = 1000) {
    lanes_.emplace(Lanes::Options{.max_running = max_running,
                                  .max_running_of_one = of_one,
                                  .max_waiting_of_one = waiting,
                                  .threads = 1});
  }
  absl::Status Enter(const std::string& lane, const std::string& name) {
    return lanes_->Enter(lane, [this, name](bool waited) {
      const std::lock_guard lock(mutex_);
      ran_.push_back(name);
      if (waited) waited_.push_back(name);
      changed_.notify_all();
    });
  }
  // What has run, as soon as that is so many.
  std::vector<std::string> Ran(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return ran_.size() >= count; });
    return ran_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> ran_;
  std::vector<std::string> waited_;
  // Last: its thread uses the above.
  std::optional<Lanes> lanes_;
};

TEST_F(LanesTest, RunsAtOnceWhatHasRoom) {
  Make(2, 2);
  ASSERT_TRUE(Enter("a", "a1").ok());
  EXPECT_THAT(ran_, ElementsAre("a1"));
}

TEST_F(LanesTest, OneLaneWaitsForItselfAlone) {
  Make(8, 1);
  ASSERT_TRUE(Enter("a", "a1").ok());
  ASSERT_TRUE(Enter("a", "a2").ok());
  ASSERT_TRUE(Enter("a", "a3").ok());
  ASSERT_TRUE(Enter("b", "b1").ok());
  EXPECT_THAT(Ran(2), ElementsAre("a1", "b1"));
  lanes_->Leave("a");
  EXPECT_THAT(Ran(3), ElementsAre("a1", "b1", "a2"));
  lanes_->Leave("a");
  EXPECT_THAT(Ran(4), ElementsAre("a1", "b1", "a2", "a3"));
  EXPECT_THAT(waited_, ElementsAre("a2", "a3"));
}

TEST_F(LanesTest, LanesTakeTurns) {
  Make(1, 1);
  for (const char* call : {"a1", "a2", "a3"}) ASSERT_TRUE(Enter("a", call).ok());
  for (const char* call : {"b1", "b2"}) ASSERT_TRUE(Enter("b", call).ok());
  EXPECT_THAT(ran_, ElementsAre("a1"));
  lanes_->Leave("a");
  EXPECT_THAT(Ran(2), ElementsAre("a1", "a2"));
  lanes_->Leave("a");
  EXPECT_THAT(Ran(3), ElementsAre("a1", "a2", "b1"));
  lanes_->Leave("b");
  EXPECT_THAT(Ran(4), ElementsAre("a1", "a2", "b1", "a3"));
  lanes_->Leave("a");
  EXPECT_THAT(Ran(5), ElementsAre("a1", "a2", "b1", "a3", "b2"));
}

TEST_F(LanesTest, NobodyPassesWhoWaitsInHisLane) {
  Make(1, 1);
  ASSERT_TRUE(Enter("a", "a1").ok());
  ASSERT_TRUE(Enter("b", "b1").ok());
  ASSERT_TRUE(Enter("b", "b2").ok());
  lanes_->Leave("a");
  EXPECT_THAT(Ran(2), ElementsAre("a1", "b1"));
  lanes_->Leave("b");
  EXPECT_THAT(Ran(3), ElementsAre("a1", "b1", "b2"));
  lanes_->Leave("b");
  // All have left: the next one runs at once, on this thread.
  ASSERT_TRUE(Enter("b", "b3").ok());
  EXPECT_THAT(ran_, ElementsAre("a1", "b1", "b2", "b3"));
}

TEST_F(LanesTest, RefusesWhatIsTooMuchAndSaysWhenToComeAgain) {
  Make(8, 1, 2);
  ASSERT_TRUE(Enter("a", "a1").ok());
  ASSERT_TRUE(Enter("a", "a2").ok());
  ASSERT_TRUE(Enter("a", "a3").ok());
  const absl::Status refused = Enter("a", "a4");
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_TRUE(refused.GetPayload("type.googleapis.com/google.rpc.RetryInfo").has_value());
  ASSERT_TRUE(Enter("b", "b1").ok());
  for (int i = 0; i < 3; ++i) {
    Ran(static_cast<size_t>(i) + 2);
    lanes_->Leave("a");
  }
  EXPECT_THAT(Ran(4), ElementsAre("a1", "b1", "a2", "a3"));
}

TEST_F(LanesTest, AllRunHoweverManyThreadsCome) {
  Make(4, 2);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, lane = std::string(1, static_cast<char>('a' + thread % 3))] {
      for (int i = 0; i < 200; ++i) {
        const absl::Status entered = lanes_->Enter(lane, [this, lane](bool) {
          {
            const std::lock_guard lock(mutex_);
            ran_.push_back(lane);
            changed_.notify_all();
          }
          lanes_->Leave(lane);
        });
        EXPECT_TRUE(entered.ok()) << entered;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Ran(800).size(), 800U);
}

}  // namespace
}  // namespace beamline::server::rpc
