#include "server/coordinator.h"

#include <atomic>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/status_macros.h"
#include "store/identity.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

class CoordinatorTest : public ::testing::Test {
 protected:
  CoordinatorTest() {
    auto opened = store::Store::Open(folder_.path() + "/beamline.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  void Make(Coordinator::Options options = {}) {
    coordinator_ = std::make_unique<Coordinator>(
        *store_, bus_, clock_,
        [](Transaction&, const scheduler::Action&) { return absl::OkStatus(); },
        std::move(options));
  }
  void Start() {
    ASSERT_TRUE(coordinator_->Start([](Transaction&) { return absl::OkStatus(); }).ok());
  }
  void Insert(const std::string& user, Done<int> done) {
    coordinator_->Call<int>(
        [user](Transaction& tx) -> absl::StatusOr<int> {
          RETURN_IF_ERROR(store::InsertUser(tx.store(), user, false, tx.now()));
          return 1;
        },
        std::move(done));
  }
  bool Has(const std::string& user) {
    const auto reader = store_->Read();
    return store::GetUser(*reader, user).ok();
  }

  TemporaryDirectory folder_;
  FakeClock clock_;
  EventBus bus_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorTest, WhatIsAnsweredIsDurableAndFailuresStandAlone) {
  Make();
  Start();
  std::vector<Answer<int>> answers(50);
  std::vector<Answer<int>> refused(50);
  for (int i = 0; i < 50; ++i) {
    Insert(absl::StrCat("u", i), [this, i, done = answers[i].Take()](auto answer) mutable {
      EXPECT_TRUE(Has(absl::StrCat("u", i))) << "answered before it was durable";
      done(std::move(answer));
    });
    Insert(absl::StrCat("u", i), refused[i].Take());
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(answers[i].Wait().ok());
    EXPECT_TRUE(absl::IsAlreadyExists(refused[i].Wait().status()));
  }
}

TEST_F(CoordinatorTest, ThoseThatArriveTogetherShareABatch) {
  Make();
  Start();
  // While the first command is held, the others gather.
  std::mutex gate;
  gate.lock();
  Answer<int> first;
  std::atomic<bool> entered = false;
  coordinator_->Call<int>(
      [&](Transaction&) -> absl::StatusOr<int> {
        entered = true;
        const std::lock_guard lock(gate);
        return 0;
      },
      first.Take());
  while (!entered) std::this_thread::yield();
  Answer<int> inserted;
  Insert("ada", inserted.Take());
  Answer<bool> shared;
  coordinator_->Call<bool>(
      [this](Transaction& tx) -> absl::StatusOr<bool> {
        return store::GetUser(tx.store(), "ada").ok() && !Has("ada");
      },
      shared.Take());
  gate.unlock();
  EXPECT_TRUE(first.Wait().ok());
  EXPECT_TRUE(inserted.Wait().ok());
  EXPECT_TRUE(*shared.Wait()) << "the command before was committed on its own";
}

TEST_F(CoordinatorTest, AFullQueueAndAStoppedServerRefuse) {
  Coordinator::Options options;
  options.max_waiting = 2;
  Make(std::move(options));
  Answer<int> early;
  Insert("early", early.Take());
  EXPECT_TRUE(absl::IsUnavailable(early.Wait().status()));
  Start();
  std::mutex gate;
  gate.lock();
  std::atomic<bool> entered = false;
  Answer<int> held;
  coordinator_->Call<int>(
      [&](Transaction&) -> absl::StatusOr<int> {
        entered = true;
        const std::lock_guard lock(gate);
        return 0;
      },
      held.Take());
  while (!entered) std::this_thread::yield();
  std::vector<Answer<int>> answers(3);
  for (int i = 0; i < 3; ++i) Insert(absl::StrCat("u", i), answers[i].Take());
  const absl::Status full = answers[2].Wait().status();
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_TRUE(full.GetPayload("type.googleapis.com/google.rpc.RetryInfo").has_value());
  gate.unlock();
  coordinator_->Stop();
  EXPECT_TRUE(answers[0].Wait().ok()) << "what was accepted is done before the end";
  EXPECT_TRUE(answers[1].Wait().ok());
  Answer<int> late;
  Insert("late", late.Take());
  EXPECT_TRUE(absl::IsUnavailable(late.Wait().status()));
}

TEST_F(CoordinatorTest, NothingIsAcknowledgedAfterTheDatabaseFailed) {
  Answer<int> fatal;
  Coordinator::Options options;
  options.on_fatal = [done = fatal.Take()](absl::Status status) mutable {
    done(std::move(status));
  };
  Make(std::move(options));
  Start();
  Answer<int> broken;
  coordinator_->Call<int>(
      [](Transaction& tx) -> absl::StatusOr<int> {
        // What SQLite does by itself when the disk is full.
        RETURN_IF_ERROR(tx.store().connection().Execute("ROLLBACK").status());
        return 1;
      },
      broken.Take());
  EXPECT_TRUE(absl::IsUnavailable(broken.Wait().status()));
  EXPECT_FALSE(fatal.Wait().ok());
  Answer<int> after;
  Insert("after", after.Take());
  EXPECT_TRUE(absl::IsUnavailable(after.Wait().status()));
  EXPECT_FALSE(Has("after"));
}

}  // namespace
}  // namespace beamline::server
