#include "engine/core/thread_pool.h"

#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

// A waiting thread looks this often, yielding now and then, before it sleeps: some 100 us.
constexpr int kLooks = 3000;
constexpr int kLooksBetweenYields = 32;

// More than any loop has tiles.
constexpr uint64_t kClosed = 0xffffffffu;

// False on a machine with fewer CPUs than threads: there looking only takes time from the others.
bool WorthLooking(size_t threads) { return threads <= std::thread::hardware_concurrency(); }

void Pause(int look) {
  if (look % kLooksBetweenYields == 0) {
    std::this_thread::yield();
    return;
  }
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads < 1 || threads > 1024) {
    Fail("the number of threads must be between 1 and 1024, got ", threads);
  }
  workers_.reserve(static_cast<size_t>(threads) - 1);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { WorkerLoop(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(int64_t tiles, TileFn fn, const void* context) {
  const uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
  // Closed first: a late thread that reads the fields below half-written cannot claim by them.
  claim_.store(static_cast<uint64_t>(epoch) << 32 | kClosed, std::memory_order_seq_cst);
  tiles_.store(tiles, std::memory_order_release);
  fn_.store(fn, std::memory_order_release);
  context_.store(context, std::memory_order_release);
  done_.store(0, std::memory_order_relaxed);
  claim_.store(static_cast<uint64_t>(epoch) << 32, std::memory_order_release);
  epoch_.store(epoch);
  if (sleeping_.load() > 0) epoch_.notify_all();

  Work(epoch, 0);
  const int looks = WorthLooking(workers_.size() + 1) ? kLooks : 1;
  for (int look = 1;; ++look) {
    const int64_t done = done_.load(std::memory_order_acquire);
    if (done == tiles) break;
    if (look < looks) {
      Pause(look);
    } else {
      done_.wait(done, std::memory_order_acquire);
    }
  }
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::Work(uint32_t epoch, int slot) {
  while (true) {
    uint64_t claim = claim_.load(std::memory_order_acquire);
    if (claim >> 32 != epoch) return;
    const int64_t tile = static_cast<int64_t>(claim & 0xffffffffu);
    const int64_t tiles = tiles_.load(std::memory_order_acquire);
    const TileFn fn = fn_.load(std::memory_order_acquire);
    const void* context = context_.load(std::memory_order_acquire);
    if (tile >= tiles) return;
    // Success proves that the loop is still `epoch`, so that what was read above belongs to it.
    if (!claim_.compare_exchange_weak(claim, claim + 1, std::memory_order_acq_rel)) continue;
    try {
      fn(context, tile, slot);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(error_mutex_);
      if (error_ == nullptr) error_ = std::current_exception();
    }
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == tiles) done_.notify_all();
  }
}

void ThreadPool::WorkerLoop(int slot) {
  uint32_t seen = 0;
  const int looks = WorthLooking(workers_.capacity() + 1) ? kLooks : 1;
  while (true) {
    for (int look = 1; epoch_.load(std::memory_order_acquire) == seen; ++look) {
      if (look < looks) {
        Pause(look);
        continue;
      }
      sleeping_.fetch_add(1);
      epoch_.wait(seen);
      sleeping_.fetch_sub(1);
    }
    if (stop_.load()) return;
    seen = epoch_.load(std::memory_order_acquire);
    Work(seen, slot);
  }
}

}  // namespace beamline::engine
