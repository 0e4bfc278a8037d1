// Searches and cross-validation, through a server and workers in this process. The workers do not
// train: what a trial reports is a function of its values.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "store/datasets.h"
#include "store/store.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

constexpr char kHead[] = R"(
name: tiny
seed: 7
inputs:
  points: {file: points.csv}
steps:
  - name: fit
    train:
      data: {input: points, target: y, split: {random: {validation: 0.3}}}
      network:
        layers: [{dense: {units: 1}}]
        optimizer: {sgd: {learning_rate: 0.1}}
        epochs: 9
)";
constexpr char kTail[] = R"(
  - name: release
    publish: {model: fit, name: tiny}
)";
constexpr char kSpace[] =
    "{train.network.optimizer.sgd.learning_rate: {log_uniform: {min: 0.001, max: 1}}}";

double RateOf(const v1::Attempt& attempt) {
  return attempt.definition().steps(0).train().network().optimizer().sgd().learning_rate();
}

// Smaller is better; best at a rate of 0.03.
double LossOf(const v1::Attempt& attempt) {
  const double distance = std::log10(RateOf(attempt) / 0.03);
  const double epochs = attempt.trial().epochs() > 0 ? attempt.trial().epochs() : 9;
  return distance * distance + 1 / epochs + 0.01 * attempt.trial().fold();
}

class SearchTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    worker_.emplace(*server_);
  }

  v1::Run Create(const std::string& repetition) {
    v1::CreateRunRequest request;
    request.set_parent("projects/optics");
    request.mutable_source()->set_yaml(absl::StrCat(kHead, repetition, kTail));
    (*request.mutable_inputs())["points"] = Upload("optics", kCsv);
    const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? *run : v1::Run();
  }

  // What the worker holds, with what it is told to start.
  std::vector<v1::Attempt>& Take() {
    const v1::SynchronizeResponse work = worker_->Synchronize(*server_);
    held_.insert(held_.end(), work.start().begin(), work.start().end());
    return held_;
  }

  // Ends one of the attempts held.
  void End(const v1::Attempt& attempt, const v1::AttemptReport& report) {
    const v1::Attempt ended = attempt;
    std::erase_if(held_, [&](const auto& held) { return held.task() == ended.task(); });
    const auto reported = worker_->Report(*server_, ended, {report});
    ASSERT_TRUE(reported.ok()) << reported.status() << ended.task();
    worker_->Drop(ended.task());
    order_.push_back(ended.task().substr(ended.task().rfind('/') + 1));
  }

  // An artifact whose bytes say what it is.
  void Add(const v1::Attempt& attempt, const std::string& what, v1::TaskResult& result) {
    const auto blob =
        worker_->WriteBlob(*server_, attempt, absl::StrCat(what, " of rate ", RateOf(attempt)));
    ASSERT_TRUE(blob.ok()) << blob.status();
    (*result.mutable_artifacts())[what] = *blob;
  }

  // As a task process would: a model of a whole training, a state of a part of one.
  v1::AttemptReport Trained(const v1::Attempt& attempt) {
    v1::AttemptReport end = FakeWorker::Success(1);
    v1::TaskResult& result = *end.mutable_result()->mutable_result();
    if (attempt.step() != "fit") return end;
    (*result.mutable_metrics())["validation_loss"] = LossOf(attempt);
    result.set_seconds(2);
    if (attempt.trial().fold() > 0) Add(attempt, "predictions", result);
    if (attempt.trial().fold() > 0 && attempt.trial().epochs() == 0) return end;
    for (const auto& [key, blob] : attempt.inputs()) {
      if (!key.ends_with("/predictions") || result.has_out_of_fold()) continue;
      Add(attempt, "out_of_fold", result);
      Add(attempt, "out_of_fold_table", result);
      result.mutable_out_of_fold()->set_row_count(10);
    }
    Add(attempt,
        attempt.task().ends_with("/fit") || attempt.trial().epochs() == 0 ? "model" : "checkpoint",
        result);
    end.mutable_result()->mutable_card()->set_target("y");
    return end;
  }

  // Plays the worker until nothing is left. `choose`: which of so many to end next.
  void Play(const std::function<size_t(size_t)>& choose = [](size_t) { return 0; }) {
    for (int i = 0; i < 2000; ++i) {
      const std::vector<v1::Attempt>& held = Take();
      if (held.empty()) return;
      largest_ = std::max(largest_, held.size());
      const v1::Attempt next = held[choose(held.size())];
      End(next,
          fails_ && fails_(next) ? FakeWorker::Failed(1, v1::FAILURE_KIND_USER) : Trained(next));
    }
    FAIL() << "does not end";
  }

  v1::ListTrialsResponse Trials(const std::string& run) {
    v1::ListTrialsRequest request;
    request.set_parent(run);
    const auto trials = Call(server_->runs(), &RunApi::ListTrials, User("ada"), request);
    EXPECT_TRUE(trials.ok()) << trials.status();
    return trials.ok() ? *trials : v1::ListTrialsResponse();
  }

  // Number of each trial -> its value and rate.
  std::map<int, std::pair<double, double>> Values(const std::string& run) {
    std::map<int, std::pair<double, double>> values;
    const v1::ListTrialsResponse trials = Trials(run);
    for (const v1::TrialSummary& trial : trials.trials()) {
      values[trial.number()] = {trial.value(), trial.parameters().begin()->second.number_value()};
    }
    return values;
  }

  // Whether the project still refers to a blob of these bytes. Stops the server.
  bool Keeps(const std::string& bytes) {
    server_.reset();
    const auto opened = store::Store::Open(Options().state_folder + "/beamline.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    const auto kept = store::HasBlobReference((*opened)->writer(), "optics", Sha256Hex(bytes));
    EXPECT_TRUE(kept.ok()) << kept.status();
    return kept.ok() && *kept;
  }

  std::optional<FakeWorker> worker_;
  std::vector<v1::Attempt> held_;
  std::vector<std::string> order_;
  std::function<bool(const v1::Attempt&)> fails_;
  size_t largest_ = 0;
};

TEST_F(SearchTest, TheBestTrialsModelIsTheSteps) {
  const v1::Run run =
      Create(absl::StrCat("    search: {random: {trials: 8}, space: ", kSpace, "}"));
  EXPECT_EQ(GetTask(run.name(), "fit").state(), v1::TASK_STATE_RUNNING);
  Play();
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  const v1::ListTrialsResponse trials = Trials(run.name());
  ASSERT_EQ(trials.trials_size(), 8);
  EXPECT_EQ(trials.objective(), "loss");
  EXPECT_FALSE(trials.maximize());
  EXPECT_EQ(trials.importance_size(), 1);
  for (int i = 1; i < 8; ++i) EXPECT_LE(trials.trials(i - 1).value(), trials.trials(i).value());
  EXPECT_TRUE(trials.trials(0).pareto());
  EXPECT_EQ(trials.trials(0).seconds(), 2);
  const double best = trials.trials(0).parameters().begin()->second.number_value();

  const v1::Task own = GetTask(run.name(), "fit");
  EXPECT_EQ(own.state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(own.attempt(), 0);
  EXPECT_EQ(own.trial().number(), trials.trials(0).number());
  EXPECT_EQ(own.result().artifacts().at("model").digest(),
            Sha256Hex(absl::StrCat("model of rate ", best)));
  v1::GetModelRequest get;
  get.set_name("projects/optics/models/tiny");
  const auto model = Call(server_->models(), &ModelApi::GetModel, User("ada"), get);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->card().target(), "y");
  EXPECT_EQ(model->lineage().step(), "fit");
  EXPECT_EQ(model->lineage().trial_values().begin()->second.number_value(), best);
  // The winner's file stays, the others' go.
  const double worst = trials.trials(7).parameters().begin()->second.number_value();
  EXPECT_TRUE(Keeps(absl::StrCat("model of rate ", best)));
  EXPECT_FALSE(Keeps(absl::StrCat("model of rate ", worst)));
}

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

// However many run at once, in whatever order they end, and wherever the server is killed.
TEST_F(SearchTest, NothingDependsOnOrderOrRestarts) {
  const std::string searches[] = {
      "{tpe: {trials: 9, startup_trials: 3, lag: 2}, space: ",
      "{successive_halving: {trials: 9}, space: ",
      "{hyperband: {}, space: ",
  };
  for (const std::string& search : searches) {
    std::map<int, std::pair<double, double>> expected;
    int winner = 0;
    for (uint32_t seed = 0; seed < 4; ++seed) {
      SCOPED_TRACE(absl::StrCat(search, seed));
      const int parallel = 1 + static_cast<int>(seed) * 3;
      const v1::Run run =
          Create(absl::StrCat("    search: ", search, kSpace, ", max_parallel: ", parallel, "}"));
      uint32_t state = seed;
      Play([&](size_t size) {
        state = state * 1664525 + 1013904223;
        if (seed == 3 && state % 5 == 0) Restart();
        return (state >> 8) % size;
      });
      ASSERT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED)
          << GetRun(run.name()).ShortDebugString();
      if (seed == 0) {
        expected = Values(run.name());
        winner = GetTask(run.name(), "fit").trial().number();
      }
      EXPECT_EQ(Values(run.name()), expected);
      EXPECT_EQ(GetTask(run.name(), "fit").trial().number(), winner);
    }
  }
}

TEST_F(SearchTest, APromotedTrialGoesOnFromItsState) {
  const v1::Run run =
      Create(absl::StrCat("    search: {successive_halving: {trials: 3}, space: ", kSpace, "}"));
  std::map<std::string, std::string> needs;
  for (int i = 0; i < 100 && !Take().empty(); ++i) {
    const v1::Attempt next = held_.front();
    const std::string id = next.task().substr(next.task().rfind('/') + 1);
    for (const auto& [key, blob] : next.inputs()) {
      if (key.starts_with("fit.")) needs[id] = key;
    }
    End(next, Trained(next));
  }
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  const int best = GetTask(run.name(), "fit").trial().number();
  // 9 epochs by thirds: 1, 3, 9. Three trials leave room for one promotion in each round.
  EXPECT_EQ(needs.at(absl::StrCat("fit.", best, ".e3")),
            absl::StrCat("fit.", best, ".e1/checkpoint"));
  EXPECT_EQ(needs.at(absl::StrCat("fit.", best)), absl::StrCat("fit.", best, ".e3/checkpoint"));
  EXPECT_EQ(Trials(run.name()).trials(0).number(), best);
  EXPECT_EQ(Trials(run.name()).trials(0).epochs(), 0);
  EXPECT_EQ(Trials(run.name()).trials(1).epochs(), 1);
}

TEST_F(SearchTest, NeverMoreAtOnceThanAsked) {
  Create(
      absl::StrCat("    resources: {cpus: 0.1, memory_bytes: 16 MiB}\n    search: {random: "
                   "{trials: 7}, max_parallel: 3, space: ",
                   kSpace, "}"));
  Play();
  EXPECT_EQ(largest_, 3);
}

TEST_F(SearchTest, CrossValidationMeasuresAndTrainsOnce) {
  const v1::Run run = Create("    cross_validation: {k_fold: {folds: 3}}");
  Play();
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(order_, (std::vector<std::string>{"fit.f1", "fit.f2", "fit.f3", "fit", "release"}));
  const v1::Task own = GetTask(run.name(), "fit");
  EXPECT_EQ(own.attempt(), 1);
  const v1::FoldStatistics& loss = own.result().cross_validation().at("loss");
  ASSERT_EQ(loss.values_size(), 3);
  EXPECT_NEAR(loss.values(2) - loss.values(0), 0.02, 1e-12);
  EXPECT_NEAR(loss.mean(), loss.values(1), 1e-12);
  // Deviation of 0.01 from the mean on both sides: sqrt(2e-4 / 2) / sqrt(3).
  EXPECT_NEAR(loss.standard_error(), 0.01 / std::sqrt(3.0), 1e-12);
  v1::GetDatasetRequest get;
  get.set_name(own.result().out_of_fold().name());
  const auto dataset = Call(server_->datasets(), &DatasetApi::GetDataset, User("ada"), get);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->display_name(), "tiny-fit-out-of-fold.csv");
  EXPECT_EQ(dataset->row_count(), 10);
  EXPECT_EQ(dataset->source().digest(), Sha256Hex("out_of_fold of rate 0.1"));
  ASSERT_EQ(Trials(run.name()).trials_size(), 1);
  EXPECT_EQ(Trials(run.name()).trials(0).fold_values_size(), 3);
  v1::ListTasksRequest request;
  request.set_parent(run.name());
  request.set_step("fit");
  request.set_page_size(2);
  auto tasks = Call(server_->runs(), &RunApi::ListTasks, User("ada"), request);
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  ASSERT_EQ(tasks->tasks_size(), 2);
  request.set_page_token(tasks->next_page_token());
  tasks = Call(server_->runs(), &RunApi::ListTasks, User("ada"), request);
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  ASSERT_EQ(tasks->tasks_size(), 1);
  EXPECT_EQ(tasks->tasks(0).trial().fold(), 3);
  EXPECT_EQ(tasks->next_page_token(), "");
}

TEST_F(SearchTest, TrialsOfFoldsAreComparedByTheirMeanAndTheBestTrainsOnce) {
  const v1::Run run = Create(absl::StrCat(
      "    cross_validation: {k_fold: {folds: 2}}\n    search: {successive_halving: {trials: 4}, "
      "space: ",
      kSpace, "}"));
  std::vector<v1::Attempt> own;
  for (int i = 0; i < 200 && !Take().empty(); ++i) {
    const v1::Attempt next = held_.back();
    if (next.task().ends_with("/fit")) own.push_back(next);
    End(next, Trained(next));
  }
  EXPECT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  const v1::TrialSummary best = Trials(run.name()).trials(0);
  ASSERT_EQ(own.size(), 1);
  EXPECT_EQ(RateOf(own[0]), best.parameters().begin()->second.number_value());
  EXPECT_EQ(own[0].trial().fold(), 0);
  EXPECT_EQ(own[0].trial().epochs(), 0);
  EXPECT_EQ(own[0].trial().after_epochs(), 0);
  EXPECT_EQ(best.fold_values_size(), 2);
  EXPECT_NEAR(best.value(), (best.fold_values(0) + best.fold_values(1)) / 2, 1e-12);
  EXPECT_EQ(GetTask(run.name(), "fit").result().cross_validation().at("loss").mean(), best.value());
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
  Play();
  EXPECT_EQ(GetRun(search.name()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(GetTask(search.name(), "fit").trial().number(), 2);
  EXPECT_EQ(Trials(search.name()).trials(1).state(), v1::TASK_STATE_FAILED);
  const auto events = Watch(search.name());
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
