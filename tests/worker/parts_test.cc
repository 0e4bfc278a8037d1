// Spool, frames, log lines, outcomes, devices, retries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "beamline/v1/task.pb.h"
#include "worker/devices.h"
#include "worker/frames.h"
#include "worker/log_lines.h"
#include "worker/outcome.h"
#include "worker/retrying_blobs.h"
#include "worker/spool.h"

namespace beamline::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Event ProgressEvent(int64_t step) {
  v1::Event event;
  event.mutable_progress()->set_step(step);
  return event;
}
v1::Event LogEvent(size_t bytes) {
  v1::Event event;
  event.mutable_log()->set_text(std::string(bytes, 'x'));
  return event;
}

TEST(SpoolTest, BatchesAreBoundedInReportsAndBytes) {
  ReportSpool spool({.batch_reports = 3, .batch_bytes = 1000, .full_bytes = 1 << 20});
  for (int i = 0; i < 5; ++i) spool.Add(ProgressEvent(i));
  spool.Add(LogEvent(5000));
  spool.Add(LogEvent(600));
  spool.Add(LogEvent(600));
  std::vector<int> sizes;
  while (!spool.empty()) {
    v1::ReportAttemptRequest request;
    spool.FillBatch(request);
    sizes.push_back(request.reports_size());
    spool.Acknowledge(request.reports(request.reports_size() - 1).number());
  }
  EXPECT_THAT(sizes, ElementsAre(3, 2, 1, 1, 1));
}

TEST(SpoolTest, OnlyProgressThatHasNoNumberGivesWay) {
  ReportSpool spool({.batch_reports = 1, .batch_bytes = 1000, .full_bytes = 600});
  spool.Add(ProgressEvent(1));
  v1::ReportAttemptRequest request;
  spool.FillBatch(request);
  spool.Add(LogEvent(500));
  spool.Add(ProgressEvent(2));
  spool.Add(ProgressEvent(3));
  v1::AttemptResult result;
  result.set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  spool.AddResult(result);
  std::vector<std::string> seen;
  for (int64_t number = 1; !spool.finished(); ++number) {
    v1::ReportAttemptRequest next;
    spool.FillBatch(next);
    ASSERT_EQ(next.reports_size(), 1);
    ASSERT_EQ(next.reports(0).number(), number);
    seen.push_back(next.reports(0).has_result() ? "result"
                   : next.reports(0).event().has_log()
                       ? "log"
                       : std::to_string(next.reports(0).event().progress().step()));
    spool.Acknowledge(number);
  }
  EXPECT_THAT(seen, ElementsAre("1", "log", "3", "result"));
}

TEST(SpoolTest, PartialAndForeignAcknowledgements) {
  ReportSpool spool;
  for (int i = 0; i < 4; ++i) spool.Add(ProgressEvent(i));
  v1::ReportAttemptRequest request;
  spool.FillBatch(request);
  ASSERT_EQ(request.reports_size(), 4);
  spool.Acknowledge(2);
  v1::ReportAttemptRequest rest;
  spool.FillBatch(rest);
  ASSERT_EQ(rest.reports_size(), 2);
  EXPECT_EQ(rest.reports(0).number(), 3);
  spool.Acknowledge(1000);
  EXPECT_TRUE(spool.empty());
  EXPECT_FALSE(spool.finished());
}

TEST(FrameTest, WholeMessagesComeOutHoweverTheBytesArrive) {
  v1::TaskCommand command;
  command.mutable_stop()->set_checkpoint(true);
  const std::string frame = *EncodeFrame(command);
  EXPECT_EQ(frame.substr(0, 4), std::string("\x04\0\0\0", 4));
  FrameReader reader;
  int whole = 0;
  for (const char byte : frame + frame + frame.substr(0, 5)) {
    reader.Append({&byte, 1});
    const auto next = reader.Next();
    ASSERT_TRUE(next.ok());
    if (next->has_value()) {
      v1::TaskCommand read;
      ASSERT_TRUE(read.ParseFromArray((*next)->data(), (*next)->size()));
      EXPECT_TRUE(read.stop().checkpoint());
      ++whole;
    }
  }
  EXPECT_EQ(whole, 2);
  EXPECT_TRUE(reader.HasPartialFrame());
}

TEST(FrameTest, HostileLengthsAreRefusedBeforeAnythingIsAllocated) {
  for (const std::string header : {"\xff\xff\xff\xff", "\x01\x00\x00\x04"}) {
    FrameReader reader;
    reader.Append(std::string_view(header.data(), 4));
    EXPECT_TRUE(absl::IsInvalidArgument(reader.Next().status()));
  }
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  ASSERT_TRUE(WriteFully(write_end.get(), "\xff\xff\xff\x7f").ok());
  v1::TaskCommand command;
  EXPECT_TRUE(absl::IsInvalidArgument(ReadFrame(read_end.get(), command)));
  ASSERT_TRUE(WriteFully(write_end.get(), std::string("\x02\0\0\0\xff\xff", 6)).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(ReadFrame(read_end.get(), command)));
  write_end.Reset();
  EXPECT_TRUE(absl::IsCancelled(ReadFrame(read_end.get(), command)));
}

TEST(LogLinesTest, CutsCleansAndKeepsTheRest) {
  LineSplitter splitter;
  EXPECT_THAT(splitter.Append("one\r\ntwo\nthr"), ElementsAre("one", "two"));
  EXPECT_THAT(splitter.Append("ee\n\n"), ElementsAre("three", ""));
  EXPECT_THAT(splitter.Append("last"), ElementsAre());
  EXPECT_THAT(splitter.Finish(), ElementsAre("last"));
  EXPECT_THAT(splitter.Finish(), ElementsAre());
  size_t bytes = 0;
  for (const std::string& line : splitter.Append(std::string(100'000, '\xff') + "\n")) {
    EXPECT_LE(line.size(), kMaxLineBytes);
    bytes += line.size();
  }
  EXPECT_EQ(bytes, 300'000u);
}

TEST(LogLinesTest, TextIsFitForAProtoAndATerminal) {
  EXPECT_EQ(CleanText("a\tb\x1b[31mc\x7f"), "a\tb[31mc");
  EXPECT_EQ(CleanText("Zürich ☃ 𝄞"), "Zürich ☃ 𝄞");
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x98"}) {
    EXPECT_THAT(CleanText(bad), HasSubstr("\xef\xbf\xbd"));
  }
}

TEST(LogLinesTest, BudgetRefillsWithTime) {
  LogBudget budget(
      {.burst_lines = 2, .lines_per_second = 10, .burst_bytes = 100, .bytes_per_second = 100});
  EXPECT_TRUE(budget.Take(10, 0));
  EXPECT_TRUE(budget.Take(10, 0));
  EXPECT_FALSE(budget.Take(10, 0));
  EXPECT_TRUE(budget.Take(10, 100));
  EXPECT_FALSE(budget.Take(99, 200)) << "too many bytes";
  EXPECT_EQ(budget.TakeDropped(), 2);
  EXPECT_EQ(budget.TakeDropped(), 0);
}

// wait_status of a process killed by `signal`, and of one that exited.
ProcessExit Killed(int signal) { return {.wait_status = signal}; }
ProcessExit Exited(int code) { return {.wait_status = code << 8}; }

TEST(OutcomeTest, TellsWhyAProcessEnded) {
  constexpr int64_t kMemory = 512 << 20;
  const auto kind = [&](const ProcessExit& exit, const std::string& words) {
    return Classify(exit, std::nullopt, kMemory, words).failure().kind();
  };
  EXPECT_EQ(kind(Killed(SIGSEGV), ""), v1::FAILURE_KIND_CRASH);
  EXPECT_EQ(kind(Killed(SIGKILL), ""), v1::FAILURE_KIND_CRASH);
  EXPECT_EQ(kind(Exited(0), ""), v1::FAILURE_KIND_CRASH);
  EXPECT_EQ(kind(Killed(SIGABRT), "what(): std::bad_alloc"), v1::FAILURE_KIND_OUT_OF_MEMORY);
  ProcessExit large = Killed(SIGKILL);
  large.peak_memory_bytes = kMemory;
  EXPECT_EQ(kind(large, ""), v1::FAILURE_KIND_OUT_OF_MEMORY);
  ProcessExit shortage = Killed(SIGKILL);
  shortage.machine_ran_out_of_memory = true;
  EXPECT_EQ(kind(shortage, ""), v1::FAILURE_KIND_OUT_OF_MEMORY);
  const auto message = Classify(Killed(SIGSEGV), std::nullopt, kMemory, "last line").failure();
  EXPECT_THAT(message.message(), HasSubstr("SIGSEGV"));
  EXPECT_THAT(message.message(), HasSubstr("last line"));
  EXPECT_EQ(Classify(Killed(SIGTERM), Execution::StopReason::kRelease, kMemory, "").outcome(),
            v1::AttemptResult::OUTCOME_RELEASED);
  EXPECT_EQ(Classify(Killed(SIGKILL), Execution::StopReason::kCancel, kMemory, "").outcome(),
            v1::AttemptResult::OUTCOME_CANCELLED);
}

// A root folder with the given files of the kernel.
class MachineTest : public ::testing::Test {
 protected:
  void Put(const std::string& path, const std::string& text) {
    const std::string full = folder_.path() + path;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    ASSERT_TRUE(WriteFileAtomically(full, text).ok());
  }
  TemporaryDirectory folder_;
};

TEST_F(MachineTest, TheTightestLimitCounts) {
  Put("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n");
  EXPECT_EQ(UsableMemoryBytes(folder_.path()), int64_t{16} << 30);
  Put("/proc/self/cgroup", "0::/user.slice/job\n");
  Put("/sys/fs/cgroup/user.slice/job/memory.max", "max\n");
  Put("/sys/fs/cgroup/user.slice/memory.max", "4294967296\n");
  Put("/sys/fs/cgroup/user.slice/job/cpu.max", "50000 100000\n");
  EXPECT_EQ(UsableMemoryBytes(folder_.path()), int64_t{4} << 30);
  EXPECT_DOUBLE_EQ(UsableCpus(folder_.path()), 0.5);
}

TEST_F(MachineTest, ReadsTheFirstVersionOfControlGroups) {
  Put("/proc/meminfo", "MemTotal:       16777216 kB\n");
  Put("/proc/self/cgroup", "4:memory:/box\n3:cpu,cpuacct:/box\n");
  Put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "1073741824\n");
  Put("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "-1\n");
  Put("/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(UsableMemoryBytes(folder_.path()), int64_t{1} << 30);
  EXPECT_GE(UsableCpus(folder_.path()), 1);
}

TEST_F(MachineTest, RefusesToOfferMoreThanThereIs) {
  Put("/proc/meminfo", "MemTotal:       16777216 kB\n");
  v1::Worker worker;
  EXPECT_TRUE(
      absl::IsInvalidArgument(DescribeDevices({.cpus = 100'000, .root = folder_.path()}, worker)));
  EXPECT_TRUE(absl::IsInvalidArgument(
      DescribeDevices({.memory_bytes = int64_t{1} << 40, .root = folder_.path()}, worker)));
  ASSERT_TRUE(DescribeDevices({.cpus = 1, .root = folder_.path()}, worker).ok());
  EXPECT_EQ(worker.memory_bytes(), int64_t{14} << 30);
  EXPECT_EQ(worker.devices(0).id(), "cpu");
  EXPECT_EQ(worker.devices(0).cpus(), 1);
}

// Breaks off every second transfer after three bytes.
class ShakyBlobs : public BlobLink {
 public:
  absl::Status ReadBlob(const AttemptId&, const std::string&, int64_t offset, const Sink& sink,
                        Cancellation&) override {
    const std::string rest = content.substr(offset);
    const absl::Status status = sink(rest.substr(0, 3));
    if (!status.ok()) return status;
    return rest.size() <= 3 ? absl::OkStatus() : failure;
  }
  absl::Status WriteBlob(const AttemptId&, const v1::Blob&, int, Cancellation&) override {
    return ++writes < 3 ? failure : absl::OkStatus();
  }
  std::string content = "0123456789";
  absl::Status failure = absl::UnavailableError("broken off");
  int writes = 0;
};

TEST(RetryingBlobsTest, GoesOnWhereItBrokeOff) {
  ShakyBlobs shaky;
  RetryingBlobs blobs(shaky, {.pause_min_ms = 1, .pause_max_ms = 2});
  Cancellation cancellation;
  std::string read;
  const auto sink = [&](std::string_view bytes) {
    read += bytes;
    return absl::OkStatus();
  };
  EXPECT_TRUE(blobs.ReadBlob({}, "d", 0, sink, cancellation).ok());
  EXPECT_EQ(read, shaky.content);
  EXPECT_TRUE(blobs.WriteBlob({}, {}, -1, cancellation).ok());
  EXPECT_EQ(shaky.writes, 3);
}

TEST(RetryingBlobsTest, GivesUpOnWhatCannotPass) {
  ShakyBlobs shaky;
  RetryingBlobs blobs(shaky, {.pause_min_ms = 1, .pause_max_ms = 2});
  Cancellation cancellation;
  shaky.failure = absl::NotFoundError("stale attempt");
  EXPECT_TRUE(absl::IsNotFound(blobs.WriteBlob({}, {}, -1, cancellation)));
  EXPECT_EQ(shaky.writes, 1);
  const auto full = [](std::string_view) { return absl::ResourceExhaustedError("disk full"); };
  EXPECT_TRUE(absl::IsResourceExhausted(blobs.ReadBlob({}, "d", 0, full, cancellation)));
  shaky.failure = absl::UnavailableError("away");
  shaky.writes = -1000;
  cancellation.Cancel();
  EXPECT_TRUE(absl::IsCancelled(blobs.WriteBlob({}, {}, -1, cancellation)));
}

}  // namespace
}  // namespace beamline::worker
