// Results of steps that later runs take.
#include "server/step_cache.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "store/connection.h"
#include "store/store.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

constexpr char kThreeSteps[] = R"(
name: tiny
inputs:
  points: {file: points.csv}
steps:
  - name: fit
    train:
      data: {input: points, target: y, split: {modulo: {divisor: 2}}}
      network:
        layers: [{dense: {units: 1}}]
        epochs: 1
  - name: check
    evaluate: {model: fit}
  - name: release
    publish: {model: fit, name: tiny}
)";

class StepCacheTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    worker_.emplace(*server_);
    worker_->Synchronize(*server_);
  }

  v1::CreateRunRequest Request(const std::map<std::string, std::string>& changes = {}) {
    v1::CreateRunRequest request = RunRequest();
    request.mutable_source()->set_yaml(absl::StrReplaceAll(kThreeSteps, changes));
    return request;
  }
  std::string Run(const v1::CreateRunRequest& request) {
    const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? run->name() : "";
  }
  // Does all that there is to do; the steps that it was given.
  std::vector<std::string> Work() {
    std::vector<std::string> steps;
    for (auto work = worker_->Synchronize(*server_); work.start_size() > 0;
         work = worker_->Synchronize(*server_)) {
      for (const v1::Attempt& attempt : work.start()) {
        steps.push_back(attempt.step());
        if (attempt.step() == "fit") {
          worker_->Train(*server_, attempt);
          continue;
        }
        v1::AttemptReport end = FakeWorker::Success(1);
        if (attempt.step() == "check") {
          auto& evaluation = *end.mutable_result()->mutable_result()->mutable_evaluation();
          (*evaluation.mutable_metrics())["auc"] = 0.75;
        }
        EXPECT_TRUE(worker_->Report(*server_, attempt, {end}).ok());
        worker_->Drop(attempt.task());
      }
    }
    return steps;
  }

  // What a run of the definition would take. Stops the server.
  std::map<std::string, std::string> Found(const v1::PipelineDefinition& definition) {
    server_.reset();
    const auto opened = store::Store::Open(Options().state_folder + "/beamline.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    if (!opened.ok()) return {};
    const auto reader = (*opened)->Read();
    EXPECT_TRUE(reader.ok()) << reader.status();
    if (!reader.ok()) return {};
    const auto found = FindEarlierResults(*reader, "optics", definition);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : std::map<std::string, std::string>();
  }
  // As if the run that made them had been removed.
  void LoseResultsOf(const std::string& step) {
    server_.reset();
    const auto database = store::Connection::Open(Options().state_folder + "/beamline.db",
                                                  store::Connection::Mode::kReadWrite);
    ASSERT_TRUE(database.ok()) << database.status();
    ASSERT_TRUE((*database)->Script("PRAGMA foreign_keys = OFF;").ok());
    const auto changed =
        (*database)->Execute("UPDATE step_results SET run = 'gone' WHERE task = ?1", step);
    ASSERT_TRUE(changed.ok()) << changed.status();
    EXPECT_EQ(*changed, 1);
  }

  std::optional<FakeWorker> worker_;
};

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST_F(StepCacheTest, TheSameStepIsNotDoneTwice) {
  const std::string first = Run(Request());
  EXPECT_THAT(Work(), UnorderedElementsAre("fit", "check", "release"));
  Restart();
  worker_->Synchronize(*server_);
  const std::string second = Run(Request());
  EXPECT_THAT(Work(), ElementsAre("release")) << "publishing is an effect, no result";
  EXPECT_EQ(GetRun(second).state(), v1::RUN_STATE_SUCCEEDED);
  const v1::Task fit = GetTask(second, "fit");
  EXPECT_EQ(fit.result().taken_from(), first + "/tasks/fit");
  EXPECT_EQ(fit.result().artifacts().at("model").digest(), Sha256Hex("weights"));
  const v1::Task check = GetTask(second, "check");
  EXPECT_EQ(check.result().taken_from(), first + "/tasks/check");
  EXPECT_EQ(check.result().evaluation().metrics().at("auc"), 0.75);
  std::vector<std::string> reasons;
  for (const v1::Event& event : Watch(second)) {
    if (event.step() == "fit") reasons.push_back(event.task_state().reason());
  }
  EXPECT_THAT(reasons, ElementsAre("taken from " + first + "/tasks/fit"));

  // The model says who really trained it; a third run names the first one too.
  v1::GetModelRequest get;
  get.set_name(GetRun(second).models(0));
  const auto model = Call(server_->models(), &ModelApi::GetModel, User("ada"), get);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->lineage().run(), first);
  EXPECT_EQ(model->evaluations().at("check").metrics().at("auc"), 0.75);
  const std::string third = Run(Request());
  EXPECT_EQ(GetTask(third, "fit").result().taken_from(), first + "/tasks/fit");
}

TEST_F(StepCacheTest, ARunOfNothingElseEndsAtOnce) {
  v1::CreateRunRequest request =
      Request({{"  - name: release\n", ""}, {"    publish: {model: fit, name: tiny}\n", ""}});
  Run(request);
  EXPECT_THAT(Work(), ElementsAre("fit", "check"));
  const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(Watch(run->name()).back().run_state().state(), v1::RUN_STATE_SUCCEEDED);
}

TEST_F(StepCacheTest, WhatChangesTheResultIsDoneAgain) {
  Run(Request());
  Work();
  // Seed, definition, data; what comes after a changed step is changed by its result alone.
  Run(Request({{"name: tiny\ninputs", "name: tiny\nseed: 2\ninputs"}}));
  EXPECT_THAT(Work(), UnorderedElementsAre("fit", "check", "release"));
  Run(Request({{"layers: [{dense", "layers: [{dense: {units: 2}}, {dense"}}));
  EXPECT_THAT(Work(), UnorderedElementsAre("fit", "release")) << "the model has the same bytes";
  v1::CreateRunRequest other = Request();
  (*other.mutable_inputs())["points"] = Upload("optics", std::string(kCsv) + "11,0\n");
  Run(other);
  EXPECT_THAT(Work(), UnorderedElementsAre("fit", "check", "release"));
  v1::CreateRunRequest fresh = Request();
  fresh.set_fresh(true);
  Run(fresh);
  EXPECT_THAT(Work(), UnorderedElementsAre("fit", "check", "release"));
}

TEST_F(StepCacheTest, WhatDoesNotChangeTheResultMatchesAll) {
  Run(Request());
  Work();
  Run(Request({{"name: fit\n",
                "name: fit\n    resources: {cpus: 2}\n    timeout_seconds: 99\n"
                "    retry: {max_attempts: 2}\n"},
               {"epochs: 1\n", "epochs: 1\n      checkpoint: {every_steps: 1}\n"}}));
  EXPECT_THAT(Work(), ElementsAre("release"));
}

TEST_F(StepCacheTest, WhereAShortNameLeadsIsPartOfWhatIsSearched) {
  const std::string search = "name: fit\n    search: {grid: {}, space: {knob: {choice: [2]}}}\n";
  const std::string head = "seed: 1\nparameters: [{name: knob, path: steps.fit.train.network.";
  const auto request = [&](const std::string& path, const std::string& more = "") {
    return Request(
        {{"name: fit\n", more.empty() ? search : more},
         {"name: tiny\ninputs", "name: tiny\n" + head + path + "}]\ninputs"},
         {"split: {modulo: {divisor: 2}}", "split: {modulo: {divisor: 2, validation: 0.4}}"}});
  };
  const auto searched = [&](const v1::CreateRunRequest& what) {
    Run(what);
    const auto work = worker_->Synchronize(*server_);
    for (const v1::Attempt& attempt : work.start()) {
      v1::AttemptReport end = FakeWorker::Success(1);
      auto& metrics = *end.mutable_result()->mutable_result()->mutable_metrics();
      metrics["validation_auc"] = metrics["validation_loss"] = metrics["validation_accuracy"] = 0.5;
      const auto blob = worker_->WriteBlob(*server_, attempt, "weights");
      (*end.mutable_result()->mutable_result()->mutable_artifacts())["model"] = *blob;
      EXPECT_TRUE(worker_->Report(*server_, attempt, {end}).ok());
      worker_->Drop(attempt.task());
    }
    Work();
    return work.start_size() > 0 && work.start(0).step() == "fit";
  };
  EXPECT_TRUE(searched(request("batch_size")));
  EXPECT_FALSE(searched(request("batch_size")));
  EXPECT_TRUE(searched(request("epochs"))) << "the same bytes of the step search something else";
  // What a limit of time has cut off depends on the machines.
  const std::string limited =
      "name: fit\n    search: {grid: {}, max_seconds: 9, space: {knob: {choice: [2]}}}\n";
  EXPECT_TRUE(searched(request("batch_size", limited)));
  EXPECT_TRUE(searched(request("batch_size", limited)));
}

TEST_F(StepCacheTest, AFreshResultReplacesTheOneBefore) {
  const std::string first = Run(Request());
  Work();
  v1::CreateRunRequest fresh = Request();
  fresh.set_fresh(true);
  const std::string second = Run(fresh);
  Work();
  EXPECT_EQ(GetTask(Run(Request()), "fit").result().taken_from(), second + "/tasks/fit");
}

TEST_F(StepCacheTest, OtherProjectsAndFailedStepsGiveNothing) {
  Run(Request());
  Work();
  v1::CreateRunRequest other = RunRequest("", "acoustics");
  other.mutable_source()->set_yaml(kThreeSteps);
  Run(other);
  EXPECT_THAT(Work(), UnorderedElementsAre("fit", "check", "release"));

  const v1::CreateRunRequest failing =
      Request({{"layers: [{dense", "layers: [{dense: {units: 3}}, {dense"}});
  Run(failing);
  const auto work = worker_->Synchronize(*server_);
  ASSERT_EQ(work.start_size(), 1);
  ASSERT_TRUE(
      worker_->Report(*server_, work.start(0), {FakeWorker::Failed(1, v1::FAILURE_KIND_USER)})
          .ok());
  worker_->Drop(work.start(0).task());
  Run(failing);
  EXPECT_THAT(Work(), ::testing::Contains("fit"));
}

TEST_F(StepCacheTest, WithoutItsDataAStepHasNoEarlierResult) {
  const std::string run = Run(Request());
  Work();
  const v1::PipelineDefinition definition = GetRun(run).definition();
  EXPECT_THAT(Found(definition),
              ElementsAre(Pair("check", run + "/tasks/check"), Pair("fit", run + "/tasks/fit")));
  Start();
  v1::DeleteDatasetRequest request;
  request.set_name(definition.inputs().at("points").dataset());
  ASSERT_TRUE(Call(server_->datasets(), &DatasetApi::DeleteDataset, User("ada"), request).ok());
  EXPECT_THAT(Found(definition), ElementsAre());
}

TEST_F(StepCacheTest, AResultWhoseRunIsGoneIsMadeAgainAndKept) {
  const std::string first = Run(Request());
  Work();
  const v1::PipelineDefinition definition = GetRun(first).definition();
  LoseResultsOf("check");
  EXPECT_THAT(Found(definition), ElementsAre(Pair("fit", first + "/tasks/fit")));
  LoseResultsOf("fit");
  EXPECT_THAT(Found(definition), ElementsAre());
  Start();
  worker_->Synchronize(*server_);
  const std::string second = Run(Request());
  EXPECT_THAT(Work(), UnorderedElementsAre("fit", "check", "release"));
  EXPECT_EQ(GetRun(second).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_THAT(Found(definition), ElementsAre(Pair("check", second + "/tasks/check"),
                                             Pair("fit", second + "/tasks/fit")));
}

}  // namespace
}  // namespace beamline::server
