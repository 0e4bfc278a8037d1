// Memory and threads for making tables from tables.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/thread_pool.h"
#include "engine/data/statistics.h"

namespace beamline::engine::data {

// Thrown where an array has no room: neither in the memory nor in the files that are allowed.
class NoRoom : public Error {
 public:
  using Error::Error;
};

// Numbers without initial values, shared by those who hold it.
template <typename T>
struct Array {
  std::shared_ptr<void> owner;
  T* data = nullptr;
  int64_t size = 0;

  T& operator[](int64_t i) const { return data[i]; }
  std::span<T> span() const { return {data, static_cast<size_t>(size)}; }
  T* begin() const { return data; }
  T* end() const { return data + size; }
};

// Large arrays lie in memory up to a limit and beyond it in nameless files of a folder, which the
// system writes out when it needs the memory: so a table may be larger than memory, and what is
// too large for the disk is refused before it is begun. Arrays may outlive it. Not thread-safe.
class Workspace {
 public:
  struct Options {
    int threads = 1;
    // Unit: bytes.
    int64_t memory_bytes = INT64_MAX;
    // Where files are made. Empty: none are, and more memory is refused.
    std::string folder = {};
    // Of all files together. Unit: bytes.
    int64_t disk_bytes = 0;
    // What the user is told to do if that is not enough.
    std::string remedy = "raise resources.memory_bytes, or select fewer columns or rows first";
    // Called on the caller's thread between parts of the work, with the rows that are done and
    // those there are; may throw to end it.
    std::function<void(int64_t done, int64_t rows)> progress = {};
  };
  explicit Workspace(Options options);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // Throws NoRoom, saying how much there is, if there is none. A file has all of its room from the
  // beginning: writing to the array cannot fail.
  template <typename T>
  Array<T> New(int64_t size) {
    Array<T> array;
    array.owner = Allocate(size, sizeof(T));
    array.data = static_cast<T*>(array.owner.get());
    array.size = size;
    return array;
  }

  // The numbers [begin, end) of an array that New made will not be used any more: if they are in a
  // file, gives back its room there. Else does nothing.
  template <typename T>
  static void Discard(const Array<T>& array, int64_t begin, int64_t end) {
    DiscardBytes(array.owner, begin * static_cast<int64_t>(sizeof(T)),
                 end * static_cast<int64_t>(sizeof(T)));
  }

  // Calls body(begin, end, slot) for chunks of kChunkRows rows, which may run at once, and tells
  // `progress` now and then. `slot` tells threads apart.
  void ForChunks(int64_t rows,
                 const std::function<void(int64_t begin, int64_t end, int slot)>& body);
  // Calls body(i, slot) for each i in [0, count), which may run at once.
  void ForEach(int64_t count, const std::function<void(int64_t i, int slot)>& body);
  // The caller's own loop is so far.
  void Tell(int64_t done, int64_t rows) {
    if (options_.progress) options_.progress(done, rows);
  }
  // Calls body(begin, end) for pieces of [0, rows) in order, and tells `progress` between them.
  template <typename Body>
  void InOrder(int64_t rows, const Body& body) {
    for (int64_t begin = 0; begin < rows; begin += 4 * kChunkRows) {
      Tell(begin, rows);
      body(begin, std::min(rows, begin + 4 * kChunkRows));
    }
  }

  int threads() const { return options_.threads; }

 private:
  struct Use;
  struct Unmap;
  static void DiscardBytes(const std::shared_ptr<void>& owner, int64_t begin, int64_t end);
  std::shared_ptr<void> Allocate(int64_t size, size_t value_bytes);
  std::shared_ptr<void> MapFile(int64_t bytes);

  const Options options_;
  ThreadPool pool_;
  std::shared_ptr<Use> use_;
};

}  // namespace beamline::engine::data
