// The real executor with real processes, and a server in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/digest.h"
#include "base/file.h"
#include "tests/worker/memory_blobs.h"
#include "tests/worker/recorder.h"
#include "worker/gpus.h"
#include "worker/probe.h"
#include "worker/process_executor.h"

namespace beamline::worker {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

#ifdef BEAMLINE_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

class ProcessTest : public ::testing::Test {
 protected:
  ProcessTest() {
    options_.work_folder = folder_.path() + "/work";
    options_.cancel_grace_ms = 300;
    options_.release_grace_ms = 5'000;
    options_.kill_grace_ms = 300;
    setenv("BEAMLINE_SECRET", "must not reach a task", 1);
    cache_ = BlobCache::Open(folder_.path() + "/cache", 1 << 20).value();
    starter_ = std::make_unique<TaskStarter>(TaskStarter::Options{.binary = TASK_DOUBLE});
    executor_ = std::make_unique<ProcessExecutor>(options_, *starter_, *cache_, blobs_, clock_);
    EXPECT_TRUE(executor_->Prepare().ok());
    attempt_.set_task("projects/p/runs/r/tasks/t");
    attempt_.set_number(3);
  }

  void Start(const std::string& behaviour) {
    attempt_.set_step(behaviour);
    execution_ = executor_->Start(std::make_shared<v1::Attempt>(attempt_), recorder_);
  }
  v1::AttemptResult RunToEnd(const std::string& behaviour) {
    Start(behaviour);
    return recorder_->End();
  }
  static bool IsProgress(const v1::Event& event) { return event.has_progress(); }

  TemporaryDirectory folder_;
  SystemClock clock_;
  ProcessExecutorOptions options_;
  MemoryBlobs blobs_;
  std::unique_ptr<BlobCache> cache_;
  std::unique_ptr<TaskStarter> starter_;
  std::unique_ptr<ProcessExecutor> executor_;
  v1::Attempt attempt_;
  std::shared_ptr<Recorder> recorder_ = std::make_shared<Recorder>();
  std::unique_ptr<Execution> execution_;
};

TEST_F(ProcessTest, SuccessBringsEventsAndArtifacts) {
  const v1::AttemptResult result = RunToEnd("succeed");
  ASSERT_EQ(result.outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED) << result.DebugString();
  EXPECT_EQ(blobs_.Bytes(result.result().artifacts().at("model")), "weights");
  const auto events = recorder_->events();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[1].progress().step(), 2);
  EXPECT_EQ(events[1].step(), "succeed");
  EXPECT_EQ(events[1].attempt(), 3);
  EXPECT_TRUE(events[1].has_time());
  EXPECT_THAT(cache_->Digests(9), Contains(Sha256Hex("weights"))) << "for the next step";
  EXPECT_TRUE(std::filesystem::is_empty(options_.work_folder));
}

TEST_F(ProcessTest, InputsComeThroughTheCacheReadOnly) {
  (*attempt_.mutable_inputs())["events"] = blobs_.Put("rows");
  *attempt_.mutable_checkpoint() = blobs_.Put("weights so far");
  ASSERT_EQ(RunToEnd("read-inputs").outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_THAT(recorder_->Logs(),
              ::testing::ElementsAre("events=rows", "checkpoint=weights so far"));
}

TEST_F(ProcessTest, AMissingInputIsNoFaultOfTheTask) {
  v1::Blob& blob = (*attempt_.mutable_inputs())["events"];
  blob.set_digest(Sha256Hex("nowhere"));
  blob.set_size_bytes(7);
  const v1::AttemptResult result = RunToEnd("succeed");
  EXPECT_EQ(result.failure().kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_THAT(result.failure().message(), HasSubstr("events"));
}

TEST_F(ProcessTest, AnAttemptSeesItsOwnGpusAndNoOthers) {
  ProcessExecutorOptions options = options_;
  options.gpus = MakeFakeGpus("gpu0:H100:80GiB,gpu1/mig0:A30 MIG:6GiB").value()->gpus();
  executor_ = std::make_unique<ProcessExecutor>(options, *starter_, *cache_, blobs_, clock_);
  attempt_.add_devices("gpu1/mig0");
  EXPECT_EQ(RunToEnd("show-gpus").outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_THAT(recorder_->Logs(),
              ::testing::ElementsAre("visible=FAKE-gpu1/mig0", "gpu=gpu1/mig0 A30 MIG",
                                     "drivers shown", "what the driver needs"));
}

TEST_F(ProcessTest, AnAttemptWithoutGpusSeesNone) {
  setenv("CUDA_VISIBLE_DEVICES", "0,1", 1);
  attempt_.add_devices("cpu");
  EXPECT_EQ(RunToEnd("show-gpus").outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  unsetenv("CUDA_VISIBLE_DEVICES");
  const auto logs = recorder_->Logs();
  ASSERT_THAT(logs, SizeIs(3));
  EXPECT_EQ(logs[0], "visible=");
  EXPECT_EQ(logs[2], "not what the driver needs");
  const auto enforced = ProbeConfinement(TASK_DOUBLE);
  ASSERT_TRUE(enforced.ok()) << enforced.status();
  if (std::find(enforced->begin(), enforced->end(), "Landlock") != enforced->end()) {
    EXPECT_EQ(logs[1], "drivers hidden");
  }
}

TEST_F(ProcessTest, ADeviceThatTheWorkerLacksIsNoFaultOfTheTask) {
  attempt_.add_devices("gpu3");
  const v1::AttemptResult result = RunToEnd("succeed");
  EXPECT_EQ(result.failure().kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_THAT(result.failure().message(), HasSubstr("no device gpu3"));
}

// Where there is a GPU: the confinement leaves CUDA what it needs.
TEST_F(ProcessTest, AConfinedAttemptComputesOnItsGpu) {
  const auto found = FindGpus();
  if (!found.ok()) GTEST_SKIP() << found.status();
  if ((*found)->gpus().empty()) GTEST_SKIP() << "the driver tells of no GPU";
  ProcessExecutorOptions options = options_;
  options.gpus = (*found)->gpus();
  executor_ = std::make_unique<ProcessExecutor>(options, *starter_, *cache_, blobs_, clock_);
  attempt_.add_devices(options.gpus.back().id());
  EXPECT_EQ(RunToEnd("use-gpu").outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_THAT(recorder_->Logs(), ::testing::ElementsAre("devices=1 works"));
}

TEST_F(ProcessTest, AUsersMistakeIsHandedOnAsItIs) {
  const v1::AttemptResult result = RunToEnd("user-error");
  EXPECT_EQ(result.failure().kind(), v1::FAILURE_KIND_USER);
  EXPECT_EQ(result.failure().message(), "no such column");
}

TEST_F(ProcessTest, ACrashNamesTheSignalAndTheLastWords) {
  const v1::AttemptResult result = RunToEnd("crash");
  EXPECT_EQ(result.failure().kind(), v1::FAILURE_KIND_CRASH);
  EXPECT_THAT(result.failure().message(), HasSubstr("SIGSEGV"));
  EXPECT_THAT(result.failure().message(), HasSubstr("about to die"));
}

TEST_F(ProcessTest, AnExitWithoutAResultIsACrash) {
  const v1::AttemptResult result = RunToEnd("exit-seven");
  EXPECT_EQ(result.failure().kind(), v1::FAILURE_KIND_CRASH);
  EXPECT_THAT(result.failure().message(), HasSubstr("exit code 7"));
}

TEST_F(ProcessTest, TooMuchMemoryIsToldApart) {
  EXPECT_EQ(RunToEnd("abort-memory").failure().kind(), v1::FAILURE_KIND_OUT_OF_MEMORY);
  if (kSanitized) GTEST_SKIP() << "sanitizers cannot live under a memory limit";
  recorder_ = std::make_shared<Recorder>();
  attempt_.mutable_resources()->set_memory_bytes(64 << 20);
  EXPECT_EQ(RunToEnd("memory").failure().kind(), v1::FAILURE_KIND_OUT_OF_MEMORY);
}

TEST_F(ProcessTest, AFloodOfLinesIsBounded) {
  ASSERT_EQ(RunToEnd("flood").outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_LT(recorder_->Logs().size(), 5'000u);
  EXPECT_THAT(recorder_->Logs(), Contains("line 0 of many"));
  EXPECT_THAT(recorder_->Logs(), Contains(HasSubstr("lines left out")));
}

TEST_F(ProcessTest, CancelStopsAnObedientTask) {
  Start("obedient");
  ASSERT_TRUE(recorder_->WaitForEvent(IsProgress));
  execution_->Stop(Execution::StopReason::kCancel);
  EXPECT_EQ(recorder_->End().outcome(), v1::AttemptResult::OUTCOME_CANCELLED);
}

TEST_F(ProcessTest, CancelEndsATaskThatDoesNotListen) {
  for (const char* behaviour : {"hang", "hang-deaf"}) {
    recorder_ = std::make_shared<Recorder>();
    Start(behaviour);
    ASSERT_TRUE(recorder_->WaitForEvent(IsProgress));
    execution_->Stop(Execution::StopReason::kCancel);
    EXPECT_EQ(recorder_->End().outcome(), v1::AttemptResult::OUTCOME_CANCELLED) << behaviour;
  }
}

TEST_F(ProcessTest, ReleaseUploadsTheCheckpointBeforeItEnds) {
  Start("obedient");
  ASSERT_TRUE(recorder_->WaitForEvent([](const v1::Event& event) {
    return event.has_checkpoint() && event.checkpoint().step() == 5;
  }));
  execution_->Stop(Execution::StopReason::kRelease);
  EXPECT_EQ(recorder_->End().outcome(), v1::AttemptResult::OUTCOME_RELEASED);
  const v1::Event last = recorder_->events().back();
  ASSERT_TRUE(last.has_checkpoint());
  EXPECT_EQ(blobs_.Bytes(last.checkpoint().blob()), "at step 9");
}

TEST_F(ProcessTest, ForgottenAttemptsDieAtOnce) {
  Start("hang-deaf");
  ASSERT_TRUE(recorder_->WaitForEvent(IsProgress));
  const int64_t before_ms = clock_.MonotonicMillis();
  execution_.reset();
  EXPECT_LT(clock_.MonotonicMillis() - before_ms, 2'000);
}

TEST_F(ProcessTest, GarbageFromATaskHarmsNobody) {
  for (const char* behaviour : {"long-frame", "half-frame"}) {
    recorder_ = std::make_shared<Recorder>();
    EXPECT_EQ(RunToEnd(behaviour).failure().kind(), v1::FAILURE_KIND_CRASH) << behaviour;
  }
}

TEST_F(ProcessTest, ATaskCannotHaveForeignFilesUploaded) {
  const v1::AttemptResult result = RunToEnd("steal");
  EXPECT_EQ(result.outcome(), v1::AttemptResult::OUTCOME_FAILED);
  EXPECT_THAT(result.failure().message(), HasSubstr("/etc/passwd"));
}

// What "escape" says where nothing stands open. Files are hidden where the kernel can do that.
std::string NoOpenDoors() {
  const auto walls = ProbeConfinement(TASK_DOUBLE);
  EXPECT_TRUE(walls.ok()) << walls.status();
  EXPECT_THAT(*walls, Contains("seccomp"));
  const bool landlock = std::find(walls->begin(), walls->end(), "Landlock") != walls->end();
  return landlock ? "open:" : "open: write outside read outside";
}

TEST_F(ProcessTest, TheWallsHold) {
  ASSERT_EQ(RunToEnd("escape").outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_THAT(recorder_->Logs(), ::testing::ElementsAre(NoOpenDoors()));
}

TEST_F(ProcessTest, TheWallsHoldAroundAGpuToo) {
  ProcessExecutorOptions options = options_;
  options.gpus = MakeFakeGpus("gpu0:H100:80GiB").value()->gpus();
  executor_ = std::make_unique<ProcessExecutor>(options, *starter_, *cache_, blobs_, clock_);
  attempt_.add_devices("gpu0");
  ASSERT_EQ(RunToEnd("escape").outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_THAT(recorder_->Logs(), ::testing::ElementsAre(NoOpenDoors()));
}

TEST_F(ProcessTest, AForkBombMakesNothing) {
  ASSERT_EQ(RunToEnd("fork").outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_THAT(recorder_->Logs(), ::testing::ElementsAre("made 0"));
}

TEST_F(ProcessTest, APausedTaskWaitsAndLosesNothing) {
  Start("succeed");
  execution_->SetPaused(true);
  usleep(50'000);
  execution_->SetPaused(false);
  EXPECT_EQ(recorder_->End().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_THAT(recorder_->events(), SizeIs(2));
}

TEST_F(ProcessTest, ABinaryThatDoesNotExistIsReported) {
  TaskStarter starter({.binary = "/nonexistent/beamline-task", .keep_one_ready = false});
  ProcessExecutor executor(options_, starter, *cache_, blobs_, clock_);
  execution_ = executor.Start(std::make_shared<v1::Attempt>(attempt_), recorder_);
  const v1::AttemptResult result = recorder_->End();
  EXPECT_EQ(result.failure().kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_THAT(result.failure().message(), HasSubstr("/nonexistent/beamline-task"));
  execution_.reset();
}

TEST_F(ProcessTest, StartingTakesMilliseconds) {
  std::vector<int64_t> times_ms;
  for (int i = 0; i < 5; ++i) {
    recorder_ = std::make_shared<Recorder>();
    // The process that is kept ready comes back after a moment.
    usleep(200'000);
    const int64_t before_ms = clock_.MonotonicMillis();
    Start("obedient");
    ASSERT_TRUE(recorder_->WaitForEvent(IsProgress));
    times_ms.push_back(clock_.MonotonicMillis() - before_ms);
    execution_.reset();
  }
  std::sort(times_ms.begin(), times_ms.end());
  RecordProperty("median_ms", static_cast<int>(times_ms[2]));
  EXPECT_LT(times_ms[2], kSanitized ? 1'000 : 100) << "with room for a busy machine";
}

// A worker that is killed takes its tasks along: here a child process is the worker.
TEST_F(ProcessTest, TasksDieWithTheWorker) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  starter_.reset();
  const pid_t worker = fork();
  if (worker == 0) {
    auto process = TaskProcess::Start(TASK_DOUBLE, {}, "/");
    v1::TaskCommand command;
    attempt_.set_step("hang-deaf");
    *command.mutable_start()->mutable_attempt() = attempt_;
    command.mutable_start()->set_work_folder(folder_.path());
    if (!process.ok() || !(*process)->Send(command).ok()) _exit(1);
    const pid_t task = (*process)->pid();
    std::vector<v1::TaskMessage> messages;
    while (messages.empty()) {
      if (!(*process)->ReadMessages(messages).ok()) _exit(1);
      usleep(1000);
    }
    if (write(write_end.get(), &task, sizeof task) != sizeof task) _exit(1);
    while (true) pause();
  }
  pid_t task = -1;
  ASSERT_EQ(read(read_end.get(), &task, sizeof task), static_cast<ssize_t>(sizeof task));
  ASSERT_EQ(kill(task, 0), 0);
  kill(worker, SIGKILL);
  ASSERT_EQ(waitpid(worker, nullptr, 0), worker);
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    usleep(10'000);
    // Reaped by init, or a zombie where nobody reaps.
    const auto stat = ReadFile("/proc/" + std::to_string(task) + "/stat", 4096);
    gone = !stat.ok() || stat->find(") Z ") != std::string::npos;
  }
  EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace beamline::worker
