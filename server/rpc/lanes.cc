#include "server/rpc/lanes.h"

#include <memory>
#include <utility>

#include "server/errors.h"

namespace beamline::server::rpc {
namespace {

constexpr int64_t kRetryMs = 1'000;

}  // namespace

Lanes::Lanes(Options options)
    : options_(options), pool_(options.threads, static_cast<size_t>(options.max_running)) {}

absl::Status Lanes::Enter(const std::string& lane, Call call) {
  {
    const std::lock_guard lock(mutex_);
    Lane& entered = lanes_[lane];
    if (running_ >= options_.max_running || entered.running >= options_.max_running_of_one ||
        !entered.waiting.empty()) {
      if (entered.waiting.size() >= options_.max_waiting_of_one) {
        return Overloaded("too many calls wait for the same turn already: try again later",
                          kRetryMs);
      }
      if (entered.waiting.empty()) turns_.push_back(lane);
      entered.waiting.push_back(std::move(call));
      return absl::OkStatus();
    }
    ++entered.running;
    ++running_;
  }
  call(false);
  return absl::OkStatus();
}

Lanes::Call Lanes::Next() {
  if (running_ >= options_.max_running) return nullptr;
  // Each lane that waits is looked at once.
  for (size_t i = turns_.size(); i > 0; --i) {
    std::string name = std::move(turns_.front());
    turns_.pop_front();
    Lane& lane = lanes_[name];
    if (lane.running >= options_.max_running_of_one) {
      turns_.push_back(std::move(name));
      continue;
    }
    Call call = std::move(lane.waiting.front());
    lane.waiting.pop_front();
    if (!lane.waiting.empty()) turns_.push_back(std::move(name));
    ++lane.running;
    ++running_;
    return call;
  }
  return nullptr;
}

size_t Lanes::waiting() {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& [name, lane] : lanes_) count += lane.waiting.size();
  return count;
}

void Lanes::Leave(const std::string& lane) {
  Call next;
  {
    const std::lock_guard lock(mutex_);
    const auto left = lanes_.find(lane);
    --running_;
    if (--left->second.running == 0 && left->second.waiting.empty()) lanes_.erase(left);
    next = Next();
  }
  if (next == nullptr) return;
  // The pool has room for all that may run; when it has stopped, all is being refused, which is
  // quick.
  auto shared = std::make_shared<Call>(std::move(next));
  if (!pool_.Run([shared] { (*shared)(true); })) (*shared)(true);
}

}  // namespace beamline::server::rpc
