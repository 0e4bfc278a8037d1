#include "server/api/run_watcher.h"

#include <utility>

#include "base/status_macros.h"
#include "server/event_bus.h"
#include "server/states.h"
#include "server/work_pool.h"
#include "store/events.h"
#include "store/runs.h"
#include "store/store.h"

namespace beamline::server {
namespace {

constexpr int64_t kPageEvents = 256;

absl::Status CancelledStatus() { return absl::CancelledError("the watch was cancelled"); }

}  // namespace

RunWatcher::RunWatcher(store::Store& store, EventBus& bus, WorkPool& pool, std::string run,
                       int64_t after)
    : store_(store), bus_(bus), pool_(pool), run_(std::move(run)), after_(after) {}

RunWatcher::~RunWatcher() {
  bus_.Unsubscribe(run_);
  if (waiting_) waiting_(CancelledStatus());
}

void RunWatcher::Next(Done<std::vector<v1::Event>> done) { Read(std::move(done)); }

void RunWatcher::Cancel() { End(CancelledStatus()); }

void RunWatcher::End(absl::Status why) {
  Done<std::vector<v1::Event>> waiting;
  {
    const std::lock_guard lock(mutex_);
    end_.Update(why);
    why = end_;
    waiting = std::exchange(waiting_, nullptr);
  }
  if (waiting) waiting(std::move(why));
}

void RunWatcher::Wake() {
  Done<std::vector<v1::Event>> waiting;
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    waiting = std::exchange(waiting_, nullptr);
  }
  if (!waiting) return;
  auto shared = std::make_shared<Done<std::vector<v1::Event>>>(std::move(waiting));
  const bool accepted =
      pool_.Run([self = shared_from_this(), shared] { self->Read(std::move(*shared)); });
  if (!accepted) (*shared)(absl::UnavailableError("the server is busy or stopping: watch again"));
}

void RunWatcher::Read(Done<std::vector<v1::Event>> done) {
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      woken_ = false;
    }
    absl::StatusOr<std::vector<v1::Event>> page = ReadPage();
    bool answer = !page.ok() || !page->empty();
    {
      const std::lock_guard lock(mutex_);
      if (!end_.ok()) {
        page = end_;
        answer = true;
      }
      answer = answer || ended_;
      if (!answer && !woken_) {
        waiting_ = std::move(done);
        return;
      }
    }
    if (answer) {
      done(std::move(page));
      return;
    }
  }
}

absl::StatusOr<std::vector<v1::Event>> RunWatcher::ReadPage() {
  int64_t after = 0;
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || !end_.ok()) return std::vector<v1::Event>();
    after = after_;
  }
  ASSIGN_OR_RETURN(const store::Reader reader, store_.Read());
  ASSIGN_OR_RETURN(auto page, store::ListEvents(reader, run_, after, kPageEvents));
  bool ended = false;
  if (page.empty()) {
    ASSIGN_OR_RETURN(const store::StoredRun run, store::GetRun(reader, run_));
    ended = IsTerminal(run.message.state());
  }
  const std::lock_guard lock(mutex_);
  ended_ = ended;
  if (!page.empty()) after_ = page.back().sequence();
  return page;
}

}  // namespace beamline::server
