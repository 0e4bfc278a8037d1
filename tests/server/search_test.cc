// Searches and cross-validation, through a server and workers in this process.
#include "tests/server/search_fixture.h"

namespace beamline::server {
namespace {

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

// However many run at once, in whatever order they end, and wherever the server is killed.
TEST_F(SearchTest, NothingDependsOnOrderOrRestarts) {
  const std::string searches[] = {
      "{tpe: {trials: 9, startup_trials: 3, lag: 2}, space: ",
      "{successive_halving: {trials: 9}, space: ",
      "{hyperband: {}, space: ",
      "{population: {population: 6, generations: 4}, space: ",
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

TEST_F(SearchTest, TheWorstOfAPopulationGoesOnFromTheBest) {
  const v1::Run run = Create(absl::StrCat(
      "    search: {population: {population: 4, generations: 3, resample: 0}, space: ", kSpace,
      "}"));
  std::map<std::string, std::string> needs;
  std::map<std::string, double> rates, losses;
  for (int i = 0; i < 100 && !Take().empty(); ++i) {
    const v1::Attempt next = held_.front();
    const std::string id = next.task().substr(next.task().rfind('/') + 1);
    for (const auto& [key, blob] : next.inputs()) {
      if (key.starts_with("fit.")) needs[id] = key.substr(0, key.find('/'));
    }
    rates[id] = RateOf(next);
    losses[id] = LossOf(next);
    End(next, Trained(next));
  }
  ASSERT_EQ(GetRun(run.name()).state(), v1::RUN_STATE_SUCCEEDED);
  // 9 epochs by thirds: 3, 6, 9. One of four is replaced each time.
  const auto expect = [&](const std::string& before, const std::string& after) {
    const auto id = [](int number, const std::string& end) {
      return absl::StrCat("fit.", number, end);
    };
    int best = 1, worst = 1;
    for (int n = 2; n <= 4; ++n) {
      if (losses.at(id(n, before)) < losses.at(id(best, before))) best = n;
      if (losses.at(id(n, before)) > losses.at(id(worst, before))) worst = n;
    }
    for (int n = 1; n <= 4; ++n) {
      const std::string from = id(n == worst ? best : n, before);
      EXPECT_EQ(needs.at(id(n, after)), from);
      const double ratio = rates.at(id(n, after)) / rates.at(from);
      if (n != worst) {
        EXPECT_EQ(ratio, 1);
      } else {
        EXPECT_NEAR(std::abs(ratio - 1), 0.2, 1e-9);
      }
    }
  };
  expect(".e3", ".e6");
  expect(".e6", "");
  const v1::ListTrialsResponse trials = Trials(run.name());
  EXPECT_EQ(trials.trials(0).number(), GetTask(run.name(), "fit").trial().number());
  EXPECT_EQ(GetTask(run.name(), "fit").trial().after_trial(), 0);
  for (const v1::TrialSummary& trial : trials.trials()) {
    EXPECT_EQ(trial.parameters().begin()->second.number_value(),
              rates.at(absl::StrCat("fit.", trial.number())));
  }
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

}  // namespace
}  // namespace beamline::server
