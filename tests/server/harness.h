// A whole server in this process, with a clock that tests move, and workers that tests play.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "auth/principal.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/x509.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "tests/server/settable_clock.h"

namespace beamline::server {

// An answer that may come later, on another thread.
template <class R>
class Answer {
 public:
  Done<R> Take() {
    return [state = state_](absl::StatusOr<R> value) {
      const std::lock_guard lock(state->mutex);
      EXPECT_FALSE(state->value.has_value()) << "answered twice";
      state->value = std::move(value);
      state->changed.notify_all();
    };
  }
  bool Ready() const {
    const std::lock_guard lock(state_->mutex);
    return state_->value.has_value();
  }
  absl::StatusOr<R> Wait() const {
    std::unique_lock lock(state_->mutex);
    if (!state_->changed.wait_for(lock, std::chrono::seconds(60),
                                  [this] { return state_->value.has_value(); })) {
      return absl::DeadlineExceededError("no answer within a minute");
    }
    return *state_->value;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<absl::StatusOr<R>> value;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Calls a method and waits for its answer.
template <class Api, class Request, class R>
absl::StatusOr<R> Call(Api& api,
                       void (Api::*method)(const auth::Principal&, const Request&, Done<R>),
                       const auth::Principal& caller, const Request& request) {
  Answer<R> answer;
  (api.*method)(caller, request, answer.Take());
  return answer.Wait();
}

inline auth::Principal User(const std::string& name) {
  auth::Principal principal;
  principal.kind = auth::Principal::kUser;
  principal.name = "users/" + name;
  principal.peer = "test";
  return principal;
}
inline auth::Principal Operator() {
  auth::Principal principal = User("root");
  principal.is_operator = true;
  return principal;
}

// The same with a role in one project: as the gate would know her.
inline auth::Principal Member(const std::string& name, const std::string& project) {
  auth::Principal principal = User(name);
  principal.roles[project] = v1::ROLE_EDITOR;
  return principal;
}

inline constexpr char kCsv[] = "x,y\n1,0\n2,1\n3,0\n4,1\n5,0\n6,1\n7,0\n8,1\n9,0\n10,1\n";

// train -> publish.
inline constexpr char kPipeline[] = R"(
name: tiny
inputs:
  points: {file: points.csv}
steps:
  - name: fit
    train:
      data: {input: points, target: y}
      network:
        layers: [{dense: {units: 1}}]
        epochs: 1
  - name: release
    publish: {model: fit, name: tiny}
)";

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Start();
    v1::CreateUserRequest user;
    user.set_user_id("root");
    user.mutable_user()->set_operator_(true);
    ASSERT_TRUE(Call(server_->auth(), &AuthApi::CreateUser, Operator(), user).ok());
    user.set_user_id("ada");
    user.mutable_user()->set_operator_(false);
    ASSERT_TRUE(Call(server_->auth(), &AuthApi::CreateUser, Operator(), user).ok());
    for (const char* project : {"optics", "acoustics"}) {
      v1::CreateProjectRequest request;
      request.set_project_id(project);
      ASSERT_TRUE(Call(server_->projects(), &ProjectApi::CreateProject, Operator(), request).ok());
    }
  }

  virtual ServerOptions Options() {
    ServerOptions options;
    options.state_folder = folder_.path() + "/state";
    return options;
  }
  void Start() {
    auto opened = Server::Open(Options(), clock_, random_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    server_ = *std::move(opened);
  }
  void Restart() {
    server_.reset();
    Start();
  }
  // Moves the clock and has the server look at it.
  void Advance(int64_t ms) {
    clock_.AdvanceMillis(ms);
    server_->OnClockMoved();
  }

  absl::StatusOr<v1::BeginUploadResponse> Begin(const std::string& project,
                                                const std::string& bytes) {
    v1::BeginUploadRequest request;
    request.set_parent("projects/" + project);
    request.mutable_source()->set_digest(Sha256Hex(bytes));
    request.mutable_source()->set_size_bytes(static_cast<int64_t>(bytes.size()));
    request.set_display_name("points.csv");
    return Call(server_->datasets(), &DatasetApi::BeginUpload, User("ada"), request);
  }
  absl::StatusOr<v1::Upload> Write(const std::string& upload, int64_t offset,
                                   const std::string& bytes) {
    v1::WriteUploadRequest first;
    first.set_upload(upload);
    auto sink = server_->datasets().WriteUpload(User("ada"), first);
    if (!sink.ok()) return sink.status();
    if (absl::Status status = (*sink)->Write(offset, bytes); !status.ok()) return status;
    Answer<v1::Upload> answer;
    (*sink)->Finish(answer.Take());
    return answer.Wait();
  }
  absl::StatusOr<v1::Dataset> Finish(const std::string& upload) {
    v1::FinishUploadRequest request;
    request.set_name(upload);
    return Call(server_->datasets(), &DatasetApi::FinishUpload, User("ada"), request);
  }
  // The name of a dataset with these bytes.
  std::string Upload(const std::string& project, const std::string& bytes) {
    const auto begun = Begin(project, bytes);
    EXPECT_TRUE(begun.ok()) << begun.status();
    if (begun->has_dataset()) return begun->dataset().name();
    EXPECT_TRUE(Write(begun->upload().name(), 0, bytes).ok());
    const auto dataset = Finish(begun->upload().name());
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return dataset.ok() ? dataset->name() : "";
  }

  v1::CreateRunRequest RunRequest(const std::string& request_id = "",
                                  const std::string& project = "optics") {
    v1::CreateRunRequest request;
    request.set_parent("projects/" + project);
    request.mutable_source()->set_yaml(kPipeline);
    (*request.mutable_inputs())["points"] = Upload(project, kCsv);
    request.set_request_id(request_id);
    return request;
  }
  absl::StatusOr<v1::Run> CreateRun(const std::string& request_id = "") {
    return Call(server_->runs(), &RunApi::CreateRun, User("ada"), RunRequest(request_id));
  }
  v1::Run GetRun(const std::string& name) {
    v1::GetRunRequest request;
    request.set_name(name);
    auto run = Call(server_->runs(), &RunApi::GetRun, User("ada"), request);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? *run : v1::Run();
  }
  v1::Task GetTask(const std::string& run, const std::string& step) {
    v1::ListTasksRequest request;
    request.set_parent(run);
    const auto tasks = Call(server_->runs(), &RunApi::ListTasks, User("ada"), request);
    EXPECT_TRUE(tasks.ok()) << tasks.status();
    for (const v1::Task& task : tasks->tasks()) {
      if (task.step() == step) return task;
    }
    return {};
  }
  // All events of a run that has ended.
  std::vector<v1::Event> Watch(const std::string& run, int64_t after = 0) {
    v1::WatchRunRequest request;
    request.set_name(run);
    request.set_after_sequence(after);
    const auto watcher = server_->runs().WatchRun(User("ada"), request);
    EXPECT_TRUE(watcher.ok()) << watcher.status();
    std::vector<v1::Event> events;
    while (watcher.ok()) {
      Answer<std::vector<v1::Event>> answer;
      (*watcher)->Next(answer.Take());
      const auto page = answer.Wait();
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || page->empty()) break;
      events.insert(events.end(), page->begin(), page->end());
    }
    return events;
  }

  SettableClock clock_;
  SystemRandom random_;
  TemporaryDirectory folder_;
  std::unique_ptr<Server> server_;
};

// A worker as the server sees it. Its attempts do nothing but what the test has it report.
class FakeWorker {
 public:
  explicit FakeWorker(Server& server, const std::string& session = "s1") : session_(session) {
    v1::CreateJoinTokenRequest request;
    const auto token = Call(server.auth(), &AuthApi::CreateJoinToken, Operator(), request);
    EXPECT_TRUE(token.ok()) << token.status();
    v1::JoinRequest join;
    join.set_join_token(token->secret());
    const auto key = MakeKeyAndRequest("worker");
    EXPECT_TRUE(key.ok()) << key.status();
    join.set_certificate_request(key->request_pem);
    join.set_hostname("host");
    const auto joined = Call(server.workers(), &WorkerApi::Join, auth::Principal(), join);
    EXPECT_TRUE(joined.ok()) << joined.status();
    if (joined.ok()) principal_.name = joined->worker();
    principal_.kind = auth::Principal::kWorker;
  }

  const auth::Principal& principal() const { return principal_; }
  void SetSession(const std::string& session) { session_ = session; }
  void Drain() { draining_ = true; }
  // From now on it says that it stops the attempt at a checkpoint.
  void StopAtCheckpoint(const std::string& task) { stopping_.insert(task); }
  void AddGpu(const std::string& id, int64_t memory_bytes) {
    v1::Device& gpu = gpus_.emplace_back();
    gpu.set_id(id);
    gpu.set_kind(v1::DEVICE_KIND_CUDA);
    gpu.set_memory_bytes(memory_bytes);
  }

  void AddImage(const std::string& digest) { images_.push_back(digest); }

  v1::SynchronizeRequest Request(int64_t hold_ms) const {
    v1::SynchronizeRequest request;
    request.set_session(session_);
    request.set_hold_ms(hold_ms);
    v1::Worker& worker = *request.mutable_worker();
    worker.set_memory_bytes(int64_t{8} << 30);
    worker.set_state(draining_ ? v1::WORKER_STATE_DRAINING : v1::WORKER_STATE_READY);
    v1::Device& device = *worker.add_devices();
    device.set_id("cpu");
    device.set_kind(v1::DEVICE_KIND_CPU);
    device.set_cpus(2);
    for (const v1::Device& gpu : gpus_) *worker.add_devices() = gpu;
    worker.mutable_images()->Assign(images_.begin(), images_.end());
    for (const v1::Attempt& attempt : held_) {
      auto& held = *request.add_held();
      held.set_task(attempt.task());
      held.set_number(attempt.number());
      held.set_stopping(stopping_.contains(attempt.task()));
      held.set_checkpoint(held.stopping());
    }
    return request;
  }

  // Asks what to do, without waiting, and takes on what it is told to start.
  v1::SynchronizeResponse Synchronize(Server& server) {
    const auto response = Call(server.workers(), &WorkerApi::Synchronize, principal_, Request(0));
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return {};
    for (const v1::Attempt& attempt : response->start()) held_.push_back(attempt);
    for (const auto& stop : response->stop()) {
      if (stop.forget()) Drop(stop.task());
    }
    return *response;
  }

  void Drop(const std::string& task) {
    std::erase_if(held_, [&](const v1::Attempt& held) { return held.task() == task; });
  }

  absl::StatusOr<int64_t> Report(Server& server, const v1::Attempt& attempt,
                                 const std::vector<v1::AttemptReport>& reports) {
    v1::ReportAttemptRequest request;
    request.set_task(attempt.task());
    request.set_number(attempt.number());
    for (const v1::AttemptReport& report : reports) *request.add_reports() = report;
    const auto response = Call(server.workers(), &WorkerApi::ReportAttempt, principal_, request);
    if (!response.ok()) return response.status();
    return response->acknowledged();
  }

  absl::StatusOr<v1::Blob> WriteBlob(Server& server, const v1::Attempt& attempt,
                                     const std::string& bytes) {
    v1::WriteBlobRequest first;
    first.mutable_blob()->set_digest(Sha256Hex(bytes));
    first.mutable_blob()->set_size_bytes(static_cast<int64_t>(bytes.size()));
    first.set_task(attempt.task());
    first.set_number(attempt.number());
    auto sink = server.workers().WriteBlob(principal_, first);
    if (!sink.ok()) return sink.status();
    if (*sink == nullptr) return first.blob();
    if (absl::Status status = (*sink)->Write(0, bytes); !status.ok()) return status;
    Answer<v1::WriteBlobResponse> answer;
    (*sink)->Finish(answer.Take());
    if (const auto written = answer.Wait(); !written.ok()) return written.status();
    return first.blob();
  }

  static v1::AttemptReport Metric(int64_t number, double value) {
    v1::AttemptReport report;
    report.set_number(number);
    report.mutable_event()->mutable_metric()->set_name("loss");
    report.mutable_event()->mutable_metric()->set_value(value);
    return report;
  }
  // A checkpoint with these bytes, and that the attempt was given back with it.
  void Release(Server& server, const v1::Attempt& attempt, const std::string& bytes) {
    const auto blob = WriteBlob(server, attempt, bytes);
    ASSERT_TRUE(blob.ok()) << blob.status();
    v1::AttemptReport checkpoint;
    checkpoint.set_number(1);
    *checkpoint.mutable_event()->mutable_checkpoint()->mutable_blob() = *blob;
    v1::AttemptReport released;
    released.set_number(2);
    released.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_RELEASED);
    const auto reported = Report(server, attempt, {checkpoint, released});
    ASSERT_TRUE(reported.ok()) << reported.status();
    Drop(attempt.task());
  }

  static v1::AttemptReport Success(int64_t number) {
    v1::AttemptReport report;
    report.set_number(number);
    report.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
    return report;
  }
  static v1::AttemptReport Failed(int64_t number, v1::FailureKind kind) {
    v1::AttemptReport report;
    report.set_number(number);
    report.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_FAILED);
    report.mutable_result()->mutable_failure()->set_kind(kind);
    report.mutable_result()->mutable_failure()->set_message("because");
    return report;
  }

  // Ends a train attempt well, with a model file of these bytes.
  void Train(Server& server, const v1::Attempt& attempt, const std::string& bytes = "weights") {
    const auto blob = WriteBlob(server, attempt, bytes);
    ASSERT_TRUE(blob.ok()) << blob.status();
    v1::AttemptReport end = Success(2);
    (*end.mutable_result()->mutable_result()->mutable_artifacts())["model"] = *blob;
    end.mutable_result()->mutable_card()->set_target("y");
    const auto reported = Report(server, attempt, {Metric(1, 0.5), end});
    ASSERT_TRUE(reported.ok()) << reported.status();
    EXPECT_EQ(*reported, 2);
    Drop(attempt.task());
  }

 private:
  auth::Principal principal_;
  std::string session_;
  bool draining_ = false;
  std::vector<v1::Device> gpus_;
  std::vector<std::string> images_;
  std::vector<v1::Attempt> held_;
  std::set<std::string> stopping_;
};

}  // namespace beamline::server
