// Measures the service itself. Four figures, each with its target:
// 1. CreateRun -> first training step, on an idle local worker with the dataset in its cache. The
// end is the
//    time that the task's process wrote into its first Progress event (one machine, one clock).
// 2. Durable CreateRuns per second with 64 concurrent callers, beside a bare SQLite loop that
//    commits the same rows on the same disk, alone and 64 to a commit.
// 3. Resident memory of the idle server and worker.
// 4. The 99th percentile of one project's CreateRuns while another floods the server, beside the
// quiet one.
#include <poll.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "beamline/v1/dataset.grpc.pb.h"
#include "beamline/v1/project.grpc.pb.h"
#include "beamline/v1/run.grpc.pb.h"
#include "benchmarks/service/daemons.h"
#include "benchmarks/service/flood.h"

namespace beamline::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kCallers = 64;
constexpr char kDefinition[] = R"(name: service-bench
inputs: {points: {dataset: "DATASET"}}
steps:
  - name: train
    train:
      data: {input: points, target: y}
      network:
        layers: [{dense: {units: 16, activation: relu}}, {dense: {}}]
        loss: {binary_cross_entropy: {}}
        optimizer: {adam: {}}
        epochs: 2
)";

void Check(const grpc::Status& status, const char* what) {
  if (!status.ok()) Die(std::string(what) + ": " + status.error_message());
}

double Now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Prints one JSON line; returns whether the target holds.
bool Report(const char* metric, double value, const char* relation, double target) {
  const bool holds = relation[0] == '<' ? value <= target : value >= target;
  std::printf(
      "{\"benchmark\": \"service\", \"metric\": \"%s\", \"value\": %.4g, \"target\": \"%s %g\", "
      "\"holds\": %s}\n",
      metric, value, relation, target, holds ? "true" : "false");
  std::fflush(stdout);
  return holds;
}

// 1,000 points in the plane, labelled by the circle that they lie in; no randomness.
std::string Points() {
  std::string csv = "x0,x1,y\n";
  for (int i = 0; i < 1000; ++i) {
    const double x0 = (i * 619 % 1000) / 500.0 - 1, x1 = (i * 331 % 997) / 498.5 - 1;
    csv +=
        std::to_string(x0) + "," + std::to_string(x1) + (x0 * x0 + x1 * x1 < 0.6 ? ",1\n" : ",0\n");
  }
  return csv;
}

std::string UploadPoints(const Cluster& cluster, const std::string& project) {
  const auto stub = v1::DatasetService::NewStub(cluster.channel());
  const std::string csv = Points();
  v1::BeginUploadRequest begin;
  begin.set_parent("projects/" + project);
  begin.mutable_source()->set_digest(Sha256Hex(csv));
  begin.mutable_source()->set_size_bytes(static_cast<int64_t>(csv.size()));
  begin.set_display_name("points.csv");
  v1::BeginUploadResponse begun;
  Check(stub->BeginUpload(cluster.Context().get(), begin, &begun), "BeginUpload");
  v1::Upload upload;
  const auto context = cluster.Context();
  const auto writer = stub->WriteUpload(context.get(), &upload);
  v1::WriteUploadRequest chunk;
  chunk.set_upload(begun.upload().name());
  chunk.set_data(csv);
  writer->Write(chunk);
  writer->WritesDone();
  Check(writer->Finish(), "WriteUpload");
  v1::FinishUploadRequest finish;
  finish.set_name(begun.upload().name());
  v1::Dataset dataset;
  Check(stub->FinishUpload(cluster.Context().get(), finish, &dataset), "FinishUpload");
  return dataset.name();
}

v1::CreateRunRequest RunRequest(const Cluster& cluster, const std::string& project) {
  const std::string dataset = UploadPoints(cluster, project);
  v1::CreateRunRequest request;
  request.set_parent("projects/" + project);
  std::string yaml = kDefinition;
  yaml.replace(yaml.find("DATASET"), 7, dataset);
  request.mutable_source()->set_yaml(yaml);
  // Each trains, although all are alike.
  request.set_fresh(true);
  return request;
}

// Seconds from the call to the first training step of a run; waits for the run's end.
double FirstStepSeconds(const Cluster& cluster, v1::RunService::Stub& stub,
                        const v1::CreateRunRequest& request) {
  const double called = Now();
  v1::Run run;
  Check(stub.CreateRun(cluster.Context().get(), request, &run), "CreateRun");
  v1::WatchRunRequest watch;
  watch.set_name(run.name());
  const auto context = cluster.Context();
  const auto events = stub.WatchRun(context.get(), watch);
  double first = -1;
  v1::Event event;
  while (events->Read(&event)) {
    if (first < 0 && event.has_progress() && event.progress().step() >= 1) {
      first = static_cast<double>(event.time().seconds()) + 1e-9 * event.time().nanos() - called;
    }
    if (event.has_run_state() && event.run_state().state() == v1::RUN_STATE_FAILED) {
      Die("the run failed: " + event.run_state().failure().message());
    }
  }
  Check(events->Finish(), "WatchRun");
  if (first < 0) Die("a run without a first step");
  return first;
}

double MedianFirstStep(const Cluster& cluster, const v1::CreateRunRequest& request) {
  const auto stub = v1::RunService::NewStub(cluster.channel());
  FirstStepSeconds(cluster, *stub, request);  // fills the worker's cache
  std::vector<double> seconds;
  for (int i = 0; i < 51; ++i) seconds.push_back(FirstStepSeconds(cluster, *stub, request));
  std::sort(seconds.begin(), seconds.end());
  std::printf(
      "{\"first_step_ms\": {\"min\": %.1f, \"median\": %.1f, \"p95\": %.1f, \"max\": %.1f}}\n",
      1e3 * seconds[0], 1e3 * seconds[25], 1e3 * seconds[48], 1e3 * seconds[50]);
  return seconds[25];
}

// Commits per second of a bare loop: `rows` rows of 500 bytes with one index in each,
// synchronous=FULL.
double BareSqliteCommits(const std::string& path, int rows, double seconds) {
  sqlite3* db = nullptr;
  const auto run = [&](const char* sql) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) Die(sqlite3_errmsg(db));
  };
  if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) Die("cannot open " + path);
  run("PRAGMA journal_mode=WAL");
  run("PRAGMA synchronous=FULL");
  run("CREATE TABLE runs (id INTEGER PRIMARY KEY, project TEXT, spec BLOB) STRICT");
  run("CREATE INDEX runs_by_project ON runs (project)");
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(db, "INSERT INTO runs (project, spec) VALUES ('default', ?)", -1, &insert,
                     nullptr);
  const std::string spec(500, 'x');
  const auto begin = SteadyClock::now();
  int64_t commits = 0;
  double elapsed = 0;
  while (elapsed < seconds) {
    run("BEGIN IMMEDIATE");
    for (int i = 0; i < rows; ++i) {
      sqlite3_bind_blob(insert, 1, spec.data(), static_cast<int>(spec.size()), SQLITE_STATIC);
      if (sqlite3_step(insert) != SQLITE_DONE) Die(sqlite3_errmsg(db));
      sqlite3_reset(insert);
    }
    run("COMMIT");
    ++commits;
    elapsed = std::chrono::duration<double>(SteadyClock::now() - begin).count();
  }
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return static_cast<double>(commits) / elapsed;
}

void RaiseQuota(const Cluster& cluster, const std::string& project) {
  const auto stub = v1::ProjectService::NewStub(cluster.channel());
  v1::UpdateProjectRequest request;
  request.mutable_project()->set_name("projects/" + project);
  request.mutable_project()->mutable_quota()->set_max_queued_runs(1'000'000);
  request.mutable_update_mask()->add_paths("quota.max_queued_runs");
  v1::Project answer;
  Check(stub->UpdateProject(cluster.Context().get(), request, &answer), "UpdateProject");
}

void CreateProject(const Cluster& cluster, const std::string& project) {
  const auto stub = v1::ProjectService::NewStub(cluster.channel());
  v1::CreateProjectRequest request;
  request.set_project_id(project);
  v1::Project answer;
  Check(stub->CreateProject(cluster.Context().get(), request, &answer), "CreateProject");
}

// Of calls that are made one after the other, on a connection of their own: the 50th and 99th
// percentile. Unit: milliseconds.
std::pair<double, double> CreateRunMillis(const Cluster& cluster,
                                          const v1::CreateRunRequest& request, int calls) {
  const auto stub = v1::RunService::NewStub(cluster.NewChannel());
  std::vector<double> millis;
  for (int i = 0; i < calls; ++i) {
    const auto begin = SteadyClock::now();
    v1::Run run;
    Check(stub->CreateRun(cluster.Context().get(), request, &run), "CreateRun");
    millis.push_back(std::chrono::duration<double, std::milli>(SteadyClock::now() - begin).count());
  }
  std::sort(millis.begin(), millis.end());
  return {millis[millis.size() / 2], millis[millis.size() * 99 / 100]};
}

// What another project notices of a flood: its p99 beside the quiet one, in turns.
bool MeasureFlood(const Cluster& cluster, const v1::CreateRunRequest& flood_request) {
  constexpr int kTurns = 5;
  constexpr int kCalls = 200;
  constexpr int kFloodCallers = 512;
  CreateProject(cluster, "bystander");
  RaiseQuota(cluster, "bystander");
  const v1::CreateRunRequest request = RunRequest(cluster, "bystander");
  CreateRunMillis(cluster, request, kCalls);  // warm
  std::vector<double> ratios;
  for (int turn = 0; turn < kTurns; ++turn) {
    const auto [quiet_median, quiet] = CreateRunMillis(cluster, request, kCalls);
    Flood flood(cluster, flood_request, kFloodCallers);
    flood.Start();
    const auto [flooded_median, flooded] = CreateRunMillis(cluster, request, kCalls);
    const double accepted = flood.Stop();
    std::printf(
        "{\"flood\": {\"runs_per_s\": %.0f, \"quiet_ms\": {\"median\": %.2f, \"p99\": %.2f}, "
        "\"flooded_ms\": {\"median\": %.2f, \"p99\": %.2f}}}\n",
        accepted, quiet_median, quiet, flooded_median, flooded);
    ratios.push_back(flooded / quiet);
  }
  std::sort(ratios.begin(), ratios.end());
  return Report("bystander_p99_ratio_under_flood", ratios[kTurns / 2], "<=", 3);
}

int Main(const std::string& bin) {
  Cluster cluster(bin);
  poll(nullptr, 0, 2000);
  constexpr double kMebibyte = 1 << 20;
  int held = Report("idle_server_mib", cluster.server().ResidentBytes() / kMebibyte, "<=", 64);
  held += Report("idle_worker_mib", cluster.worker().ResidentBytes() / kMebibyte, "<=", 64);

  const v1::CreateRunRequest request = RunRequest(cluster, "default");
  held += Report("create_run_to_first_step_ms", 1e3 * MedianFirstStep(cluster, request), "<=", 50);

  cluster.worker().Stop();
  RaiseQuota(cluster, "default");
  Flood(cluster, request, kCallers).Run(0.5);  // warm
  const double alone = BareSqliteCommits(cluster.folder() + "/bare1.db", 1, 1);
  const double rate = Flood(cluster, request, kCallers).Run(5);
  const double grouped = BareSqliteCommits(cluster.folder() + "/bare64.db", kCallers, 1);
  std::printf(
      "{\"bare_sqlite\": {\"commits_per_s_of_1_row\": %.0f, \"rows_per_s_64_to_a_commit\": "
      "%.0f}}\n",
      alone, grouped * kCallers);
  // One group commit a millisecond is 1,000 commits a second; half of that with one run each.
  held += Report("durable_create_runs_per_s", rate, ">=", 500);
  held += MeasureFlood(cluster, request);
  return Report("targets_held", held, ">=", 5) ? 0 : 1;
}

}  // namespace
}  // namespace beamline::bench

int main(int argc, char** argv) {
  if (argc != 2) beamline::bench::Die("usage: service_bench FOLDER_OF_PROGRAMS");
  return beamline::bench::Main(argv[1]);
}
