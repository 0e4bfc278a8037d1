// The whole state as bytes, and back. What follows from other state is not written: it is built
// again, by the code that keeps it.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/archive.h"
#include "scheduler/core.h"

namespace beamline::scheduler {

template <class A>
void Fields(A& archive, Amounts& r) {
  archive(r.of);
}

template <class A>
void Fields(A& archive, Demand& r) {
  archive(r.cpu_millis, r.memory_bytes, r.device, r.gpus, r.gpu_memory_bytes, r.pool, r.min_workers,
          r.max_workers);
}

template <class A>
void Fields(A& archive, Device& r) {
  archive(r.id, r.kind, r.memory_bytes);
}

template <class A>
void Fields(A& archive, Capacity& r) {
  archive(r.cpu_millis, r.memory_bytes, r.devices);
}

template <class A>
void Fields(A& archive, Placement& r) {
  archive(r.worker, r.devices, r.cpu_millis, r.memory_bytes);
}

template <class A>
void Fields(A& archive, TaskQueued& r) {
  archive(r.task, r.run, r.project, r.priority, r.demand, r.max_attempts, r.last_attempt,
          r.failures, r.losses, r.not_before_ms, r.queued_at_ms, r.preemptible, r.attained,
          r.predicted_ms, r.data);
}

namespace {

// Changes with every change of the fields above and below.
constexpr int64_t kVersion = 2;

struct WorkerRecord {
  WorkerId id;
  Capacity capacity;
  std::vector<std::string> labels;
  bool registered = false;
  bool connected = false;
  bool draining = false;
  int64_t lease_until_ms = 0;
  std::vector<DataId> data;
};

template <class A>
void Fields(A& archive, WorkerRecord& r) {
  archive(r.id, r.capacity, r.labels, r.registered, r.connected, r.draining, r.lease_until_ms,
          r.data);
}

struct ProjectRecord {
  ProjectId id;
  ProjectId parent;
  int64_t weight_millis = 0;
  Amounts guaranteed;
  Amounts cap;
  bool has_quota = false;
  Amounts express_held;
  std::array<int64_t, 5> bucket{};
  bool bucket_known = false;
  bool express = false;
  // Of its lines.
  std::vector<Demand> capped;
};

template <class A>
void Fields(A& archive, ProjectRecord& r) {
  archive(r.id, r.parent, r.weight_millis, r.guaranteed, r.cap, r.has_quota, r.express_held,
          r.bucket, r.bucket_known, r.express, r.capped);
}

struct ShapeRecord {
  Demand demand;
  bool open = false;
  bool feasible = false;
  int64_t checked_at = 0;
  bool counted = false;
};

template <class A>
void Fields(A& archive, ShapeRecord& r) {
  archive(r.demand, r.open, r.feasible, r.checked_at, r.counted);
}

template <class A>
void TaskFields(A& archive, Task& r, bool& queued) {
  archive(r.spec, queued, r.state, r.placements, r.held, r.next_placements, r.attained,
          r.serves_since_ms, r.rate, r.level, r.rank, r.entered_ms, r.crosses_ms, r.guarded,
          r.guarded_until_ms, r.waits_since_ms, r.started_ms, r.deadline_ms, r.beneficiary,
          r.vacating, r.charged, r.victims, r.resumes_first, r.holds);
}

ProjectRecord RecordOf(const Project& project) {
  ProjectRecord record{project.id,
                       project.parent == nullptr ? ProjectId() : project.parent->id,
                       project.weight_millis,
                       project.guaranteed,
                       project.cap,
                       project.has_quota,
                       project.express_held,
                       {project.bucket, project.bucket_most, project.bucket_refill,
                        project.bucket_drain, project.bucket_at_ms},
                       project.bucket_known,
                       project.express,
                       {}};
  for (const std::unique_ptr<Line>& line : project.lines) {
    if (line->capped) record.capped.push_back(line->shape.demand);
  }
  std::sort(record.capped.begin(), record.capped.end());
  return record;
}

void Fill(Project& project, const ProjectRecord& record) {
  project.weight_millis = record.weight_millis;
  project.guaranteed = record.guaranteed;
  project.cap = record.cap;
  project.has_quota = record.has_quota;
  project.express_held = record.express_held;
  project.bucket = record.bucket[0];
  project.bucket_most = record.bucket[1];
  project.bucket_refill = record.bucket[2];
  project.bucket_drain = record.bucket[3];
  project.bucket_at_ms = record.bucket[4];
  project.bucket_known = record.bucket_known;
  project.express = record.express;
}

uint64_t Checksum(std::string_view bytes) {
  uint64_t hash = 14695981039346656037ull;  // FNV-1a
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}

}  // namespace

std::string Scheduler::Core::Snapshot() const {
  Writer writer;
  int64_t version = kVersion;
  int64_t times[] = {now_ms_, timer_ms_, round_ms_, buckets_ms_, workers_.version()};
  writer(version, times[0], times[1], times[2], times[3], times[4]);
  std::vector<WorkerRecord> workers;
  for (const auto& [id, worker] : workers_.all()) {
    workers.push_back({id,
                       worker->capacity,
                       worker->labels,
                       worker->registered,
                       worker->connected,
                       worker->draining,
                       worker->lease_until_ms,
                       {worker->data.begin(), worker->data.end()}});
  }
  std::vector<ProjectRecord> projects;
  for (const auto& [id, project] : queue_.projects().all()) projects.push_back(RecordOf(*project));
  std::vector<ShapeRecord> shapes;
  for (const auto& [demand, shape] : queue_.shapes()) {
    shapes.push_back({demand, shape->open, shape->feasible, shape->checked_at, shape->counted});
  }
  std::vector<Task*> tasks = tasks_.All();
  std::sort(tasks.begin(), tasks.end(), ByTaskId());
  auto count = static_cast<int64_t>(tasks.size());
  writer(workers, projects, shapes, count);
  for (Task* task : tasks) {
    bool queued = task->shape != nullptr;
    TaskFields(writer, *task, queued);
  }
  uint64_t checksum = Checksum(writer.bytes());
  writer(checksum);
  return writer.bytes();
}

bool Scheduler::Core::Restore(std::string_view bytes) {
  if (bytes.size() < 8) return false;
  Reader checked(bytes.substr(bytes.size() - 8));
  uint64_t checksum = 0;
  checked(checksum);
  bytes.remove_suffix(8);
  if (checksum != Checksum(bytes)) return false;
  Reader reader(bytes);
  int64_t version = 0;
  int64_t workers_version = 0;
  int64_t count = 0;
  std::vector<WorkerRecord> workers;
  std::vector<ProjectRecord> projects;
  std::vector<ShapeRecord> shapes;
  reader(version);
  if (version != kVersion) return false;
  reader(now_ms_, timer_ms_, round_ms_, buckets_ms_, workers_version, workers, projects, shapes,
         count);
  for (WorkerRecord& record : workers) {
    Worker& worker = workers_.FindOrAdd(record.id);
    worker.data.insert(record.data.begin(), record.data.end());
    if (record.connected) leases_.Extend(worker, record.lease_until_ms);
    worker.lease_until_ms = record.lease_until_ms;
    workers_.Update(worker, [&](Worker& w) {
      w.capacity = std::move(record.capacity);
      w.labels = std::move(record.labels);
      w.registered = record.registered;
      w.connected = record.connected;
      w.draining = record.draining;
    });
  }
  for (const ProjectRecord& record : projects) {
    ProjectTree& tree = queue_.projects();
    Project& project = tree.FindOrAdd(record.id);
    Fill(project, record);
    tree.Adopt(project, record.parent.empty() ? nullptr : &tree.FindOrAdd(record.parent));
  }
  queue_.SetTotal(workers_.total());
  for (const ShapeRecord& record : shapes) {
    Shape& shape = queue_.FindOrAddShape(record.demand);
    if (!record.open) queue_.Close(shape);
    shape.feasible = record.feasible;
    shape.checked_at = record.checked_at;
    shape.counted = record.counted;
  }
  RestoreTasks(reader, count);
  for (const ProjectRecord& record : projects) {
    for (const Demand& demand : record.capped) {
      queue_.SetCapped(queue_.projects().FindOrAdd(record.id), demand);
    }
  }
  workers_.FinishRestore(workers_version);
  return reader.ok() && reader.at_end();
}

void Scheduler::Core::RestoreTasks(Reader& reader, int64_t count) {
  std::vector<Task*> queued;
  for (int64_t i = 0; i < count && reader.ok(); ++i) {
    Task read;
    bool is_queued = false;
    TaskFields(reader, read, is_queued);
    Task& task = tasks_.Add(read.spec.task);
    task = std::move(read);
    if (is_queued) queued.push_back(&task);
    RestoreTask(task, is_queued);
  }
  std::stable_sort(queued.begin(), queued.end(), [](const Task* a, const Task* b) {
    return a->waits_since_ms < b->waits_since_ms;
  });
  for (Task* task : queued) queue_.Push(*task);
}

void Scheduler::Core::RestoreTask(Task& task, bool queued) {
  task.name = PrefixOf(task.spec.task);
  queue_.Enroll(task);
  task.workers = workers_.WorkersOf(task.placements);
  task.next_workers = workers_.WorkersOf(task.next_placements);
  if (task.charged) queue_.Charge(task);
  if (task.state == TaskState::kPending) {
    if (!queued) back_off_.Push(task);
  } else if (task.state == TaskState::kReserved) {
    ++reserved_;
    workers_.RestoreReserved(task, task.placements, task.workers);
    if (task.holds) holds_.insert(&task);
  } else {
    for (Worker* worker : task.workers) worker->attempts.push_back(&task);
    workers_.RestoreReserved(task, task.next_placements, task.next_workers);
    if (task.guarded) guards_.insert(&task);
  }
  if (task.vacating) {
    queue_.ChargeLeaving(task, 1);
    graces_.Push(task);
  }
  crossings_.Restore(task);
}

}  // namespace beamline::scheduler
