#include "store/events.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "store/rows.h"

namespace beamline::store {
namespace {

// A page of events is cut behind the event with which it reaches this size.
constexpr size_t kPageBytes = 1 << 20;
// Among so many LastEvents looks: bounds what one question costs.
constexpr int64_t kLastEventsSearched = 5'000;

}  // namespace

absl::Status AppendEvents(Writer& writer, std::string_view run, std::vector<v1::Event>& events) {
  ASSIGN_OR_RETURN(int64_t sequence, LastSequence(writer, run));
  for (v1::Event& event : events) {
    event.set_sequence(++sequence);
    const std::string name = event.has_metric() ? event.metric().name() : std::string();
    const std::string& task = event.task().empty() ? event.step() : event.task();
    RETURN_IF_ERROR(writer.connection()
                        .Execute("INSERT INTO events (run, sequence, kind, step, name, message) "
                                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                                 run, sequence, static_cast<int64_t>(event.kind_case()), task, name,
                                 Bytes{event.SerializeAsString()})
                        .status());
  }
  return writer.connection()
      .Execute("UPDATE runs SET last_sequence = ?2 WHERE id = ?1", run, sequence)
      .status();
}

absl::StatusOr<int64_t> LastSequence(const View& view, std::string_view run) {
  return One<int64_t>(
      view, absl::StrCat("run ", A(run)), "SELECT last_sequence FROM runs WHERE id = ?1",
      [](const Row& row) { return row.Int(0); }, run);
}

absl::StatusOr<std::vector<v1::Event>> ListEvents(const View& view, std::string_view run,
                                                  int64_t after, int64_t limit,
                                                  const EventFilter& filter) {
  // The page must be cut while rows arrive: an event may have 16 KiB, and a page 10,000 events.
  std::vector<v1::Event> events;
  size_t size = 0;
  absl::Status status;
  const auto take = [&](const Row& row) {
    if (size >= kPageBytes || !status.ok()) return false;
    v1::Event event;
    status = ParseMessage(row.Text(0), event);
    size += row.Text(0).size();
    if (status.ok()) events.push_back(std::move(event));
    return true;
  };
  if (filter.kind == v1::Event::KIND_NOT_SET) {
    RETURN_IF_ERROR(view.connection().QueryWhile(
        "SELECT message FROM events WHERE run = ?1 AND sequence > ?2 AND "
        "(?3 = '' OR step = ?3) ORDER BY sequence LIMIT ?4",
        take, run, after, filter.task, limit));
  } else {
    RETURN_IF_ERROR(view.connection().QueryWhile(
        "SELECT message FROM events WHERE run = ?1 AND kind = ?2 AND sequence > ?3 AND "
        "(?4 = '' OR step = ?4) AND (?5 = '' OR name = ?5) ORDER BY sequence LIMIT ?6",
        take, run, static_cast<int64_t>(filter.kind), after, filter.task, filter.name, limit));
  }
  RETURN_IF_ERROR(status);
  return events;
}

absl::StatusOr<std::vector<v1::Event>> LastEvents(const View& view, std::string_view run,
                                                  const EventFilter& filter, int64_t limit) {
  return Many<v1::Event>(
      view,
      "SELECT message FROM events WHERE run = ?1 AND kind = ?2 AND (?3 = '' OR step = ?3) AND "
      "(?4 = '' OR name = ?4) AND "
      "sequence > (SELECT last_sequence FROM runs WHERE id = ?1) - ?6 "
      "ORDER BY sequence DESC LIMIT ?5",
      ReadMessage<v1::Event>, run, static_cast<int64_t>(filter.kind), filter.task, filter.name,
      limit, kLastEventsSearched);
}

}  // namespace beamline::store
