#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/states.h"
#include "tests/sim/checks/checks.h"

namespace beamline::sim {

using google::protobuf::util::MessageDifferencer;

void CheckStreams(World& world, const WantedRun& run) {
  const auto fail = [&](const std::string& what) {
    world.Fail("streams", absl::StrCat(run.name, ": ", what));
  };
  for (const auto& watcher : run.watchers) {
    int64_t sequence = 0;
    int ends = 0;
    for (const v1::Event& event : watcher->events) {
      if (event.sequence() != ++sequence) {
        return fail(absl::StrCat("event ", event.sequence(), " in the place of ", sequence));
      }
      if (ends > 0) return fail(absl::StrCat("event ", sequence, " comes after the end"));
      ends += server::IsTerminal(event.run_state().state()) ? 1 : 0;
    }
    if (ends != 1) return fail("its events end without its end");
    const auto& first = run.watchers.front()->events;
    if (watcher->events.size() != first.size()) return fail("two watchers saw other events");
    for (size_t i = 0; i < first.size(); ++i) {
      if (!MessageDifferencer::Equals(first[i], watcher->events[i])) {
        return fail(absl::StrCat("two watchers saw other events ", i + 1));
      }
    }
  }
}

}  // namespace beamline::sim
