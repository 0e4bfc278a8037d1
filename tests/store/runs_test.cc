#include "store/runs.h"

#include "base/status_macros.h"
#include "store/events.h"
#include "store/identity.h"
#include "store/pipelines.h"
#include "store/requests.h"
#include "store/trials.h"
#include "store/workers.h"
#include "tests/store/fixture.h"

namespace beamline::store {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

class RunsTest : public StoreTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Write([](Writer& writer) {
                  v1::Project project;
                  project.set_name("projects/optics");
                  absl::Status status = InsertProject(writer, project, kNow);
                  project.set_name("projects/acoustics");
                  status.Update(InsertProject(writer, project, kNow));
                  StoredWorker worker;
                  worker.id = "w1";
                  worker.join_time = kNow;
                  status.Update(InsertWorker(writer, worker));
                  return status;
                }).ok());
  }

  void Create(const std::string& id, const std::string& dataset = "d1") {
    v1::Run run;
    run.set_name("projects/optics/runs/" + id);
    run.set_pipeline("projects/optics/pipelines/lens");
    run.set_state(v1::RUN_STATE_QUEUED);
    (*run.mutable_definition()->mutable_inputs())["events"].set_dataset(
        "projects/optics/datasets/" + dataset);
    StoredTask task;
    task.run = id;
    task.queued_at = kNow;
    task.message.set_step("train");
    task.message.set_state(v1::TASK_STATE_QUEUED);
    task.message.set_name(run.name() + "/tasks/train");
    ASSERT_TRUE(Write([&](Writer& writer) {
                  absl::Status status = InsertRun(writer, "optics", run);
                  status.Update(InsertTask(writer, task));
                  return status;
                }).ok());
  }

  absl::Status Say(const std::string& run, const std::string& metric, int count) {
    return Write([&](Writer& writer) {
      std::vector<v1::Event> events(static_cast<size_t>(count));
      for (v1::Event& event : events) event.mutable_metric()->set_name(metric);
      return AppendEvents(writer, run, events);
    });
  }

  StoredAttempt Attempt(int number) {
    StoredAttempt attempt;
    attempt.run = "r-1";
    attempt.worker = "w1";
    attempt.message.set_task("projects/optics/runs/r-1/tasks/train");
    attempt.message.set_number(number);
    return attempt;
  }
};

TEST_F(RunsTest, ARunIsReadByItsProjectOnly) {
  Create("r-1");
  const auto run = GetRun(Read(), "optics", "r-1");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->message.definition().inputs().at("events").dataset(),
            "projects/optics/datasets/d1");
  EXPECT_TRUE(absl::IsNotFound(GetRun(Read(), "acoustics", "r-1").status()));
  EXPECT_TRUE(*IsDatasetInUse(Read(), "optics", "d1"));
  EXPECT_FALSE(*IsDatasetInUse(Read(), "optics", "d2"));
  v1::Run ended = run->message;
  ended.set_state(v1::RUN_STATE_FAILED);
  ASSERT_TRUE(Write([&](Writer& w) { return UpdateRun(w, ended); }).ok());
  EXPECT_FALSE(*IsDatasetInUse(Read(), "optics", "d1"));
  EXPECT_TRUE(GetRun(Read(), "r-1")->message.has_definition());
}

TEST_F(RunsTest, RunsAreListedNewestFirstByFilter) {
  Create("r-1");
  Create("r-2");
  const auto all = ListRuns(Read(), "optics", {}, INT64_MAX, 10);
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ(all->front().second.name(), "projects/optics/runs/r-2");
  EXPECT_FALSE(all->front().second.has_definition());
  EXPECT_EQ(ListRuns(Read(), "optics", {}, all->front().first, 10)->size(), 1u);
  EXPECT_TRUE(
      ListRuns(Read(), "optics", {.state = v1::RUN_STATE_FAILED, .pipeline = ""}, INT64_MAX, 10)
          ->empty());
}

TEST_F(RunsTest, RunsAreCountedAsTheyChange) {
  Create("r-1");
  Create("r-2");
  EXPECT_EQ(*CountRuns(Read(), "optics", v1::RUN_STATE_QUEUED), 2);
  EXPECT_EQ(*CountRuns(Read(), "acoustics", v1::RUN_STATE_QUEUED), 0);
  v1::Run run = GetRun(Read(), "r-1")->message;
  run.set_state(v1::RUN_STATE_RUNNING);
  ASSERT_TRUE(Write([&](Writer& w) { return UpdateRun(w, run); }).ok());
  ASSERT_TRUE(Write([&](Writer& w) { return UpdateRun(w, run); }).ok());
  EXPECT_EQ(*CountRuns(Read(), "optics", v1::RUN_STATE_QUEUED), 1);
  EXPECT_EQ(*CountRuns(Read(), "optics", v1::RUN_STATE_RUNNING), 1);
  EXPECT_FALSE(Write([&](Writer& w) {
                 run.set_state(v1::RUN_STATE_FAILED);
                 EXPECT_TRUE(UpdateRun(w, run).ok());
                 return absl::AbortedError("no");
               }).ok());
  EXPECT_EQ(*CountRuns(Read(), "optics", v1::RUN_STATE_RUNNING), 1);
  EXPECT_EQ(*CountRuns(Read(), "optics", v1::RUN_STATE_FAILED), 0);
}

TEST_F(RunsTest, EventsAreNumberedWithoutGapsEvenIfACommandFails) {
  Create("r-1");
  Create("r-2");
  ASSERT_TRUE(Say("r-1", "loss", 3).ok());
  EXPECT_FALSE(Write([&](Writer& writer) {
                 std::vector<v1::Event> events(2);
                 EXPECT_TRUE(AppendEvents(writer, "r-1", events).ok());
                 return absl::AbortedError("no");
               }).ok());
  ASSERT_TRUE(Say("r-2", "loss", 1).ok());
  ASSERT_TRUE(Say("r-1", "auc", 2).ok());
  const auto events = ListEvents(Read(), "r-1", 0, 100);
  ASSERT_EQ(events->size(), 5u);
  for (size_t i = 0; i < events->size(); ++i) {
    EXPECT_EQ((*events)[i].sequence(), static_cast<int64_t>(i) + 1);
  }
  EXPECT_EQ(*LastSequence(Read(), "r-1"), 5);
  EXPECT_EQ(ListEvents(Read(), "r-1", 2, 2)->front().sequence(), 3);
  const EventFilter auc{.kind = v1::Event::kMetric, .task = "", .name = "auc"};
  EXPECT_EQ(ListEvents(Read(), "r-1", 0, 100, auc)->size(), 2u);
  const EventFilter logs{.kind = v1::Event::kLog, .task = "", .name = ""};
  EXPECT_TRUE(ListEvents(Read(), "r-1", 0, 100, logs)->empty());
}

TEST_F(RunsTest, TrialsAreListedBesideTheTasksOfSteps) {
  Create("r-1");
  const auto add = [&](const std::string& id, int number, int epochs) {
    StoredTask task;
    task.run = "r-1";
    task.message.set_name("projects/optics/runs/r-1/tasks/" + id);
    task.message.set_step("train");
    task.message.set_state(v1::TASK_STATE_QUEUED);
    StoredTrial trial;
    trial.run = "r-1";
    trial.step = "train";
    trial.task = id;
    trial.state = v1::TASK_STATE_QUEUED;
    trial.message.set_number(number);
    trial.message.set_epochs(epochs);
    return Write([&](Writer& w) {
      RETURN_IF_ERROR(InsertTask(w, task));
      return InsertTrial(w, trial);
    });
  };
  ASSERT_TRUE(add("train.2", 2, 0).ok());
  ASSERT_TRUE(add("train.1.e3", 1, 3).ok());
  // Neither the step's own task nor one whose name begins alike.
  ASSERT_TRUE(add("train-on.1", 3, 0).ok());
  EXPECT_FALSE(add("train.4", 2, 0).ok());
  EXPECT_EQ(ListStepTasks(Read(), "r-1")->size(), 1u);
  EXPECT_EQ(*CountLiveTasks(Read(), "r-1"), 4);
  auto some = ListRepetitions(Read(), "r-1", "train", 0, 1);
  ASSERT_EQ(some->size(), 1u);
  EXPECT_EQ(some->front().second.id(), "train.2");
  some = ListRepetitions(Read(), "r-1", "train", some->front().first, 10);
  ASSERT_EQ(some->size(), 1u);
  EXPECT_EQ(some->front().second.id(), "train.1.e3");

  auto trials = ListTrials(Read(), "r-1", "train");
  ASSERT_EQ(trials->size(), 3u);
  EXPECT_EQ(trials->front().task, "train.1.e3");
  EXPECT_FALSE(trials->front().value.has_value());
  trials->front().state = v1::TASK_STATE_SUCCEEDED;
  trials->front().value = 0.25;
  trials->front().seconds = 1.5;
  ASSERT_TRUE(Write([&](Writer& w) { return UpdateTrial(w, trials->front()); }).ok());
  Reopen();
  trials = ListTrials(Read(), "r-1", "train");
  EXPECT_EQ(trials->front().value, 0.25);
  EXPECT_EQ(trials->front().seconds, 1.5);
  EXPECT_EQ(trials->front().state, v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(trials->front().message.epochs(), 3);
}

TEST_F(RunsTest, ATaskHasOneLiveAttemptAtMost) {
  Create("r-1");
  ASSERT_TRUE(Write([&](Writer& w) { return InsertAttempt(w, Attempt(1)); }).ok());
  EXPECT_FALSE(Write([&](Writer& w) { return InsertAttempt(w, Attempt(2)); }).ok());
  EXPECT_EQ(ListLiveAttempts(Read(), "w1")->size(), 1u);
  EXPECT_TRUE(ListLiveAttempts(Read(), "w2")->empty());
  StoredAttempt ended = Attempt(1);
  ended.live = false;
  ended.acknowledged = 7;
  ASSERT_TRUE(Write([&](Writer& w) { return UpdateAttempt(w, ended); }).ok());
  ASSERT_TRUE(Write([&](Writer& w) { return InsertAttempt(w, Attempt(2)); }).ok());
  EXPECT_EQ(GetAttempt(Read(), "r-1", "train", 1)->acknowledged, 7);
  EXPECT_EQ(ListLiveAttempts(Read(), "")->front().message.number(), 2);
}

TEST_F(RunsTest, TasksKeepWhatTheSchedulerNeeds) {
  Create("r-1");
  auto task = GetTask(Read(), "r-1", "train");
  ASSERT_TRUE(task.ok());
  task->failures = 2;
  task->losses = 3;
  task->attained = 5;
  task->not_before = kNow + absl::Seconds(4);
  task->stopping = Stopping::kMakesRoom;
  ASSERT_TRUE(Write([&](Writer& w) { return UpdateTask(w, *task); }).ok());
  Reopen();
  const auto queued = ListTasksInState(Read(), v1::TASK_STATE_QUEUED);
  ASSERT_EQ(queued->size(), 1u);
  EXPECT_EQ(queued->front().failures, 2);
  EXPECT_EQ(queued->front().losses, 3);
  EXPECT_EQ(queued->front().not_before, kNow + absl::Seconds(4));
  EXPECT_EQ(queued->front().stopping, Stopping::kMakesRoom);
  EXPECT_EQ(queued->front().attained, 5);
}

TEST_F(RunsTest, AModelVersionIsNeverGivenTwice) {
  const auto publish = [&](const std::string& run) {
    return Write([&](Writer& writer) -> absl::Status {
      const auto version = TakeModelVersion(writer, "optics", "lens");
      v1::Model model;
      model.set_name("projects/optics/models/lens/versions/" + std::to_string(*version));
      return InsertModel(writer, "optics", "lens", *version, run, "publish", model);
    });
  };
  ASSERT_TRUE(publish("r-1").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(publish("r-1"))) << "a step publishes once";
  ASSERT_TRUE(publish("r-2").ok());
  EXPECT_EQ(GetModel(Read(), "optics", "lens", 0)->name(),
            "projects/optics/models/lens/versions/2");
  EXPECT_EQ(ListModels(Read(), "optics", "", INT64_MAX, 10)->size(), 1u);
  EXPECT_EQ(ListModels(Read(), "optics", "lens", INT64_MAX, 10)->size(), 2u);
  ASSERT_TRUE(Write([](Writer& w) { return DeleteModel(w, "optics", "lens", 2); }).ok());
  ASSERT_TRUE(publish("r-3").ok());
  EXPECT_EQ(GetModel(Read(), "optics", "lens", 0)->name(),
            "projects/optics/models/lens/versions/3");
}

TEST_F(RunsTest, StorageCountsABlobOnce) {
  v1::Blob blob;
  blob.set_digest("d");
  blob.set_size_bytes(100);
  ASSERT_TRUE(Write([&](Writer& writer) {
                absl::Status status = AddBlobReference(writer, "optics", blob, "datasets/1");
                status.Update(AddBlobReference(writer, "optics", blob, "datasets/2"));
                status.Update(AddBlobReference(writer, "optics", blob, "datasets/2"));
                return status;
              }).ok());
  EXPECT_EQ(*StorageBytes(Read(), "optics"), 100);
  EXPECT_EQ(*StorageBytes(Read(), "acoustics"), 0);
  EXPECT_TRUE(*HasBlobReference(Read(), "optics", "d"));
  EXPECT_FALSE(*HasBlobReference(Read(), "acoustics", "d"));
}

TEST_F(RunsTest, RequestsAreForgottenInTime) {
  const StoredRequest request{.principal = "users/ada",
                              .request_id = "x",
                              .method = "M",
                              .digest = "d",
                              .response = "answer",
                              .create_time = kNow};
  ASSERT_TRUE(Write([&](Writer& w) { return InsertRequest(w, request); }).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Write([&](Writer& w) { return InsertRequest(w, request); })));
  EXPECT_EQ(GetRequest(Read(), "users/ada", "x")->response, "answer");
  ASSERT_TRUE(Write([&](Writer& w) {
                return DeleteRequestsBefore(w, kNow + absl::Hours(1)).status();
              }).ok());
  EXPECT_TRUE(absl::IsNotFound(GetRequest(Read(), "users/ada", "x").status()));
}

}  // namespace
}  // namespace beamline::store
