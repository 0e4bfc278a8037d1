#include "engine/data/workspace.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/core/error.h"
#include "engine/data/text.h"

namespace beamline::engine::data {

// Outlives the workspace as long as an array does. Unit: bytes.
struct Workspace::Use {
  std::atomic<int64_t> memory{0};
  std::atomic<int64_t> disk{0};
};

// Ends the mapping of a file without a name, which is the end of the file.
struct Workspace::Unmap {
  std::shared_ptr<Use> use;
  int64_t bytes;
  std::shared_ptr<std::atomic<int64_t>> held;  // of them on the disk

  void operator()(void* data) const {
    munmap(data, static_cast<size_t>(bytes));
    use->disk -= *held;
  }
};

namespace {

// Large arrays begin where large pages do, and have such: touching memory for the first time takes
// longer than computing what goes there.
constexpr int64_t kLargeBytes = int64_t{2} << 20;
constexpr std::align_val_t kAlignment{64};
constexpr std::align_val_t kLargeAlignment{kLargeBytes};

std::align_val_t AlignmentOf(int64_t bytes) {
  return bytes >= 2 * kLargeBytes ? kLargeAlignment : kAlignment;
}

std::string Mebibytes(int64_t bytes) { return Cat(bytes >> 20, " MiB"); }

}  // namespace

Workspace::Workspace(Options options)
    : options_(std::move(options)), pool_(options_.threads), use_(std::make_shared<Use>()) {}

Workspace::~Workspace() = default;

std::shared_ptr<void> Workspace::Allocate(int64_t size, size_t value_bytes) {
  const int64_t bytes = std::max<int64_t>(size, 1) * static_cast<int64_t>(value_bytes);
  if (size > (int64_t{1} << 46) / static_cast<int64_t>(value_bytes)) {
    throw NoRoom(Cat("there is no room for ", size, " rows"));
  }
  if (bytes > options_.memory_bytes - use_->memory) {
    if (!options_.folder.empty()) return MapFile(bytes);
    throw NoRoom(Cat("a table needs ", Mebibytes(bytes),
                     " more memory, and there is none: select fewer columns or rows first"));
  }
  const std::align_val_t alignment = AlignmentOf(bytes);
  void* const data = ::operator new(static_cast<size_t>(bytes), alignment);
  // A hint: without it pages are small.
  if (alignment == kLargeAlignment) madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  use_->memory += bytes;
  return {data, [use = use_, bytes](void* p) {
            ::operator delete(p, AlignmentOf(bytes));
            use->memory -= bytes;
          }};
}

std::shared_ptr<void> Workspace::MapFile(int64_t bytes) {
  if (bytes > options_.disk_bytes - use_->disk) {
    throw NoRoom(Cat("a table needs ", Mebibytes(bytes), " more room, but there are ",
                     Mebibytes(std::max<int64_t>(options_.disk_bytes - use_->disk, 0)), " of ",
                     Mebibytes(options_.disk_bytes), " left: ", options_.remedy));
  }
  std::string path = options_.folder + "/table.XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) throw NoRoom(Cat("cannot make a temporary file: ", std::strerror(errno)));
  unlink(path.c_str());
  const int error = posix_fallocate(fd, 0, bytes);
  void* const data = error != 0 ? MAP_FAILED
                                : mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                                       MAP_SHARED, fd, 0);
  const int map_error = errno;
  close(fd);
  if (error != 0) {
    throw NoRoom(Cat("a table needs ", Mebibytes(bytes), " on the disk: ", std::strerror(error),
                     ": ", options_.remedy));
  }
  if (data == MAP_FAILED) {
    throw NoRoom(Cat("cannot map a temporary file: ", std::strerror(map_error)));
  }
  use_->disk += bytes;
  return {data, Unmap{use_, bytes, std::make_shared<std::atomic<int64_t>>(bytes)}};
}

void Workspace::DiscardBytes(const std::shared_ptr<void>& owner, int64_t begin, int64_t end) {
  const auto* const file = std::get_deleter<Unmap>(owner);
  if (file == nullptr) return;
  const int64_t page = sysconf(_SC_PAGESIZE);
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  if (begin >= end) return;
  // A file system that cannot do it keeps the room until the end.
  if (madvise(static_cast<char*>(owner.get()) + begin, static_cast<size_t>(end - begin),
              MADV_REMOVE) != 0) {
    return;
  }
  file->use->disk -= end - begin;
  *file->held -= end - begin;
}

void Workspace::ForChunks(int64_t rows,
                          const std::function<void(int64_t begin, int64_t end, int slot)>& body) {
  const int64_t chunks = (rows + kChunkRows - 1) / kChunkRows;
  const int64_t at_once = 8 * int64_t{pool_.threads()};
  for (int64_t first = 0; first < chunks; first += at_once) {
    Tell(first * kChunkRows, rows);
    pool_.ParallelFor(std::min(at_once, chunks - first), [&](int64_t tile, int slot) {
      const int64_t begin = (first + tile) * kChunkRows;
      body(begin, std::min(rows, begin + kChunkRows), slot);
    });
  }
}

void Workspace::ForEach(int64_t count, const std::function<void(int64_t i, int slot)>& body) {
  pool_.ParallelFor(count, [&](int64_t i, int slot) { body(i, slot); });
}

}  // namespace beamline::engine::data
