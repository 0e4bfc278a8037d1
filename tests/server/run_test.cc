// Runs from CreateRun to their end, through a server and workers in this process.
#include <algorithm>

#include "tests/server/harness.h"

namespace beamline::server {
namespace {

class RunTest : public ServerTest {};

void ExpectGapFree(const std::vector<v1::Event>& events, int64_t after = 0) {
  for (size_t i = 0; i < events.size(); ++i) {
    ASSERT_EQ(events[i].sequence(), after + static_cast<int64_t>(i) + 1);
  }
}

TEST_F(RunTest, ATwoStepPipelineRunsToItsModel) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->pipeline(), "projects/optics/pipelines/tiny");
  EXPECT_EQ(run->pipeline_version(), 1);
  EXPECT_EQ(GetTask(run->name(), "release").state(), v1::TASK_STATE_BLOCKED);

  auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  EXPECT_EQ(work.start(0).step(), "fit");
  EXPECT_EQ(work.start(0).number(), 1);
  ASSERT_TRUE(work.start(0).inputs().contains("points"));
  EXPECT_EQ(GetRun(run->name()).state(), v1::RUN_STATE_RUNNING);
  worker.Train(*server_, work.start(0));

  work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  EXPECT_EQ(work.start(0).step(), "release");
  EXPECT_EQ(work.start(0).inputs().at("fit/model").digest(), Sha256Hex("weights"));
  ASSERT_TRUE(worker.Report(*server_, work.start(0), {FakeWorker::Success(1)}).ok());

  const v1::Run ended = GetRun(run->name());
  EXPECT_EQ(ended.state(), v1::RUN_STATE_SUCCEEDED);
  ASSERT_EQ(ended.models_size(), 1);
  EXPECT_EQ(ended.models(0), "projects/optics/models/tiny/versions/1");
  v1::GetModelRequest get;
  get.set_name("projects/optics/models/tiny");
  const auto model = Call(server_->models(), &ModelApi::GetModel, User("ada"), get);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->file().digest(), Sha256Hex("weights"));
  EXPECT_EQ(model->card().target(), "y");
  EXPECT_EQ(model->lineage().run(), run->name());
  EXPECT_EQ(model->lineage().data_digests().at("points"), Sha256Hex(kCsv));
  EXPECT_FALSE(model->lineage().pipeline_digest().empty());

  const auto events = Watch(run->name());
  ExpectGapFree(events);
  EXPECT_EQ(events.back().run_state().state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(events.back().sequence(), ended.last_sequence());
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const auto& event) { return event.has_metric(); }),
            1);
  for (int64_t after = 0; after <= ended.last_sequence(); ++after) {
    const auto rest = Watch(run->name(), after);
    EXPECT_EQ(static_cast<int64_t>(rest.size()), ended.last_sequence() - after);
    ExpectGapFree(rest, after);
  }
  v1::WatchRunRequest beyond;
  beyond.set_name(run->name());
  beyond.set_after_sequence(ended.last_sequence() + 1);
  EXPECT_TRUE(absl::IsOutOfRange(server_->runs().WatchRun(User("ada"), beyond).status()));
}

TEST_F(RunTest, ARepeatedRequestGetsTheFirstAnswer) {
  const auto first = CreateRun("once");
  const auto again = CreateRun("once");
  ASSERT_TRUE(first.ok() && again.ok()) << first.status() << again.status();
  EXPECT_EQ(first->name(), again->name());
  v1::CreateRunRequest other = RunRequest("once");
  other.set_priority(1);
  EXPECT_TRUE(absl::IsAlreadyExists(
      Call(server_->runs(), &RunApi::CreateRun, User("ada"), other).status()));
  EXPECT_TRUE(Call(server_->runs(), &RunApi::CreateRun, User("eve"), other).ok())
      << "request ids of different callers have nothing to do with each other";
  Restart();
  const auto after = CreateRun("once");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->name(), first->name());
}

TEST_F(RunTest, ARestartLosesNothing) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  ASSERT_TRUE(worker.Report(*server_, work.start(0), {FakeWorker::Metric(1, 1)}).ok());
  const auto queued = CreateRun();
  Restart();
  // The worker still holds its attempt, goes on, and repeats what was not acknowledged.
  EXPECT_EQ(worker.Synchronize(*server_).stop_size(), 0);
  EXPECT_EQ(
      *worker.Report(*server_, work.start(0), {FakeWorker::Metric(1, 1), FakeWorker::Metric(2, 2)}),
      2);
  worker.Drop(work.start(0).task());
  EXPECT_EQ(GetTask(run->name(), "fit").attempt(), 1);
  ASSERT_TRUE(
      worker.Report(*server_, work.start(0), {FakeWorker::Failed(3, v1::FAILURE_KIND_USER)}).ok());
  EXPECT_EQ(GetRun(run->name()).state(), v1::RUN_STATE_FAILED);
  EXPECT_EQ(GetRun(queued->name()).state(), v1::RUN_STATE_RUNNING);
  const auto events = Watch(run->name());
  ExpectGapFree(events);
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const auto& event) { return event.has_metric(); }),
            2);
}

TEST_F(RunTest, ReportsAreFencedAndCountedOnce) {
  FakeWorker worker(*server_);
  FakeWorker other(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  const v1::Attempt& attempt = work.start(0);
  EXPECT_EQ(*worker.Report(*server_, attempt, {FakeWorker::Metric(1, 1)}), 1);
  EXPECT_EQ(*worker.Report(*server_, attempt, {FakeWorker::Metric(1, 1)}), 1);
  EXPECT_EQ(GetRun(run->name()).last_sequence(), 5) << "queued x2, running x2, one metric";
  EXPECT_TRUE(
      absl::IsNotFound(other.Report(*server_, attempt, {FakeWorker::Metric(2, 1)}).status()));
  v1::Attempt stale = attempt;
  stale.set_number(2);
  EXPECT_TRUE(
      absl::IsNotFound(worker.Report(*server_, stale, {FakeWorker::Metric(2, 1)}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      worker.Report(*server_, attempt, {FakeWorker::Metric(3, 1)}).status()))
      << "a gap";
  v1::AttemptReport forged;
  forged.set_number(2);
  forged.mutable_event()->mutable_run_state()->set_state(v1::RUN_STATE_SUCCEEDED);
  EXPECT_TRUE(absl::IsInvalidArgument(worker.Report(*server_, attempt, {forged}).status()));
  v1::AttemptReport unwritten = FakeWorker::Success(2);
  auto& blob = (*unwritten.mutable_result()->mutable_result()->mutable_artifacts())["model"];
  blob.set_digest(Sha256Hex("never written"));
  EXPECT_TRUE(absl::IsFailedPrecondition(worker.Report(*server_, attempt, {unwritten}).status()));
  EXPECT_EQ(GetRun(run->name()).last_sequence(), 5);
}

TEST_F(RunTest, ASilentWorkerLosesItsAttempt) {
  FakeWorker silent(*server_);
  silent.Synchronize(*server_);
  const auto run = CreateRun();
  const auto work = silent.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  Advance(11'000);
  FakeWorker other(*server_);
  Advance(2'000);
  const auto second = other.Synchronize(*server_);
  ASSERT_EQ(second.start_size(), 1);
  EXPECT_EQ(second.start(0).number(), 2);
  EXPECT_TRUE(
      absl::IsNotFound(silent.Report(*server_, work.start(0), {FakeWorker::Success(1)}).status()));
  const auto told = silent.Synchronize(*server_);
  ASSERT_EQ(told.stop_size(), 1);
  EXPECT_TRUE(told.stop(0).forget());
  EXPECT_EQ(GetTask(run->name(), "fit").worker(), other.principal().name);
}

TEST_F(RunTest, ANewSessionHasLostEverything) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  worker.Drop(work.start(0).task());
  worker.SetSession("s2");
  worker.Synchronize(*server_);
  Advance(2'000);
  const auto again = worker.Synchronize(*server_);
  ASSERT_EQ(again.start_size(), 1);
  EXPECT_EQ(again.start(0).number(), 2);
  EXPECT_EQ(GetRun(run->name()).state(), v1::RUN_STATE_RUNNING);
}

TEST_F(RunTest, AStartThatNeverArrivedIsSentAgain) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  ASSERT_TRUE(CreateRun().ok());
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  worker.Drop(work.start(0).task());
  const auto again = worker.Synchronize(*server_);
  ASSERT_EQ(again.start_size(), 1);
  EXPECT_EQ(again.start(0).number(), 1);
}

TEST_F(RunTest, ACrashIsTriedAgainAfterAWhileFromTheCheckpoint) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  const auto checkpoint = worker.WriteBlob(*server_, work.start(0), "half way");
  ASSERT_TRUE(checkpoint.ok());
  v1::AttemptReport taken;
  taken.set_number(1);
  *taken.mutable_event()->mutable_checkpoint()->mutable_blob() = *checkpoint;
  ASSERT_TRUE(
      worker.Report(*server_, work.start(0), {taken, FakeWorker::Failed(2, v1::FAILURE_KIND_CRASH)})
          .ok());
  worker.Drop(work.start(0).task());
  EXPECT_EQ(GetTask(run->name(), "fit").state(), v1::TASK_STATE_QUEUED);
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 0) << "backs off";
  Restart();
  Advance(1'500);
  const auto again = worker.Synchronize(*server_);
  ASSERT_EQ(again.start_size(), 1);
  EXPECT_EQ(again.start(0).number(), 2);
  EXPECT_EQ(again.start(0).checkpoint().digest(), checkpoint->digest());
}

TEST_F(RunTest, TheUsersMistakeEndsTheRun) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  const auto work = worker.Synchronize(*server_);
  ASSERT_TRUE(
      worker.Report(*server_, work.start(0), {FakeWorker::Failed(1, v1::FAILURE_KIND_USER)}).ok());
  const v1::Run ended = GetRun(run->name());
  EXPECT_EQ(ended.state(), v1::RUN_STATE_FAILED);
  EXPECT_EQ(ended.failure().kind(), v1::FAILURE_KIND_USER);
  EXPECT_EQ(ended.failure().message(), "step \"fit\" failed: because");
  const v1::Task release = GetTask(run->name(), "release");
  EXPECT_EQ(release.state(), v1::TASK_STATE_FAILED);
  EXPECT_EQ(release.failure().kind(), v1::FAILURE_KIND_DEPENDENCY);
  EXPECT_EQ(Watch(run->name()).back().run_state().state(), v1::RUN_STATE_FAILED);
}

TEST_F(RunTest, ARunIsCancelledWhileItWaitsAndWhileItRuns) {
  v1::CancelRunRequest cancel;
  cancel.set_name(CreateRun()->name());
  auto cancelled = Call(server_->runs(), &RunApi::CancelRun, User("ada"), cancel);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(GetRun(cancel.name()).state(), v1::RUN_STATE_CANCELLED);

  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  cancel.set_name(CreateRun()->name());
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  ASSERT_TRUE(Call(server_->runs(), &RunApi::CancelRun, User("ada"), cancel).ok());
  EXPECT_EQ(GetRun(cancel.name()).state(), v1::RUN_STATE_CANCELLING);
  const auto told = worker.Synchronize(*server_);
  ASSERT_EQ(told.stop_size(), 1);
  EXPECT_FALSE(told.stop(0).forget());
  v1::AttemptReport stopped;
  stopped.set_number(1);
  stopped.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_CANCELLED);
  ASSERT_TRUE(worker.Report(*server_, work.start(0), {stopped}).ok());
  EXPECT_EQ(GetRun(cancel.name()).state(), v1::RUN_STATE_CANCELLED);
  EXPECT_TRUE(Call(server_->runs(), &RunApi::CancelRun, User("ada"), cancel).ok())
      << "cancelling twice changes nothing";
}

TEST_F(RunTest, ASynchronizeWaitsUntilThereIsSomethingToDo) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  Answer<v1::SynchronizeResponse> answer;
  server_->workers().Synchronize(worker.principal(), worker.Request(3'000), answer.Take());
  // A command behind it has been answered, so it waits.
  v1::ListQueueRequest queue;
  ASSERT_TRUE(Call(server_->cluster(), &ClusterApi::ListQueue, Operator(), queue).ok());
  EXPECT_FALSE(answer.Ready());
  ASSERT_TRUE(CreateRun().ok());
  ASSERT_EQ(answer.Wait()->start_size(), 1);

  Answer<v1::SynchronizeResponse> held;
  v1::SynchronizeRequest request = worker.Request(3'000);
  auto& attempt = *request.add_held();
  attempt.set_task(answer.Wait()->start(0).task());
  attempt.set_number(1);
  server_->workers().Synchronize(worker.principal(), request, held.Take());
  ASSERT_TRUE(Call(server_->cluster(), &ClusterApi::ListQueue, Operator(), queue).ok());
  EXPECT_FALSE(held.Ready());
  Advance(3'000);
  EXPECT_EQ(held.Wait()->start_size(), 0);

  Answer<v1::SynchronizeResponse> stopped;
  server_->workers().Synchronize(worker.principal(), request, stopped.Take());
  server_->Shutdown();
  EXPECT_TRUE(absl::IsUnavailable(stopped.Wait().status()));
  EXPECT_TRUE(absl::IsUnavailable(
      Call(server_->cluster(), &ClusterApi::ListQueue, Operator(), queue).status()));
}

TEST_F(RunTest, AWorkerIsNotToldWhatItHasSaidItself) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  ASSERT_TRUE(CreateRun().ok());
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  Answer<v1::SynchronizeResponse> waiting;
  server_->workers().Synchronize(worker.principal(), worker.Request(3'000), waiting.Take());
  ASSERT_TRUE(
      worker.Report(*server_, work.start(0), {FakeWorker::Failed(1, v1::FAILURE_KIND_USER)}).ok());
  v1::ListQueueRequest queue;
  ASSERT_TRUE(Call(server_->cluster(), &ClusterApi::ListQueue, Operator(), queue).ok());
  EXPECT_FALSE(waiting.Ready()) << "the answer would make it ask again for nothing";
  Advance(3'000);
  EXPECT_EQ(waiting.Wait()->stop_size(), 0);
}

TEST_F(RunTest, AWatcherWaitsForWhatComes) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  v1::WatchRunRequest request;
  request.set_name(run->name());
  request.set_after_sequence(GetRun(run->name()).last_sequence());
  const auto watcher = server_->runs().WatchRun(User("ada"), request);
  Answer<std::vector<v1::Event>> next;
  (*watcher)->Next(next.Take());
  EXPECT_FALSE(next.Ready());
  const auto work = worker.Synchronize(*server_);
  ASSERT_TRUE(worker.Report(*server_, work.start(0), {FakeWorker::Metric(1, 3)}).ok());
  const auto page = next.Wait();
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_FALSE(page->empty());
  EXPECT_EQ(page->front().sequence(), request.after_sequence() + 1);
  Answer<std::vector<v1::Event>> cancelled;
  (*watcher)->Next(cancelled.Take());
  (*watcher)->Cancel();
  EXPECT_TRUE(absl::IsCancelled(cancelled.Wait().status()));
}

TEST_F(RunTest, ADrainingWorkerGetsNothingNewAndGivesBack) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  const auto work = worker.Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  v1::DrainWorkerRequest drain;
  drain.set_name(worker.principal().name);
  ASSERT_TRUE(Call(server_->cluster(), &ClusterApi::DrainWorker, Operator(), drain).ok());
  EXPECT_TRUE(worker.Synchronize(*server_).drain());
  worker.Drain();
  v1::AttemptReport released;
  released.set_number(1);
  released.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_RELEASED);
  ASSERT_TRUE(worker.Report(*server_, work.start(0), {released}).ok());
  worker.Drop(work.start(0).task());
  Advance(5'000);
  EXPECT_EQ(worker.Synchronize(*server_).start_size(), 0);
  EXPECT_EQ(GetTask(run->name(), "fit").state(), v1::TASK_STATE_QUEUED);
  v1::ExplainRunRequest explain;
  explain.set_name(run->name());
  const auto reasons = Call(server_->runs(), &RunApi::ExplainRun, User("ada"), explain);
  ASSERT_TRUE(reasons.ok()) << reasons.status();
  ASSERT_EQ(reasons->tasks_size(), 2);
  EXPECT_EQ(reasons->tasks(0).wait().reason(), v1::WAIT_REASON_DRAINING);
  EXPECT_EQ(reasons->tasks(1).wait().reason(), v1::WAIT_REASON_STEPS);
}

TEST_F(RunTest, MetricsAreListedInPages) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  const auto work = worker.Synchronize(*server_);
  std::vector<v1::AttemptReport> reports;
  for (int i = 1; i <= 5; ++i) reports.push_back(FakeWorker::Metric(i, i));
  ASSERT_TRUE(worker.Report(*server_, work.start(0), reports).ok());
  v1::ListMetricsRequest request;
  request.set_name(run->name());
  request.set_page_size(2);
  double sum = 0;
  int pages = 0;
  do {
    const auto page = Call(server_->runs(), &RunApi::ListMetrics, User("ada"), request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::Event& event : page->events()) sum += event.metric().value();
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(sum, 15);
  request.set_page_token("bm9uc2Vuc2U");
  EXPECT_TRUE(absl::IsInvalidArgument(
      Call(server_->runs(), &RunApi::ListMetrics, User("ada"), request).status()));
}

}  // namespace
}  // namespace beamline::server
