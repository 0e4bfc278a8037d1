#include "server/transaction.h"

#include <utility>

#include "store/events.h"
#include "store/time.h"

namespace beamline::server {

absl::Status Transaction::Append(std::string_view run, std::vector<v1::Event> events) {
  for (v1::Event& event : events) {
    if (!event.has_time()) *event.mutable_time() = store::ToProto(now_);
  }
  published_.emplace(run);
  return store::AppendEvents(store_, run, events);
}

absl::Status Transaction::Append(std::string_view run, v1::Event event) {
  std::vector<v1::Event> events;
  events.push_back(std::move(event));
  return Append(run, std::move(events));
}

}  // namespace beamline::server
