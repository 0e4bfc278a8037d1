// Wakes those who watch a run when it has new events. Carries no events: watchers read the store.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::server {

class RunWatcher;

// Thread-safe.
class EventBus {
 public:
  // `watcher` is woken from now on whenever something about `run` is published.
  void Subscribe(const std::string& run, const std::shared_ptr<RunWatcher>& watcher);
  // Drops watchers of `run` that are gone.
  void Unsubscribe(const std::string& run);
  // Call when new events of `run` are durable.
  void Publish(const std::string& run);
  // Ends all watchers, and those that come, with Unavailable.
  void Stop();

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::string, std::vector<std::weak_ptr<RunWatcher>>, std::less<>> watchers_;
  bool stopped_ = false;
};

}  // namespace beamline::server
