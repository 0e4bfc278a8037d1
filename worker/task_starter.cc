#include "worker/task_starter.h"

#include <chrono>
#include <utility>

#include "base/log.h"

namespace beamline::worker {

TaskStarter::TaskStarter(Options options)
    : options_(std::move(options)), refill_(options_.keep_one_ready), thread_([this] { Run(); }) {}

TaskStarter::~TaskStarter() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

absl::StatusOr<std::unique_ptr<TaskProcess>> TaskStarter::Take() {
  std::unique_lock lock(mutex_);
  std::unique_ptr<TaskProcess> ready = std::move(ready_);
  refill_ = options_.keep_one_ready;
  changed_.notify_all();
  if (ready != nullptr && ready->Alive()) return ready;
  Order order;
  orders_.push_back(&order);
  changed_.wait(lock, [&] { return order.done; });
  return std::move(order.process);
}

void TaskStarter::Run() {
  std::unique_lock lock(mutex_);
  while (!stopped_ || !orders_.empty()) {
    if (!orders_.empty()) {
      Order* const order = orders_.back();
      orders_.pop_back();
      lock.unlock();
      auto process = TaskProcess::Start(options_.binary, options_.arguments, options_.folder);
      lock.lock();
      order->process = std::move(process);
      order->done = true;
      changed_.notify_all();
    } else if (refill_) {
      refill_ = false;
      const bool interrupted =
          changed_.wait_for(lock, std::chrono::milliseconds(options_.refill_ms),
                            [&] { return stopped_ || refill_ || !orders_.empty(); });
      if (interrupted) {
        refill_ = true;
        continue;
      }
      lock.unlock();
      auto process = TaskProcess::Start(options_.binary, options_.arguments, options_.folder);
      if (!process.ok()) log::Warning("no process kept ready: %s", process.status().ToString());
      lock.lock();
      if (process.ok()) ready_ = *std::move(process);
    } else {
      changed_.wait(lock);
    }
  }
}

}  // namespace beamline::worker
