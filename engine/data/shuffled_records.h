// Records that are larger than memory, in an order drawn anew each epoch, without reading a page of
// the disk for each of them.
//
// Said beforehand in which order they are wanted, it goes through all records once, in their own
// order, and copies each behind the others of its bucket: of the records that are wanted about the
// same time. A bucket fits into the system's cache, into which it is read in one piece, ahead of
// its time; within it records are found by a table. So an epoch reads all records twice and writes
// them once, each time one after the other, and a reader gets the bytes that it would have got from
// the records themselves.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/data/workspace.h"

namespace beamline::engine::data {

// Thread-safe but for Expect, during which nothing else may be called.
class ShuffledRecords {
 public:
  // `records` are [rows, record_bytes]. Takes room for a copy of them, and 8 bytes a row, from
  // `workspace`: NoRoom if there is none. Buckets are so large that four of them are no more than
  // `memory_bytes`, but have at least one record. Throws Error for 2^32 rows and more.
  ShuffledRecords(Array<std::byte> records, int64_t rows, int64_t record_bytes,
                  int64_t memory_bytes, Workspace& workspace);
  ~ShuffledRecords();
  ShuffledRecords(const ShuffledRecords&) = delete;
  ShuffledRecords& operator=(const ShuffledRecords&) = delete;

  // From now on rows order[position], order[position + 1], ... are wanted, each once. `order`,
  // of different rows, need not be kept, but who then asks for rows by a part of it, in place, gets
  // them from the buckets. Blocks for as long as it takes to go through all records.
  void Expect(std::span<const int64_t> order, int64_t position);

  // Calls use(i, bytes of rows[i]) for each, from the buckets if they are expected about now, else
  // from the records. Throws std::bad_alloc if memory for a bucket is missing.
  void Read(std::span<const int64_t> rows,
            const std::function<void(size_t i, const std::byte* record)>& use) const;

  // Records that Read gave from buckets so far.
  int64_t read_in_order() const;

 private:
  // Of a record in a bucket: its place in the order wanted there, and its row.
  struct Head {
    uint32_t place;
    uint32_t row;
  };
  // A bucket that is in the system's cache. Of each place in the order wanted: the row, and where
  // its record is in the bucket.
  struct Bucket {
    std::vector<uint32_t> rows;
    std::vector<uint32_t> records;
  };

  int64_t BucketSize(int64_t bucket) const;
  std::byte* Stored(int64_t i) const { return stored_.data + i * record_bytes_; }
  std::shared_ptr<const Bucket> Load(int64_t bucket) const;
  // Null if it is past, or not to come.
  std::shared_ptr<const Bucket> Get(int64_t bucket) const;
  void LoadAhead();
  void Stop();

  const Array<std::byte> records_;
  const int64_t rows_;
  const int64_t record_bytes_;
  const int64_t bucket_rows_;
  // [rows_, record_bytes_] and [rows_]: one bucket behind the other.
  const Array<std::byte> stored_;
  const Array<Head> heads_;

  // Set by Expect.
  const int64_t* order_ = nullptr;  // where it was, never looked at
  int64_t expected_ = 0;
  std::thread loader_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  // Guarded by mutex_.
  mutable std::map<int64_t, std::shared_ptr<const Bucket>> loaded_;
  mutable int64_t wanted_ = 0;  // the last bucket that was asked for
  int64_t next_ = 0;            // to be loaded
  bool stop_ = false;
  std::exception_ptr error_;
  mutable int64_t read_in_order_ = 0;
};

}  // namespace beamline::engine::data
