#include "engine/data/shuffled_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>
#include <random>
#include <thread>

namespace beamline::engine::data {
namespace {

// A record is its row's number, over and over.
constexpr int64_t kRecordBytes = 24;

class ShuffledRecordsTest : public ::testing::Test {
 protected:
  ShuffledRecords Make(int64_t rows, int64_t memory_bytes) {
    const Array<std::byte> records = workspace_.New<std::byte>(rows * kRecordBytes);
    auto* const numbers = reinterpret_cast<int64_t*>(records.data);
    for (int64_t i = 0; i < rows * 3; ++i) numbers[i] = i / 3;
    return {records, rows, kRecordBytes, memory_bytes, workspace_};
  }

  static std::vector<int64_t> Order(int64_t rows, uint64_t seed) {
    std::vector<int64_t> order(static_cast<size_t>(rows));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
    return order;
  }

  // Whether each of these is what Read gives for it.
  static bool Right(const ShuffledRecords& records, std::span<const int64_t> rows) {
    std::vector<int64_t> got(rows.size() * 3, -1);
    records.Read(rows, [&](size_t i, const std::byte* record) {
      std::memcpy(&got[3 * i], record, kRecordBytes);
    });
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i] != rows[i / 3]) return false;
    }
    return true;
  }

  Workspace workspace_{{}};
};

TEST_F(ShuffledRecordsTest, EveryOrderComesFromBuckets) {
  // Buckets of one record, of parts of a batch, of several batches, of all.
  for (const int64_t memory : {1, 4 * 32 * 5, 4 * 32 * 100, 1 << 20}) {
    ShuffledRecords records = Make(1003, memory);
    int64_t sum = 0;
    for (uint64_t epoch = 0; epoch < 3; ++epoch) {
      const std::vector<int64_t> order = Order(1003, epoch);
      const size_t begin = epoch * 301;  // As after a checkpoint.
      records.Expect(order, static_cast<int64_t>(begin));
      for (size_t at = begin; at < order.size(); at += 16) {
        const auto batch =
            std::span<const int64_t>(order).subspan(at, std::min<size_t>(16, order.size() - at));
        ASSERT_TRUE(Right(records, batch)) << memory << " " << epoch << " " << at;
      }
      sum += static_cast<int64_t>(order.size() - begin);
      EXPECT_EQ(records.read_in_order(), sum) << memory;
    }
  }
}

TEST_F(ShuffledRecordsTest, WhatIsNotExpectedIsRight) {
  ShuffledRecords records = Make(500, 4 * 32 * 50);
  std::vector<int64_t> order = Order(500, 1);
  EXPECT_TRUE(Right(records, order));  // Nothing was said yet.
  records.Expect(order, 0);
  EXPECT_TRUE(Right(records, std::vector<int64_t>{499, 0, 7, 7}));
  EXPECT_TRUE(Right(records, std::span<const int64_t>(order).subspan(450)));
  EXPECT_TRUE(Right(records, std::span<const int64_t>(order).first(10)));  // Past.
  // An order that became another one in its place.
  std::reverse(order.begin(), order.end());
  EXPECT_TRUE(Right(records, order));
}

TEST_F(ShuffledRecordsTest, AnOrderMayLeaveRowsOut) {
  ShuffledRecords records = Make(300, 4 * 32 * 7);
  std::vector<int64_t> order = Order(300, 2);
  order.resize(123);
  records.Expect(order, 0);
  EXPECT_TRUE(Right(records, order));
  EXPECT_EQ(records.read_in_order(), 123);
}

TEST_F(ShuffledRecordsTest, ThreadsShareABatch) {
  ShuffledRecords records = Make(4000, 4 * 32 * 60);
  const std::vector<int64_t> order = Order(4000, 3);
  records.Expect(order, 0);
  std::atomic<int> wrong = 0;
  for (size_t at = 0; at < order.size(); at += 200) {
    std::vector<std::thread> threads;
    for (size_t part = 0; part < 4; ++part) {
      threads.emplace_back([&, part] {
        wrong += !Right(records, std::span<const int64_t>(order).subspan(at + 50 * part, 50));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(ShuffledRecordsTest, NeedsRoom) {
  Workspace none({.memory_bytes = 10'000});
  const Array<std::byte> records = none.New<std::byte>(100 * kRecordBytes);
  EXPECT_THROW(ShuffledRecords(records, 1000, kRecordBytes, 1000, none), NoRoom);
}

}  // namespace
}  // namespace beamline::engine::data
