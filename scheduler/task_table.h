// All tasks by name. Private to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "scheduler/ids.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

// A hash table with open addressing (linear probing, at most half full): to find that a name is new
// costs one cache miss. Only looked up, so that no decision depends on hashes. Owns the tasks, each
// at one address. Not thread-safe.
class TaskTable {
 public:
  TaskTable() : cells_(kFewest) {}

  size_t size() const { return size_; }

  // nullptr: unknown.
  Task* Find(const TaskId& id) const {
    const size_t hash = IdHash()(id);
    for (size_t at = hash & Mask(); cells_[at].task != nullptr; at = (at + 1) & Mask()) {
      if (cells_[at].hash != hash) continue;
      Prefetch(*cells_[at].task);
      if (cells_[at].task->spec.task == id) return cells_[at].task.get();
    }
    return nullptr;
  }

  // `id` must be unknown. The new task has no name yet.
  Task& Add(const TaskId& id) {
    if (2 * ++size_ > cells_.size()) Grow();
    const size_t hash = IdHash()(id);
    Cell& cell = cells_[FreeFor(hash)];
    cell = {hash, std::make_unique<Task>()};
    return *cell.task;
  }

  void Erase(const Task& task) {
    size_t at = IdHash()(task.spec.task) & Mask();
    while (cells_[at].task.get() != &task) at = (at + 1) & Mask();
    cells_[at].task.reset();
    --size_;
    // Nobody may have to search across the gap.
    for (size_t next = (at + 1) & Mask(); cells_[next].task != nullptr;
         next = (next + 1) & Mask()) {
      const size_t home = cells_[next].hash & Mask();
      if (((next - home) & Mask()) < ((next - at) & Mask())) continue;
      cells_[at] = std::move(cells_[next]);
      at = next;
    }
  }

  // All of them, in no useful order.
  std::vector<Task*> All() const {
    std::vector<Task*> tasks;
    for (const Cell& cell : cells_) {
      if (cell.task != nullptr) tasks.push_back(cell.task.get());
    }
    return tasks;
  }

 private:
  struct Cell {
    size_t hash = 0;
    std::unique_ptr<Task> task;
  };
  static constexpr size_t kFewest = 64;

  size_t Mask() const { return cells_.size() - 1; }
  size_t FreeFor(size_t hash) const {
    size_t at = hash & Mask();
    while (cells_[at].task != nullptr) at = (at + 1) & Mask();
    return at;
  }
  void Grow() {
    std::vector<Cell> old(2 * cells_.size());
    old.swap(cells_);
    for (Cell& cell : old) {
      if (cell.task != nullptr) cells_[FreeFor(cell.hash)] = std::move(cell);
    }
  }

  // A power of two.
  std::vector<Cell> cells_;
  size_t size_ = 0;
};

}  // namespace beamline::scheduler
