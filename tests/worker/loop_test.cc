// Longer than 400 lines: one fake server and one fake process serve every story of the loop.
#include "worker/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <utility>

#include "tests/worker/manual_strand.h"
#include "worker/deadline_executor.h"

namespace beamline::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kLeaseMs = 10'000;

// Keeps what the loop asks until the test answers.
class FakeLink : public ServerLink {
 public:
  void Synchronize(const v1::SynchronizeRequest& request, int64_t timeout_ms,
                   Done<v1::SynchronizeResponse> done) override {
    EXPECT_FALSE(synchronize_.has_value()) << "two at once";
    EXPECT_GT(timeout_ms, request.hold_ms());
    statement = request;
    ++statements;
    synchronize_ = std::move(done);
  }
  void CancelSynchronize() override {
    if (synchronize_) AnswerSynchronize(absl::CancelledError("restated"));
  }
  void ReportAttempt(const v1::ReportAttemptRequest& request,
                     Done<v1::ReportAttemptResponse> done) override {
    reports.emplace_back(request, std::move(done));
  }

  bool synchronizing() const { return synchronize_.has_value(); }
  void AnswerSynchronize(absl::StatusOr<v1::SynchronizeResponse> response) {
    ASSERT_TRUE(synchronize_.has_value()) << "no Synchronize is outstanding";
    Done<v1::SynchronizeResponse> done = *std::exchange(synchronize_, std::nullopt);
    done(std::move(response));
  }

  v1::SynchronizeRequest statement;
  int statements = 0;
  std::deque<std::pair<v1::ReportAttemptRequest, Done<v1::ReportAttemptResponse>>> reports;

 private:
  std::optional<Done<v1::SynchronizeResponse>> synchronize_;
};

// Executions that do what the test says.
class FakeExecutor : public Executor {
 public:
  struct State {
    v1::Attempt attempt;
    std::shared_ptr<ExecutionListener> listener;
    std::vector<Execution::StopReason> stops;
    bool paused = false;
    bool gone = false;
  };
  class FakeExecution : public Execution {
   public:
    explicit FakeExecution(std::shared_ptr<State> state) : state_(std::move(state)) {}
    ~FakeExecution() override { state_->gone = true; }
    void Stop(StopReason reason) override { state_->stops.push_back(reason); }
    void SetPaused(bool paused) override { state_->paused = paused; }

   private:
    std::shared_ptr<State> state_;
  };
  std::unique_ptr<Execution> Start(std::shared_ptr<const v1::Attempt> attempt,
                                   std::shared_ptr<ExecutionListener> listener) override {
    started.push_back(std::make_shared<State>(State{*attempt, std::move(listener), {}}));
    return std::make_unique<FakeExecution>(started.back());
  }
  std::vector<std::shared_ptr<State>> started;
};

v1::Event ProgressEvent(int64_t step) {
  v1::Event event;
  event.mutable_progress()->set_step(step);
  return event;
}

v1::AttemptResult Result(v1::AttemptResult::Outcome outcome) {
  v1::AttemptResult result;
  result.set_outcome(outcome);
  return result;
}

// The fixture's verbs: what the server says, what tasks say, and what the worker is seen to do.
class LoopTest : public ::testing::Test {
 protected:
  LoopTest() { Restart({}); }

  void Restart(LoopOptions options) {
    loop_ = std::make_unique<WorkerLoop>(
        strand_, link_, executor_, v1::Worker(), "session-1",
        [] { return std::vector<std::string>{"digest-1"}; }, options);
    loop_->OnLeave([this] { left_ = true; });
  }
  void Start() {
    loop_->Start([this] { ready_ = true; });
    strand_.Settle();
  }
  void ServerSays(v1::SynchronizeResponse response) {
    response.set_lease_ms(kLeaseMs);
    if (!link_.synchronizing()) strand_.Advance(LoopOptions().idle_pause_ms);
    link_.AnswerSynchronize(std::move(response));
    strand_.Settle();
  }
  void ServerSaysNothing() { ServerSays({}); }
  void ServerAssigns(const std::string& task, int32_t number = 1, int64_t timeout_seconds = 0) {
    v1::SynchronizeResponse response;
    v1::Attempt& attempt = *response.add_start();
    attempt.set_task(task);
    attempt.set_number(number);
    attempt.set_timeout_seconds(timeout_seconds);
    ServerSays(response);
  }
  void ServerStops(const std::string& task, int32_t number, bool forget, bool checkpoint = false) {
    v1::SynchronizeResponse response;
    v1::SynchronizeResponse::Stop& stop = *response.add_stop();
    stop.set_task(task);
    stop.set_number(number);
    stop.set_forget(forget);
    stop.set_checkpoint(checkpoint);
    ServerSays(response);
  }
  void ServerIsAway() {
    link_.AnswerSynchronize(absl::UnavailableError("connection refused"));
    strand_.Settle();
  }
  // Takes the oldest batch of reports.
  v1::ReportAttemptRequest ServerTakesReports() {
    EXPECT_FALSE(link_.reports.empty());
    if (link_.reports.empty()) return {};
    auto [request, done] = std::move(link_.reports.front());
    link_.reports.pop_front();
    v1::ReportAttemptResponse response;
    response.set_acknowledged(request.reports(request.reports_size() - 1).number());
    done(std::move(response));
    strand_.Settle();
    return request;
  }
  v1::ReportAttemptRequest ServerRefusesReports(absl::Status status) {
    auto [request, done] = std::move(link_.reports.front());
    link_.reports.pop_front();
    done(std::move(status));
    strand_.Settle();
    return request;
  }
  void TaskSays(int index, v1::Event event) {
    executor_.started.at(index)->listener->OnEvent(std::move(event));
    strand_.Settle();
  }
  void TaskEnds(int index, v1::AttemptResult::Outcome outcome) {
    executor_.started.at(index)->listener->OnEnd(Result(outcome));
    strand_.Settle();
  }
  std::vector<std::string> Held() const {
    std::vector<std::string> held;
    for (const auto& one : link_.statement.held()) {
      held.push_back(one.task() + "/" + std::to_string(one.number()) +
                     (one.stopping() ? " stopping" : ""));
    }
    return held;
  }
  static std::vector<int64_t> Numbers(const v1::ReportAttemptRequest& request) {
    std::vector<int64_t> numbers;
    for (const auto& report : request.reports()) numbers.push_back(report.number());
    return numbers;
  }

  ManualStrand strand_;
  FakeLink link_;
  FakeExecutor executor_;
  std::unique_ptr<WorkerLoop> loop_;
  bool ready_ = false;
  bool left_ = false;
};

TEST_F(LoopTest, FirstStatementIsAnsweredAtOnceAndLaterOnesMayBeHeld) {
  Start();
  EXPECT_EQ(link_.statement.session(), "session-1");
  EXPECT_EQ(link_.statement.hold_ms(), 0);
  EXPECT_EQ(link_.statement.worker().state(), v1::WORKER_STATE_READY);
  EXPECT_THAT(link_.statement.cached(), ElementsAre("digest-1"));
  EXPECT_FALSE(ready_);
  ServerSaysNothing();
  EXPECT_TRUE(ready_);
  EXPECT_TRUE(link_.synchronizing());
  EXPECT_GT(link_.statement.hold_ms(), 0);
}

TEST_F(LoopTest, StartsWhatIsAssignedOnce) {
  Start();
  ServerAssigns("t");
  ASSERT_EQ(executor_.started.size(), 1u);
  EXPECT_THAT(Held(), ElementsAre("t/1"));
  ServerAssigns("t");
  EXPECT_EQ(executor_.started.size(), 1u);
}

TEST_F(LoopTest, AnswersThatChangeNothingDoNotMakeItSpin) {
  Start();
  ServerSaysNothing();
  const int before = link_.statements;
  for (int i = 0; i < 20; ++i) {
    ServerSaysNothing();
    strand_.Advance(50);
    if (!link_.synchronizing()) strand_.Advance(50);
  }
  EXPECT_LE(link_.statements - before, 20);
  EXPECT_GE(strand_.NowMillis(), 1000);
}

TEST_F(LoopTest, ReportsAreNumberedBatchedAndRepeatedUntilAcknowledged) {
  Start();
  ServerAssigns("t");
  TaskSays(0, ProgressEvent(1));
  TaskSays(0, ProgressEvent(2));
  TaskSays(0, ProgressEvent(3));
  ASSERT_EQ(link_.reports.size(), 1u) << "one batch at a time";
  EXPECT_THAT(Numbers(ServerRefusesReports(absl::UnavailableError("away"))), ElementsAre(1));
  EXPECT_THAT(link_.reports, IsEmpty()) << "pauses first";
  strand_.Advance(100);
  EXPECT_THAT(Numbers(ServerTakesReports()), ElementsAre(1));
  EXPECT_THAT(Numbers(ServerTakesReports()), ElementsAre(2, 3));
  TaskEnds(0, v1::AttemptResult::OUTCOME_SUCCEEDED);
  const v1::ReportAttemptRequest last = ServerTakesReports();
  EXPECT_THAT(Numbers(last), ElementsAre(4));
  EXPECT_EQ(last.reports(0).result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  ServerSaysNothing();
  EXPECT_THAT(Held(), IsEmpty());
  EXPECT_TRUE(executor_.started[0]->gone);
}

TEST_F(LoopTest, AnAnswerThatWasLostIsRepeatedWithTheSameNumbers) {
  Start();
  ServerAssigns("t");
  TaskSays(0, ProgressEvent(1));
  const auto first = ServerRefusesReports(absl::DeadlineExceededError("lost answer"));
  TaskSays(0, ProgressEvent(2));
  strand_.Advance(100);
  const auto second = ServerTakesReports();
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
}

TEST_F(LoopTest, HoldsAnAttemptUntilItsResultIsAcknowledged) {
  Start();
  ServerAssigns("t");
  TaskEnds(0, v1::AttemptResult::OUTCOME_SUCCEEDED);
  ServerSaysNothing();
  EXPECT_THAT(Held(), ElementsAre("t/1"));
}

TEST_F(LoopTest, StopCancelsAndForgetKillsWithoutAWord) {
  Start();
  ServerAssigns("a");
  ServerAssigns("b");
  ServerStops("a", 1, /*forget=*/false);
  EXPECT_THAT(executor_.started[0]->stops, ElementsAre(Execution::StopReason::kCancel));
  EXPECT_THAT(Held(), ElementsAre("a/1 stopping", "b/1"));
  ServerStops("a", 1, /*forget=*/false);
  EXPECT_EQ(executor_.started[0]->stops.size(), 1u) << "told once";
  ServerStops("b", 1, /*forget=*/true);
  EXPECT_THAT(executor_.started[1]->stops, ElementsAre(Execution::StopReason::kForget));
  strand_.Advance(1000);
  EXPECT_THAT(Held(), ElementsAre("a/1 stopping"));
  TaskSays(1, ProgressEvent(1));
  TaskEnds(1, v1::AttemptResult::OUTCOME_CANCELLED);
  EXPECT_THAT(link_.reports, IsEmpty());
  EXPECT_TRUE(executor_.started[1]->gone);
}

TEST_F(LoopTest, ReportsThatNobodyWantsStopTheAttempt) {
  Start();
  ServerAssigns("t");
  TaskSays(0, ProgressEvent(1));
  ServerRefusesReports(absl::NotFoundError("stale attempt"));
  EXPECT_THAT(executor_.started[0]->stops, ElementsAre(Execution::StopReason::kForget));
  ServerSaysNothing();
  strand_.Advance(LoopOptions().idle_pause_ms);
  EXPECT_THAT(Held(), IsEmpty());
}

TEST_F(LoopTest, ReportsThatCanNeverBeTakenStopTheAttemptAndTheServerHearsAtOnce) {
  for (const absl::Status& refusal :
       {absl::FailedPreconditionError("blob is not there"), absl::InvalidArgumentError("number")}) {
    SCOPED_TRACE(refusal.ToString());
    Restart({});
    executor_.started.clear();
    Start();
    ServerAssigns("t");
    TaskSays(0, ProgressEvent(1));
    const int before = link_.statements;
    ServerRefusesReports(refusal);
    EXPECT_THAT(executor_.started[0]->stops, ElementsAre(Execution::StopReason::kForget));
    EXPECT_GT(link_.statements, before) << "without waiting for the end of the hold";
    EXPECT_THAT(Held(), IsEmpty());
    EXPECT_THAT(link_.reports, IsEmpty());
    link_.AnswerSynchronize(absl::UnavailableError("end"));
    strand_.Settle();
  }
}

TEST_F(LoopTest, WhoStopsAtACheckpointMayStillBeToldToStopWithout) {
  Start();
  ServerAssigns("t");
  ServerStops("t", 1, /*forget=*/false, /*checkpoint=*/true);
  EXPECT_THAT(executor_.started[0]->stops, ElementsAre(Execution::StopReason::kRelease));
  EXPECT_TRUE(link_.statement.held(0).stopping());
  EXPECT_TRUE(link_.statement.held(0).checkpoint());
  ServerStops("t", 1, /*forget=*/false, /*checkpoint=*/true);
  EXPECT_EQ(executor_.started[0]->stops.size(), 1u) << "told once";
  ServerStops("t", 1, /*forget=*/false);
  EXPECT_THAT(executor_.started[0]->stops,
              ElementsAre(Execution::StopReason::kRelease, Execution::StopReason::kCancel));
  EXPECT_FALSE(link_.statement.held(0).checkpoint());
  ServerStops("t", 1, /*forget=*/false, /*checkpoint=*/true);
  EXPECT_EQ(executor_.started[0]->stops.size(), 2u) << "nothing is weaker afterwards";
}

TEST_F(LoopTest, ANewerAttemptOfTheSameTaskReplacesTheOlder) {
  Start();
  ServerAssigns("t", 1);
  ServerAssigns("t", 2);
  ASSERT_EQ(executor_.started.size(), 2u);
  EXPECT_THAT(executor_.started[0]->stops, ElementsAre(Execution::StopReason::kForget));
  EXPECT_THAT(Held(), ElementsAre("t/2"));
  ServerAssigns("t", 1);
  EXPECT_EQ(executor_.started.size(), 2u) << "a stale assignment starts nothing";
}

TEST_F(LoopTest, KeepsWorkingWhileTheServerIsAwayAndGoesOnWhenItIsBack) {
  Start();
  ServerAssigns("t");
  ServerIsAway();
  int failures = 1;
  while (strand_.NowMillis() < 60'000) {
    strand_.Advance(500);
    if (link_.synchronizing()) {
      ServerIsAway();
      ++failures;
    }
  }
  EXPECT_LT(failures, 40) << "backs off";
  EXPECT_THAT(executor_.started[0]->stops, IsEmpty()) << "longer than the lease, and still at work";
  TaskSays(0, ProgressEvent(7));
  strand_.Advance(5'000);
  ASSERT_TRUE(link_.synchronizing());
  EXPECT_THAT(Held(), ElementsAre("t/1")) << "tells the server what it still has";
  ServerSaysNothing();
  EXPECT_THAT(Numbers(ServerTakesReports()), ElementsAre(1));
}

TEST_F(LoopTest, ALeaseThatWentToOthersMeansForget) {
  Start();
  ServerAssigns("t");
  ServerIsAway();
  strand_.Advance(2 * kLeaseMs);
  ServerStops("t", 1, /*forget=*/true);
  EXPECT_THAT(executor_.started[0]->stops, ElementsAre(Execution::StopReason::kForget));
}

TEST_F(LoopTest, MemoryIsBoundedByPausingTheTask) {
  LoopOptions options;
  options.spool.full_bytes = 2'000;
  Restart(options);
  Start();
  ServerAssigns("t");
  v1::Event line;
  line.mutable_log()->set_text(std::string(100, 'x'));
  for (int i = 0; i < 30; ++i) TaskSays(0, line);
  EXPECT_TRUE(executor_.started[0]->paused);
  int taken = 0;
  while (!link_.reports.empty()) taken += ServerTakesReports().reports_size();
  EXPECT_EQ(taken, 30) << "nothing is lost";
  EXPECT_FALSE(executor_.started[0]->paused);
}

TEST_F(LoopTest, DrainReleasesReportsAndSaysGoodbye) {
  Start();
  ServerAssigns("t");
  loop_->Drain();
  strand_.Settle();
  EXPECT_THAT(executor_.started[0]->stops, ElementsAre(Execution::StopReason::kRelease));
  EXPECT_EQ(link_.statement.worker().state(), v1::WORKER_STATE_DRAINING);
  EXPECT_THAT(Held(), ElementsAre("t/1 stopping"));
  ServerAssigns("late");
  EXPECT_EQ(executor_.started.size(), 1u) << "starts nothing new";
  EXPECT_EQ(ServerTakesReports().reports(0).result().outcome(),
            v1::AttemptResult::OUTCOME_RELEASED);
  TaskEnds(0, v1::AttemptResult::OUTCOME_RELEASED);
  EXPECT_FALSE(left_);
  ServerTakesReports();
  EXPECT_FALSE(left_) << "the goodbye is not yet answered";
  EXPECT_THAT(Held(), IsEmpty());
  EXPECT_EQ(link_.statement.hold_ms(), 0);
  ServerSaysNothing();
  EXPECT_TRUE(left_);
  strand_.Advance(300'000);
  EXPECT_FALSE(link_.synchronizing()) << "says nothing more";
}

TEST_F(LoopTest, DrainEndsInTimeWithoutTheServer) {
  Start();
  ServerAssigns("t");
  loop_->Drain();
  strand_.Settle();
  for (int i = 0; i < 25 && !left_; ++i) {
    if (link_.synchronizing()) ServerIsAway();
    strand_.Advance(1'000);
  }
  EXPECT_TRUE(left_);
}

TEST_F(LoopTest, DrainEndsInTimeWithATaskThatDoesNotEnd) {
  Start();
  ServerAssigns("t");
  loop_->Drain();
  strand_.Settle();
  strand_.Advance(LoopOptions().drain_ms);
  EXPECT_TRUE(left_);
}

TEST_F(LoopTest, TheServerMayAskForTheDrain) {
  Start();
  v1::SynchronizeResponse response;
  response.set_drain(true);
  ServerSays(response);
  strand_.Advance(1);
  EXPECT_EQ(link_.statement.worker().state(), v1::WORKER_STATE_DRAINING);
  ServerSaysNothing();
  EXPECT_TRUE(left_);
}

TEST_F(LoopTest, ReadingsGoWithTheHeartbeatAndAreNotTakenAllTheTime) {
  int readings = 0;
  loop_->OnReadings([&](v1::Worker& worker) {
    worker.clear_devices();
    worker.add_devices()->set_power_watts(++readings);
  });
  Start();
  EXPECT_EQ(link_.statement.worker().devices(0).power_watts(), 1);
  ServerSaysNothing();
  EXPECT_EQ(link_.statement.worker().devices(0).power_watts(), 1);
  strand_.Advance(LoopOptions().readings_ms);
  ServerSaysNothing();
  strand_.Advance(LoopOptions().idle_pause_ms);
  EXPECT_EQ(link_.statement.worker().devices(0).power_watts(), 2);
}

TEST(DeadlineExecutorTest, TurnsAStopForTimeIntoAFailure) {
  struct Listener : ExecutionListener {
    void OnEvent(v1::Event) override {}
    void OnEnd(v1::AttemptResult result) override { end = std::move(result); }
    v1::AttemptResult end;
  };
  ManualStrand strand;
  FakeExecutor inner;
  DeadlineExecutor executor(inner, strand);
  v1::Attempt attempt;
  attempt.set_timeout_seconds(5);
  const auto listener = std::make_shared<Listener>();
  const auto execution = executor.Start(std::make_shared<v1::Attempt>(attempt), listener);
  strand.Advance(4'999);
  EXPECT_THAT(inner.started[0]->stops, IsEmpty());
  strand.Advance(1);
  EXPECT_THAT(inner.started[0]->stops, ElementsAre(Execution::StopReason::kCancel));
  inner.started[0]->listener->OnEnd(Result(v1::AttemptResult::OUTCOME_CANCELLED));
  EXPECT_EQ(listener->end.failure().kind(), v1::FAILURE_KIND_TIMEOUT);

  const auto cancelled = std::make_shared<Listener>();
  auto second = executor.Start(std::make_shared<v1::Attempt>(attempt), cancelled);
  second->Stop(Execution::StopReason::kCancel);
  strand.Advance(6'000);
  inner.started[1]->listener->OnEnd(Result(v1::AttemptResult::OUTCOME_CANCELLED));
  EXPECT_EQ(cancelled->end.outcome(), v1::AttemptResult::OUTCOME_CANCELLED);

  auto third = executor.Start(std::make_shared<v1::Attempt>(attempt), cancelled);
  third.reset();
  strand.Advance(6'000);
  EXPECT_THAT(inner.started[2]->stops, IsEmpty()) << "the timer outlives the attempt";
}

}  // namespace
}  // namespace beamline::worker
