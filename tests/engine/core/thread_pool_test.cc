#include "engine/core/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, DoesEachTileOnceInEveryLoop) {
  ThreadPool pool(GetParam());
  for (int loop = 0; loop < 2000; ++loop) {
    const int tiles = loop % 23;
    std::vector<int> visits(static_cast<size_t>(tiles));
    pool.ParallelFor(tiles, [&](int64_t tile) { ++visits[static_cast<size_t>(tile)]; });
    for (const int count : visits) ASSERT_EQ(count, 1);
  }
}

TEST_P(ThreadPoolTest, RethrowsAndStaysUsable) {
  ThreadPool pool(GetParam());
  EXPECT_THROW(pool.ParallelFor(8,
                                [](int64_t tile) {
                                  if (tile == 5) Fail("tile 5");
                                }),
               Error);
  std::atomic<int> done{0};
  pool.ParallelFor(8, [&](int64_t) { ++done; });
  EXPECT_EQ(done, 8);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8));

TEST(ThreadPoolTest, RefusesSillyCounts) {
  EXPECT_THROW(ThreadPool(0), Error);
  EXPECT_THROW(ThreadPool(100'000), Error);
}

}  // namespace
}  // namespace beamline::engine
