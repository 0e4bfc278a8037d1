#include "server/coordinator.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "base/status_macros.h"
#include "server/errors.h"

namespace beamline::server {
namespace {

constexpr int64_t kNever = INT64_MAX;
// The longest sleep; only a bound, so that sums of times cannot overflow. Unit: milliseconds.
constexpr int64_t kLongestWaitMs = 3'600'000;

absl::Status StoppedStatus() {
  return absl::UnavailableError("the server is stopping: try again when it is back");
}

}  // namespace

Coordinator::Coordinator(store::Store& store, EventBus& bus, const Clock& clock,
                         ApplyAction apply_action, Options options)
    : store_(store),
      bus_(bus),
      clock_(clock),
      apply_action_(std::move(apply_action)),
      options_(std::move(options)),
      scheduler_(options_.scheduler),
      timer_ms_(kNever) {}

Coordinator::~Coordinator() { Stop(); }

absl::Status Coordinator::Start(absl::AnyInvocable<absl::Status(Transaction&)> restore) {
  store::Writer& writer = store_.writer();
  RETURN_IF_ERROR(writer.BeginBatch());
  Transaction transaction(writer, scheduler_, clock_.Now(), clock_.MonotonicMillis());
  absl::Status status = restore(transaction);
  if (status.ok()) status = Settle(transaction);
  if (!status.ok()) {
    writer.Abandon();
    return status;
  }
  RETURN_IF_ERROR(writer.Commit());
  const std::lock_guard lock(mutex_);
  accepting_ = true;
  started_ = true;
  if (options_.own_thread) thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

void Coordinator::Submit(Command command) {
  absl::Status refused;
  {
    const std::lock_guard lock(mutex_);
    if (!accepting_) {
      refused = StoppedStatus();
    } else if (waiting_.size() >= options_.max_waiting) {
      refused = Overloaded("the server has too much to do: try again", 1'000);
    } else {
      waiting_.push_back(std::move(command));
      if (waiting_.size() == 1) changed_.notify_one();
      return;
    }
  }
  command.done(std::move(refused));
}

void Coordinator::Poke() {
  const std::lock_guard lock(mutex_);
  poked_ = true;
  changed_.notify_one();
}

void Coordinator::Stop() {
  {
    const std::lock_guard lock(mutex_);
    accepting_ = false;
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  if (options_.own_thread || !std::exchange(started_, false)) return;
  Finish();
}

bool Coordinator::RunOne() {
  std::vector<Command> batch;
  {
    const std::lock_guard lock(mutex_);
    batch = TakeBatch();
  }
  if (batch.empty() && NextDueMs() > clock_.MonotonicMillis()) return false;
  Turn(std::move(batch));
  return true;
}

void Coordinator::Finish() {
  while (true) {
    std::vector<Command> batch;
    {
      const std::lock_guard lock(mutex_);
      batch = TakeBatch();
    }
    if (batch.empty()) break;
    Turn(std::move(batch));
  }
  for (CoordinatorPart* part : parts_) part->OnStop();
}

std::vector<Coordinator::Command> Coordinator::TakeBatch() {
  const auto count = static_cast<std::ptrdiff_t>(std::min(waiting_.size(), options_.max_batch));
  std::vector<Command> batch(std::make_move_iterator(waiting_.begin()),
                             std::make_move_iterator(waiting_.begin() + count));
  waiting_.erase(waiting_.begin(), waiting_.begin() + count);
  return batch;
}

int64_t Coordinator::NextDueMs() const {
  int64_t due_ms = timer_ms_;
  for (const CoordinatorPart* part : parts_) due_ms = std::min(due_ms, part->NextDeadlineMs());
  return due_ms;
}

void Coordinator::Loop() {
  while (true) {
    std::vector<Command> batch;
    {
      std::unique_lock lock(mutex_);
      const int64_t wait_ms = std::min(NextDueMs() - clock_.MonotonicMillis(), kLongestWaitMs);
      if (wait_ms > 0) {
        changed_.wait_for(lock, std::chrono::milliseconds(wait_ms),
                          [this] { return !waiting_.empty() || stopping_ || poked_; });
      }
      poked_ = false;
      if (stopping_) break;
      batch = TakeBatch();
    }
    Turn(std::move(batch));
  }
  Finish();
}

void Coordinator::Turn(std::vector<Command> batch) {
  const int64_t now_ms = clock_.MonotonicMillis();
  const bool tick = timer_ms_ <= now_ms;
  Transaction transaction(store_.writer(), scheduler_, clock_.Now(), now_ms);
  std::vector<absl::Status> results(batch.size());
  if (failure_.ok() && (tick || !batch.empty())) {
    if (absl::Status begun = transaction.store().BeginBatch(); !begun.ok()) Fail(std::move(begun));
    for (size_t i = 0; failure_.ok() && i < batch.size(); ++i) {
      results[i] = Apply(transaction, batch[i]);
    }
    // After what has come in: signs of life that waited count before leases are looked at.
    if (failure_.ok() && tick) {
      timer_ms_ = kNever;
      transaction.Schedule(scheduler::Tick());
      if (absl::Status ticked = Settle(transaction); !ticked.ok()) Fail(std::move(ticked));
    }
    if (failure_.ok()) {
      if (absl::Status status = transaction.store().Commit(); !status.ok()) Fail(std::move(status));
    }
    if (!failure_.ok()) transaction.store().Abandon();
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i].done(failure_.ok() ? std::move(results[i])
                                : absl::UnavailableError("the server's database has failed"));
  }
  if (!failure_.ok()) {
    // Nothing is due any more; only commands to refuse wake the loop.
    timer_ms_ = kNever;
  } else {
    for (const std::string& run : transaction.published_) bus_.Publish(run);
    for (CoordinatorPart* part : parts_) {
      for (const std::string& worker : transaction.woken_) part->OnWake(worker);
    }
  }
  for (CoordinatorPart* part : parts_) {
    if (part->NextDeadlineMs() <= now_ms) part->OnTime(now_ms);
  }
}

absl::Status Coordinator::Apply(Transaction& transaction, Command& command) {
  absl::Status settled;
  absl::Status result = transaction.store().RunCommand([&]() -> absl::Status {
    RETURN_IF_ERROR(command.apply(transaction));
    settled = Settle(transaction);
    return settled;
  });
  transaction.events_.clear();
  if (!settled.ok()) {
    Fail(settled);
  } else if (transaction.store().broken()) {
    Fail(result);
  }
  return result;
}

absl::Status Coordinator::Settle(Transaction& transaction) {
  while (!transaction.events_.empty()) {
    const scheduler::Event event = std::move(transaction.events_.front());
    transaction.events_.pop_front();
    for (const scheduler::Action& action : scheduler_.Step(event, transaction.now_ms_)) {
      if (const auto* timer = std::get_if<scheduler::SetTimer>(&action)) {
        timer_ms_ = timer->at_ms;
      } else {
        RETURN_IF_ERROR(apply_action_(transaction, action));
      }
    }
  }
  return absl::OkStatus();
}

void Coordinator::Fail(absl::Status status) {
  log::Error("the database has failed; nothing is acknowledged any more: %s", status.ToString());
  failure_ = std::move(status);
  {
    const std::lock_guard lock(mutex_);
    accepting_ = false;
  }
  if (options_.on_fatal) options_.on_fatal(failure_);
}

}  // namespace beamline::server
