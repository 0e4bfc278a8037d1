#include "engine/data/shuffled_records.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine::data {
namespace {

// Buckets that are in the cache at once: the one that is wanted, the one before it, of which other
// threads may still want something, the next one, and one that is being loaded.
constexpr int64_t kBucketsInCache = 4;
// Larger buckets leave the caches of processors; more of them than this leave too many pages open
// while they are filled.
constexpr int64_t kBucketBytes = int64_t{16} << 20;
constexpr int64_t kMostBuckets = 1024;

constexpr uint32_t kNotWanted = std::numeric_limits<uint32_t>::max();

int64_t BucketRows(int64_t rows, int64_t record_bytes, int64_t memory_bytes) {
  const int64_t wanted =
      std::max(kBucketBytes, (rows + kMostBuckets - 1) / kMostBuckets * record_bytes);
  return std::clamp<int64_t>(std::min(memory_bytes / kBucketsInCache, wanted) / record_bytes, 1,
                             std::max<int64_t>(rows, 1));
}

// Reads that part of a file now.
void Touch(const std::byte* data, int64_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(data) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(bytes);
  // A hint by which the system reads all of it at once.
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_WILLNEED);
  for (uintptr_t at = reinterpret_cast<uintptr_t>(data); at < end; at = at / page * page + page) {
    static_cast<void>(*reinterpret_cast<const volatile std::byte*>(at));
  }
}

}  // namespace

ShuffledRecords::ShuffledRecords(Array<std::byte> records, int64_t rows, int64_t record_bytes,
                                 int64_t memory_bytes, Workspace& workspace)
    : records_(std::move(records)),
      rows_(rows),
      record_bytes_(record_bytes),
      bucket_rows_(BucketRows(rows, record_bytes, memory_bytes)),
      stored_(workspace.New<std::byte>(rows * record_bytes)),
      heads_(workspace.New<Head>(rows)) {
  if (rows >= int64_t{kNotWanted}) Fail("there are ", rows, " rows, more than ", kNotWanted - 1);
}

ShuffledRecords::~ShuffledRecords() { Stop(); }

void ShuffledRecords::Stop() {
  if (!loader_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  loader_.join();
}

int64_t ShuffledRecords::BucketSize(int64_t bucket) const {
  return std::min(bucket_rows_, expected_ - bucket * bucket_rows_);
}

void ShuffledRecords::Expect(std::span<const int64_t> order, int64_t position) {
  Stop();
  loaded_.clear();
  order_ = order.data();
  expected_ = static_cast<int64_t>(order.size());
  stop_ = false;
  const int64_t first = position / bucket_rows_;
  wanted_ = next_ = first;
  const int64_t buckets = (expected_ + bucket_rows_ - 1) / bucket_rows_;
  {
    std::vector<uint32_t> place_of(static_cast<size_t>(rows_), kNotWanted);
    for (int64_t place = first * bucket_rows_; place < expected_; ++place) {
      place_of[static_cast<size_t>(order[static_cast<size_t>(place)])] =
          static_cast<uint32_t>(place);
    }
    std::vector<int64_t> filled(static_cast<size_t>(buckets));
    for (int64_t row = 0; row < rows_; ++row) {
      const uint32_t place = place_of[static_cast<size_t>(row)];
      if (place == kNotWanted) continue;
      const int64_t bucket = place / bucket_rows_;
      const int64_t begin = bucket * bucket_rows_;
      const int64_t to = begin + filled[static_cast<size_t>(bucket)]++;
      heads_[to] = {static_cast<uint32_t>(place - begin), static_cast<uint32_t>(row)};
      std::memcpy(Stored(to), records_.data + row * record_bytes_,
                  static_cast<size_t>(record_bytes_));
    }
  }
  loader_ = std::thread([this] { LoadAhead(); });
}

std::shared_ptr<const ShuffledRecords::Bucket> ShuffledRecords::Load(int64_t bucket) const {
  const int64_t begin = bucket * bucket_rows_, size = BucketSize(bucket);
  Touch(Stored(begin), size * record_bytes_);
  auto out = std::make_shared<Bucket>();
  out->rows.resize(static_cast<size_t>(size));
  out->records.resize(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) {
    const Head head = heads_[begin + i];
    out->rows[head.place] = head.row;
    out->records[head.place] = static_cast<uint32_t>(i);
  }
  return out;
}

void ShuffledRecords::LoadAhead() {
  const int64_t buckets = (expected_ + bucket_rows_ - 1) / bucket_rows_;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || (next_ <= wanted_ + 1 && next_ < buckets); });
    if (stop_) return;
    next_ = std::max(next_, wanted_ - 1);
    const int64_t bucket = next_;
    lock.unlock();
    std::shared_ptr<const Bucket> made;
    std::exception_ptr error;
    try {
      made = Load(bucket);
    } catch (const std::bad_alloc&) {
      error = std::current_exception();
    }
    lock.lock();
    if (error != nullptr) {
      error_ = error;
      changed_.notify_all();
      return;
    }
    loaded_[bucket] = std::move(made);
    next_ = bucket + 1;
    changed_.notify_all();
  }
}

std::shared_ptr<const ShuffledRecords::Bucket> ShuffledRecords::Get(int64_t bucket) const {
  std::unique_lock lock(mutex_);
  if (bucket > wanted_) {
    wanted_ = bucket;
    loaded_.erase(loaded_.begin(), loaded_.lower_bound(wanted_ - 1));
    changed_.notify_all();
  }
  changed_.wait(lock, [&] { return bucket < next_ || error_ != nullptr; });
  if (error_ != nullptr) std::rethrow_exception(error_);
  const auto found = loaded_.find(bucket);
  return found == loaded_.end() ? nullptr : found->second;
}

void ShuffledRecords::Read(
    std::span<const int64_t> rows,
    const std::function<void(size_t i, const std::byte* record)>& use) const {
  // Where the caller's part of the order is. It is a guess: the bucket says whether it holds.
  const std::less<> before;
  const bool inside =
      order_ != nullptr && !before(rows.data(), order_) && before(rows.data(), order_ + expected_);
  int64_t place = inside ? rows.data() - order_ : expected_;
  std::shared_ptr<const Bucket> bucket;
  int64_t in_order = 0;
  for (size_t i = 0; i < rows.size(); ++i, ++place) {
    const std::byte* record = records_.data + rows[i] * record_bytes_;
    if (place < expected_) {
      const int64_t at = place % bucket_rows_;
      if (i == 0 || at == 0) bucket = Get(place / bucket_rows_);
      if (bucket != nullptr && bucket->rows[static_cast<size_t>(at)] == rows[i]) {
        record = Stored(place - at + bucket->records[static_cast<size_t>(at)]);
        ++in_order;
      }
    }
    use(i, record);
  }
  const std::lock_guard lock(mutex_);
  read_in_order_ += in_order;
}

int64_t ShuffledRecords::read_in_order() const {
  const std::lock_guard lock(mutex_);
  return read_in_order_;
}

}  // namespace beamline::engine::data
