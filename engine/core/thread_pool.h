// Threads that share a loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace beamline::engine {

// Runs loops whose iterations ("tiles") are independent. The caller fixes the tiles from the
// problem alone, never from the number of threads: then which thread does which tile cannot change
// a result. Work below about 10 us is better done by a plain loop, since waking a thread costs
// microseconds.
//
// A loop starts and ends without lock or allocation. Idle threads look for work for some 100 us,
// yielding the CPU to others while they do, and then sleep.
//
// ParallelFor must be called from one thread at a time, and not from inside a tile.
class ThreadPool {
 public:
  // `threads` counts the calling thread: 1 starts none. Throws Error unless 1 <= threads <= 1024.
  explicit ThreadPool(int threads);
  // Joins the threads.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(tile) or body(tile, slot) for each tile in [0, tiles), on this thread and the
  // pool's, and returns when all are done. `slot` in [0, threads()) tells the threads apart, for
  // scratch memory of their own. Rethrows the first exception that a tile threw, after all tiles
  // ended.
  template <typename Body>
  void ParallelFor(int64_t tiles, const Body& body) {
    if (tiles <= 1 || workers_.empty()) {
      for (int64_t tile = 0; tile < tiles; ++tile) Call(body, tile, 0);
      return;
    }
    Run(
        tiles,
        [](const void* context, int64_t tile, int slot) {
          Call(*static_cast<const Body*>(context), tile, slot);
        },
        &body);
  }

 private:
  using TileFn = void (*)(const void* context, int64_t tile, int slot);

  template <typename Body>
  static void Call(const Body& body, int64_t tile, int slot) {
    if constexpr (std::is_invocable_v<const Body&, int64_t, int>) {
      body(tile, slot);
    } else {
      body(tile);
    }
  }

  void Run(int64_t tiles, TileFn fn, const void* context);
  void WorkerLoop(int slot);
  // Does tiles of loop `epoch` until none is left unclaimed.
  void Work(uint32_t epoch, int slot);

  // Loop number in the high half, next unclaimed tile in the low half. A tile is claimed by
  // compare-and-swap of both, so a late thread can never claim from a loop it did not see. While
  // the next loop is being set up the low half is larger than any number of tiles.
  std::atomic<uint64_t> claim_{0};
  std::atomic<uint32_t> epoch_{0};
  std::atomic<int64_t> tiles_{0};
  std::atomic<TileFn> fn_{nullptr};
  std::atomic<const void*> context_{nullptr};
  std::atomic<int64_t> done_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;  // guarded by error_mutex_
  std::vector<std::thread> workers_;
};

}  // namespace beamline::engine
