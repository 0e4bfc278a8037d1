#include "server/worker_sessions.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/status_macros.h"
#include "pipeline/programs.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/planning.h"
#include "store/identity.h"
#include "store/runs.h"

namespace beamline::server {
namespace {

// What is worth storing: readings change all the time.
v1::Worker WithoutReadings(v1::Worker worker) {
  for (v1::Device& device : *worker.mutable_devices()) {
    device.clear_utilization();
    device.clear_temperature_celsius();
    device.clear_power_watts();
  }
  worker.clear_last_seen_time();
  worker.clear_running_tasks();
  worker.clear_cpus_in_use();
  worker.clear_memory_in_use_bytes();
  return worker;
}

// Whether the worker itself has ended the attempt: it has, or will get, the answer to that.
absl::StatusOr<bool> HasReportedItsEnd(const store::View& view, std::string_view worker,
                                       std::string_view task, int32_t number) {
  const auto name = ParseTaskName("task", task);
  if (!name.ok()) return false;
  const auto attempt = store::GetAttempt(view, name->run, name->task, number);
  if (absl::IsNotFound(attempt.status())) return false;
  RETURN_IF_ERROR(attempt.status());
  return attempt->worker == store::IdOf(worker) && attempt->result.has_value();
}

// It does not go on elsewhere: what was not delivered need not be.
bool EndsHere(store::Stopping stopping) {
  return stopping == store::Stopping::kCancelled || stopping == store::Stopping::kPaused;
}

// Rates of a device beyond these are not heard.
constexpr int kMaxRates = 2000;

bool IsRate(const v1::MeasuredRate& rate) {
  constexpr size_t kLongestKernel = 64;
  const auto is_amount = [](double amount) { return std::isfinite(amount) && amount >= 0; };
  return rate.kernel().size() <= kLongestKernel && rate.threads() > 0 && is_amount(rate.flops()) &&
         is_amount(rate.bytes()) && is_amount(rate.seconds());
}

// What a worker says of itself, as far as it is heard: 100 images, so that whoever checks what a
// run needs and the scheduler, who gets them as labels, know of the same; and rates that are some.
v1::Worker HeardOf(const v1::Worker& said, const std::string& name) {
  v1::Worker worker = said;
  worker.set_name(name);
  worker.clear_images();
  for (const std::string& image : said.images()) {
    if (worker.images_size() == pipeline::kMaxImages) break;
    if (pipeline::IsImageDigest(image)) worker.add_images(image);
  }
  for (v1::Device& device : *worker.mutable_devices()) {
    auto& rates = *device.mutable_rates();
    rates.erase(std::remove_if(rates.begin(), rates.end(), std::not_fn(IsRate)), rates.end());
    if (rates.size() > kMaxRates) rates.DeleteSubrange(kMaxRates, rates.size() - kMaxRates);
  }
  return worker;
}

template <class Held>
std::set<std::pair<std::string, int32_t>> KeysOf(const Held& held) {
  std::set<std::pair<std::string, int32_t>> keys;
  for (const auto& one : held) keys.emplace(one.task(), one.number());
  return keys;
}

}  // namespace

scheduler::Capacity CapacityOf(const v1::Worker& worker) {
  scheduler::Capacity capacity;
  capacity.memory_bytes = worker.memory_bytes();
  for (const v1::Device& device : worker.devices()) {
    if (device.kind() == v1::DEVICE_KIND_CUDA) {
      capacity.devices.push_back({.id = scheduler::DeviceId(device.id()),
                                  .kind = scheduler::DeviceKind::kCuda,
                                  .memory_bytes = device.memory_bytes()});
    } else {
      const double cpus = std::clamp(device.cpus(), 0.0, 1e6);
      capacity.cpu_millis += std::isnan(cpus) ? 0 : static_cast<int64_t>(cpus * 1000);
    }
  }
  return capacity;
}

WorkerSessions::WorkerSessions(store::Store& store, const Clock& clock, int64_t lease_ms,
                               int64_t max_hold_ms)
    : store_(store), clock_(clock), lease_ms_(lease_ms), max_hold_ms_(max_hold_ms) {}

absl::Status WorkerSessions::Take(Transaction& transaction, const std::string& worker,
                                  const v1::SynchronizeRequest& request) {
  const scheduler::Capacity capacity = CapacityOf(request.worker());
  if (const std::string wrong = scheduler::CheckCapacity(capacity); !wrong.empty()) {
    return BadField("worker.devices", wrong);
  }
  ASSIGN_OR_RETURN(store::StoredWorker stored,
                   store::GetWorker(transaction.store(), store::IdOf(worker)));
  const bool new_session = stored.session != request.session();
  if (new_session && !request.held().empty()) return EndUnknown(transaction, worker, request);
  v1::Worker description = HeardOf(request.worker(), worker);
  if (!stored.pool.empty()) description.set_pool(stored.pool);
  v1::Worker lasting = WithoutReadings(description);
  if (new_session || lasting.SerializeAsString() != stored.message.SerializeAsString()) {
    // A daemon that is started again after it was drained is meant to work.
    if (new_session) stored.draining = false;
    stored.session = request.session();
    stored.message = std::move(lasting);
    RETURN_IF_ERROR(store::UpdateWorker(transaction.store(), stored));
  }
  const scheduler::WorkerId id(worker);
  State& state = states_[worker];
  if (new_session) {
    state.confirmed.clear();
    transaction.Schedule(scheduler::WorkerGone{.worker = id});
  } else {
    // First of all: leases are looked at after each event.
    transaction.Schedule(scheduler::WorkerHeartbeat{.worker = id});
  }
  const std::set<AttemptKey> held = KeysOf(request.held());
  for (const AttemptKey& key : held) {
    if (state.confirmed.contains(key)) continue;
    transaction.Schedule(
        scheduler::AttemptStarted{.task = scheduler::TaskId(key.first), .attempt = key.second});
  }
  if (!new_session) RETURN_IF_ERROR(FindLost(transaction, worker, state, held));
  const bool draining = stored.draining || description.state() == v1::WORKER_STATE_DRAINING;
  std::vector<scheduler::DataId> data;
  for (const std::string& digest : request.cached()) data.emplace_back(digest);
  transaction.Schedule(scheduler::WorkerSeen{.worker = id,
                                             .capacity = capacity,
                                             .labels = LabelsOf(description),
                                             .draining = draining,
                                             .data = std::move(data)});
  // Only what is held is remembered: what has been dropped is of no interest any more.
  state.confirmed = held;
  state.last_seen = transaction.now();
  state.description = std::move(description);
  return absl::OkStatus();
}

absl::Status WorkerSessions::EndUnknown(Transaction& transaction, const std::string& worker,
                                        const v1::SynchronizeRequest& request) {
  transaction.Schedule(scheduler::WorkerGone{.worker = scheduler::WorkerId(worker)});
  State& state = states_[worker];
  state.confirmed.clear();
  state.last_seen = transaction.now();
  state.description = HeardOf(request.worker(), worker);
  return absl::OkStatus();
}

absl::Status WorkerSessions::FindLost(Transaction& transaction, const std::string& worker,
                                      const State& state, const std::set<AttemptKey>& held) {
  ASSIGN_OR_RETURN(const auto attempts,
                   store::ListLiveAttempts(transaction.store(), store::IdOf(worker)));
  for (const store::StoredAttempt& attempt : attempts) {
    const AttemptKey key(attempt.message.task(), attempt.message.number());
    if (held.contains(key)) continue;
    ASSIGN_OR_RETURN(
        const store::StoredTask task,
        store::GetTask(transaction.store(), attempt.run, store::IdOf(attempt.message.task())));
    const bool delivered = attempt.acknowledged > 0 || state.confirmed.contains(key);
    const bool ends = EndsHere(task.stopping);
    if (!delivered && !ends) continue;
    transaction.Schedule(scheduler::AttemptFinished{
        .task = scheduler::TaskId(key.first),
        .attempt = key.second,
        .outcome = ends ? scheduler::Outcome::kCancelled : scheduler::Outcome::kReleased});
  }
  return absl::OkStatus();
}

void WorkerSessions::Park(const std::string& worker, const v1::SynchronizeRequest& request,
                          Done<v1::SynchronizeResponse> done) {
  State& state = states_[worker];
  Answer(worker, state, true);
  state.request = request;
  state.done = std::move(done);
  const int64_t hold_ms = std::clamp<int64_t>(request.hold_ms(), 0, max_hold_ms_);
  state.deadline_ms = clock_.MonotonicMillis() + hold_ms;
  Answer(worker, state, hold_ms == 0);
}

absl::StatusOr<v1::SynchronizeResponse> WorkerSessions::Difference(const std::string& worker,
                                                                   const State& state) {
  const store::View& view = store_.writer();
  v1::SynchronizeResponse response;
  response.set_lease_ms(lease_ms_);
  const std::set<AttemptKey> held = KeysOf(state.request.held());
  ASSIGN_OR_RETURN(const auto attempts, store::ListLiveAttempts(view, store::IdOf(worker)));
  std::map<AttemptKey, store::Stopping> live;
  for (const store::StoredAttempt& attempt : attempts) {
    const AttemptKey key(attempt.message.task(), attempt.message.number());
    ASSIGN_OR_RETURN(const store::StoredTask task,
                     store::GetTask(view, attempt.run, store::IdOf(attempt.message.task())));
    live.emplace(key, task.stopping);
    if (!EndsHere(task.stopping) && !held.contains(key)) *response.add_start() = attempt.message;
  }
  for (const auto& one : state.request.held()) {
    const AttemptKey key(one.task(), one.number());
    const auto found = live.find(key);
    const bool forget = found == live.end();
    const bool cancelled = !forget && found->second == store::Stopping::kCancelled;
    // One that stops at a checkpoint need not take it when its run is cancelled meanwhile.
    const bool knows = one.stopping() && !(cancelled && one.checkpoint());
    if (!forget && (found->second == store::Stopping::kNo || knows)) continue;
    if (forget) {
      ASSIGN_OR_RETURN(const bool told, HasReportedItsEnd(view, worker, one.task(), one.number()));
      if (told) continue;
    }
    v1::SynchronizeResponse::Stop& stop = *response.add_stop();
    stop.set_task(one.task());
    stop.set_number(one.number());
    stop.set_forget(forget);
    stop.set_checkpoint(!forget && !cancelled);
  }
  ASSIGN_OR_RETURN(const store::StoredWorker stored, store::GetWorker(view, store::IdOf(worker)));
  response.set_drain(stored.draining);
  return response;
}

void WorkerSessions::Answer(const std::string& worker, State& state, bool at_any_rate) {
  if (!state.done) return;
  absl::StatusOr<v1::SynchronizeResponse> response = Difference(worker, state);
  const bool news =
      !response.ok() || response->start_size() > 0 || response->stop_size() > 0 ||
      (response->drain() && state.request.worker().state() != v1::WORKER_STATE_DRAINING);
  if (!news && !at_any_rate) return;
  std::exchange(state.done, nullptr)(std::move(response));
}

std::optional<absl::Time> WorkerSessions::LastSeen(const std::string& worker) const {
  const auto found = states_.find(worker);
  if (found == states_.end()) return std::nullopt;
  return found->second.last_seen;
}

const v1::Worker* WorkerSessions::Description(const std::string& worker) const {
  const auto found = states_.find(worker);
  return found == states_.end() ? nullptr : &found->second.description;
}

void WorkerSessions::OnWake(const std::string& worker) {
  if (const auto found = states_.find(worker); found != states_.end()) {
    Answer(worker, found->second, false);
  }
}

int64_t WorkerSessions::NextDeadlineMs() const {
  int64_t next_ms = INT64_MAX;
  for (const auto& [worker, state] : states_) {
    if (state.done) next_ms = std::min(next_ms, state.deadline_ms);
  }
  return next_ms;
}

void WorkerSessions::OnTime(int64_t now_ms) {
  for (auto& [worker, state] : states_) {
    if (state.done && state.deadline_ms <= now_ms) Answer(worker, state, true);
  }
}

void WorkerSessions::OnStop() {
  for (auto& [worker, state] : states_) {
    if (!state.done) continue;
    std::exchange(state.done, nullptr)(
        absl::UnavailableError("the server is stopping: synchronize again when it is back"));
  }
}

}  // namespace beamline::server
