#include "scheduler/contest.h"

#include "scheduler/projects.h"

namespace beamline::scheduler {

Contest::Entry Contest::EntryOf(Line& line) {
  const Project& top = *line.project.path.front();
  return {top.held_ratio, top.name, &line};
}

bool Contest::Less(const Entry& a, const Entry& b) {
  if (a.ratio != b.ratio) return a.ratio < b.ratio;
  if (a.name != b.name) return a.name < b.name;
  const Project& left = *a.line->project.path.front();
  const Project& right = *b.line->project.path.front();
  return &left == &right ? HoldsLess(a.line->project, b.line->project) : left.id < right.id;
}

void Contest::Put(size_t at, const Entry& entry) {
  heap_[at] = entry;
  entry.line->places[of_] = static_cast<int32_t>(at);
}

void Contest::Rise(size_t at, const Entry& entry) {
  while (at > 0 && Less(entry, heap_[(at - 1) / 2])) {
    Put(at, heap_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  Put(at, entry);
}

void Contest::Sink(size_t at, const Entry& entry) {
  for (size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
    if (child + 1 < heap_.size() && Less(heap_[child + 1], heap_[child])) ++child;
    if (!Less(heap_[child], entry)) break;
    Put(at, heap_[child]);
    at = child;
  }
  Put(at, entry);
}

Line& Contest::First() {
  for (;;) {
    const Entry entry = EntryOf(*heap_.front().line);
    if (entry.ratio == heap_.front().ratio) return *entry.line;
    Sink(0, entry);
  }
}

void Contest::Enter(Line& line) {
  const Entry entry = EntryOf(line);
  if (line.places[of_] < 0) {
    heap_.push_back(entry);
    Rise(heap_.size() - 1, entry);
    return;
  }
  const auto at = static_cast<size_t>(line.places[of_]);
  if (at > 0 && Less(entry, heap_[(at - 1) / 2])) {
    Rise(at, entry);
  } else {
    Sink(at, entry);
  }
}

void Contest::Leave(Line& line) {
  if (line.places[of_] < 0) return;
  const auto at = static_cast<size_t>(line.places[of_]);
  line.places[of_] = -1;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  if (at > 0 && Less(last, heap_[(at - 1) / 2])) {
    Rise(at, last);
  } else {
    Sink(at, last);
  }
}

}  // namespace beamline::scheduler
