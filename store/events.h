// What happened to runs: per run a sequence 1, 2, 3, ... without gaps.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/run.pb.h"
#include "store/store.h"

namespace beamline::store {

// Which events to list. All must hold.
struct EventFilter {
  // KIND_NOT_SET: any kind.
  v1::Event::KindCase kind = v1::Event::KIND_NOT_SET;
  // Of the step's own task, or of a trial or fold by its task ("tune.3.f2"). Empty: any.
  std::string task;
  // Of a metric; empty: any.
  std::string name;
};

// Gives the events the run's next sequence numbers, in order, and stores them. Their `sequence` is
// set. NotFound if there is no such run.
absl::Status AppendEvents(Writer& writer, std::string_view run, std::vector<v1::Event>& events);

// Of the newest event; 0 if there is none yet. NotFound if there is no such run.
absl::StatusOr<int64_t> LastSequence(const View& view, std::string_view run);

// In order, those after `after` that pass the filter; at most `limit`, and no more after about
// 1 MiB.
absl::StatusOr<std::vector<v1::Event>> ListEvents(const View& view, std::string_view run,
                                                  int64_t after, int64_t limit,
                                                  const EventFilter& filter = {});

// The newest `limit` that pass the filter, whose kind must be set, among the run's last some
// thousand events; the newest first.
absl::StatusOr<std::vector<v1::Event>> LastEvents(const View& view, std::string_view run,
                                                  const EventFilter& filter, int64_t limit);

}  // namespace beamline::store
