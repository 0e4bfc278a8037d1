// How searches are told of, and how they end: trials that fail, cancellation, time that is up.
#include "tests/server/search_fixture.h"

namespace beamline::server {
namespace {

TEST_F(SearchTest, ToldAsItGoes) {
  const v1::Run run =
      Create(absl::StrCat("    search: {random: {trials: 3}, space: ", kSpace, "}"));
  fails_ = [](const v1::Attempt& attempt) { return attempt.trial().number() == 2; };
  Play();
  const std::vector<v1::Event> events = Watch(run.name());
  std::vector<v1::TrialEnded> ended;
  std::set<std::string> queued;
  for (size_t i = 0; i < events.size(); ++i) {
    ASSERT_EQ(events[i].sequence(), static_cast<int64_t>(i) + 1);
    if (events[i].has_trial_ended()) ended.push_back(events[i].trial_ended());
    if (events[i].task_state().has_trial()) queued.insert(events[i].task());
  }
  EXPECT_EQ(queued, (std::set<std::string>{"fit.1", "fit.2", "fit.3"}));
  ASSERT_EQ(ended.size(), 3);
  EXPECT_EQ(ended[0].trial().number(), 1);
  EXPECT_EQ(ended[0].planned(), 3);
  EXPECT_EQ(ended[0].best(), 1);
  EXPECT_EQ(ended[1].failure().message(), "because");
  EXPECT_FALSE(ended[1].has_value());
  EXPECT_EQ(ended[2].ended(), 3);
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(Trials(run.name()).trials(2).failure().message(), "because");
}

TEST_F(SearchTest, AFailedFoldFailsTheStepOrTheTrialAlone) {
  fails_ = [](const v1::Attempt& attempt) {
    return attempt.trial().fold() == 2 && attempt.trial().number() <= 1;
  };
  const v1::Run alone = Create("    cross_validation: {k_fold: {folds: 3}}");
  Play();
  EXPECT_EQ(GetRun(alone.name()).state(), v1::RUN_STATE_FAILED);
  EXPECT_EQ(GetRun(alone.name()).failure().message(), "step \"fit\" failed: fit.f2: because");
  const v1::Run search = Create(absl::StrCat(
      "    cross_validation: {k_fold: {folds: 2}}\n    search: {random: {trials: 2}, space: ",
      kSpace, "}"));
  // The last fold ends first: the other one of its trial is of no use any more.
  ASSERT_EQ(Take().size(), 2);
  EXPECT_TRUE(held_[1].task().ends_with("fit.1.f2"));
  End(held_[1], FakeWorker::Failed(1, v1::FAILURE_KIND_USER));
  const v1::SynchronizeResponse told = worker_->Synchronize(*server_);
  ASSERT_EQ(told.stop_size(), 1);
  EXPECT_EQ(told.stop(0).task(), held_[0].task());
  held_.insert(held_.end(), told.start().begin(), told.start().end());
  // It ends last of all, and the run only with it.
  const std::string useless = held_[0].task();
  for (int i = 0; i < 20 && Take().size() > 1; ++i) End(held_.back(), Trained(held_.back()));
  EXPECT_EQ(GetRun(search.name()).state(), v1::RUN_STATE_RUNNING);
  ASSERT_EQ(held_.size(), 1);
  EXPECT_EQ(held_[0].task(), useless);
  v1::AttemptReport stopped = FakeWorker::Success(1);
  stopped.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_CANCELLED);
  End(held_[0], stopped);
  EXPECT_EQ(GetRun(search.name()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(GetTask(search.name(), "fit").trial().number(), 2);
  EXPECT_EQ(Trials(search.name()).trials(1).state(), v1::TASK_STATE_FAILED);
  const auto events = Watch(search.name());
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const auto& event) { return event.has_trial_ended(); }),
            2);
}

TEST_F(SearchTest, ATrialThatFailedIsToldOfOnce) {
  const v1::Run run = Create(absl::StrCat(
      "    cross_validation: {k_fold: {folds: 2}}\n    search: {random: {trials: 2}, space: ",
      kSpace, "}"));
  ASSERT_EQ(Take().size(), 2);
  End(held_[1], FakeWorker::Failed(1, v1::FAILURE_KIND_USER));
  v1::AttemptReport stopped = FakeWorker::Success(1);
  stopped.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_CANCELLED);
  End(held_[0], stopped);
  Play();
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  const auto events = Watch(run.name());
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const auto& event) { return event.has_trial_ended(); }),
            2);
}

TEST_F(SearchTest, GivesUpWhenTheFirstTenFail) {
  fails_ = [](const v1::Attempt&) { return true; };
  const v1::Run run = Create(
      absl::StrCat("    search: {random: {trials: 500}, max_parallel: 2, space: ", kSpace, "}"));
  Play();
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_FAILED);
  EXPECT_EQ(
      GetRun(run.name()).failure().message(),
      "step \"fit\" failed: the first 10 trials all failed, the first of them: fit.1: because");
  EXPECT_LE(Trials(run.name()).trials_size(), 12);
}

TEST_F(SearchTest, AllMayFailBeforeTheTenth) {
  fails_ = [](const v1::Attempt&) { return true; };
  const v1::Run run =
      Create(absl::StrCat("    search: {random: {trials: 3}, space: ", kSpace, "}"));
  Play();
  EXPECT_EQ(GetRun(run.name()).failure().message(),
            "step \"fit\" failed: no trial succeeded, of 3; fit.1: because");
}

TEST_F(SearchTest, IsCancelledAsAWhole) {
  const v1::Run run =
      Create(absl::StrCat("    search: {random: {trials: 20}, space: ", kSpace, "}"));
  ASSERT_FALSE(Take().empty());
  End(held_.front(), Trained(held_.front()));
  Take();
  v1::CancelRunRequest request;
  request.set_name(run.name());
  ASSERT_TRUE(Call(server_->runs(), &RunApi::CancelRun, User("ada"), request).ok());
  while (!held_.empty()) {
    v1::AttemptReport stopped = FakeWorker::Success(1);
    stopped.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_CANCELLED);
    End(held_.front(), stopped);
  }
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_CANCELLED);
  EXPECT_EQ(GetTask(run.name(), "fit").state(), v1::TASK_STATE_CANCELLED);
  EXPECT_TRUE(Take().empty());
  const v1::ListTrialsResponse trials = Trials(run.name());
  ASSERT_GT(trials.trials_size(), 1);
  EXPECT_EQ(trials.trials(0).state(), v1::TASK_STATE_SUCCEEDED);
  for (int i = 1; i < trials.trials_size(); ++i) {
    EXPECT_EQ(trials.trials(i).state(), v1::TASK_STATE_CANCELLED);
    EXPECT_FALSE(trials.trials(i).has_failure());
  }
}

TEST_F(SearchTest, IsCancelledAsAWholeWhilePausedToo) {
  const v1::Run run =
      Create(absl::StrCat("    search: {random: {trials: 20}, space: ", kSpace, "}"));
  ASSERT_FALSE(Take().empty());
  End(held_.front(), Trained(held_.front()));
  Take();
  v1::PauseRunRequest pause;
  pause.set_name(run.name());
  ASSERT_TRUE(Call(server_->runs(), &RunApi::PauseRun, User("ada"), pause).ok());
  while (!held_.empty()) {
    v1::AttemptReport released = FakeWorker::Success(1);
    released.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_RELEASED);
    End(held_.front(), released);
  }
  v1::CancelRunRequest request;
  request.set_name(run.name());
  ASSERT_TRUE(Call(server_->runs(), &RunApi::CancelRun, User("ada"), request).ok());
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_CANCELLED);
  const v1::ListTrialsResponse trials = Trials(run.name());
  ASSERT_GT(trials.trials_size(), 1);
  for (int i = 1; i < trials.trials_size(); ++i) {
    EXPECT_EQ(trials.trials(i).state(), v1::TASK_STATE_CANCELLED) << i;
  }
}

TEST_F(SearchTest, EndsWithTheBestSoFarWhenItsTimeIsUp) {
  const v1::Run run = Create(absl::StrCat(
      "    search: {random: {trials: 50}, max_parallel: 1, max_seconds: 30, space: ", kSpace, "}"));
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(Take().size(), 1);
    // The worker keeps its lease by asking in between.
    for (int second = 0; i == 2 && second < 61; ++second) {
      Advance(1'000);
      Take();
    }
    End(held_.front(), Trained(held_.front()));
  }
  Play();
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(Trials(run.name()).trials_size(), 3);
}

TEST_F(SearchTest, ATrialThatWasCutShortGoesOnToItsModel) {
  const v1::Run run = Create(
      absl::StrCat("    search: {successive_halving: {trials: 9}, max_parallel: 1, max_seconds: "
                   "30, space: ",
                   kSpace, "}"));
  ASSERT_EQ(Take().size(), 1);
  for (int second = 0; second < 40; ++second) {
    Advance(1'000);
    Take();
  }
  End(held_.front(), Trained(held_.front()));
  ASSERT_EQ(Take().size(), 1);
  EXPECT_TRUE(held_.front().task().ends_with("/fit")) << held_.front().task();
  EXPECT_TRUE(held_.front().inputs().contains("fit.1.e1/checkpoint"));
  EXPECT_EQ(held_.front().trial().after_epochs(), 1);
  EXPECT_EQ(held_.front().trial().epochs(), 0);
  Play();
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
}

TEST_F(SearchTest, SaysWhichStepsHaveNoTrials) {
  const auto run = CreateRun();
  ASSERT_TRUE(run.ok());
  v1::ListTrialsRequest request;
  request.set_parent(run->name());
  const auto ask = [&] { return Call(server_->runs(), &RunApi::ListTrials, User("ada"), request); };
  EXPECT_TRUE(absl::IsFailedPrecondition(ask().status())) << ask().status();
  request.set_step("fit");
  EXPECT_TRUE(absl::IsFailedPrecondition(ask().status()));
  request.set_step("nosuch");
  EXPECT_TRUE(absl::IsNotFound(ask().status()));
}

}  // namespace
}  // namespace beamline::server
