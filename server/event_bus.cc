#include "server/event_bus.h"

#include <utility>

#include "server/api/run_watcher.h"

namespace beamline::server {
namespace {

absl::Status StoppingStatus() {
  return absl::UnavailableError("the server is stopping: watch again from the last event seen");
}

}  // namespace

void EventBus::Subscribe(const std::string& run, const std::shared_ptr<RunWatcher>& watcher) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      watchers_[run].push_back(watcher);
      return;
    }
  }
  watcher->End(StoppingStatus());
}

void EventBus::Unsubscribe(const std::string& run) {
  const std::lock_guard lock(mutex_);
  const auto found = watchers_.find(run);
  if (found == watchers_.end()) return;
  std::erase_if(found->second, [](const auto& watcher) { return watcher.expired(); });
  if (found->second.empty()) watchers_.erase(found);
}

void EventBus::Publish(const std::string& run) {
  std::vector<std::shared_ptr<RunWatcher>> woken;
  {
    const std::lock_guard lock(mutex_);
    const auto found = watchers_.find(run);
    if (found == watchers_.end()) return;
    for (const auto& watcher : found->second) {
      if (auto alive = watcher.lock()) woken.push_back(std::move(alive));
    }
  }
  for (const auto& watcher : woken) watcher->Wake();
}

void EventBus::Stop() {
  std::map<std::string, std::vector<std::weak_ptr<RunWatcher>>, std::less<>> watchers;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    watchers.swap(watchers_);
  }
  for (const auto& [run, list] : watchers) {
    for (const auto& watcher : list) {
      if (const auto alive = watcher.lock()) alive->End(StoppingStatus());
    }
  }
}

}  // namespace beamline::server
