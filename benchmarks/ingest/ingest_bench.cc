// Times reading a CSV file into a table, from opening the file on, and writing the table as a
// columnar file (to nowhere).
//
//   ingest_bench FILE THREADS REPEATS [MEBIBYTES FOLDER]
//
// One line of JSON: rows, columns, the best seconds of both, those of processors for the first, and
// a digest of the columnar file. The table is in memory, or beyond so many MiB in files in FOLDER.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <span>
#include <string_view>

#include "engine/core/error.h"
#include "engine/data/checksum.h"
#include "engine/data/columnar.h"
#include "engine/data/csv.h"

namespace {

using beamline::engine::Fail;
using beamline::engine::data::CsvOptions;
using beamline::engine::data::Table;

double Now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

// Of all threads of the process: what a machine that others use too does not change.
double Cpu() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The bytes of a file, as the service has them while it reads a table from them.
class MappedFile {
 public:
  explicit MappedFile(const char* path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (fd < 0 || fstat(fd, &info) != 0) Fail("cannot open ", path);
    size_ = static_cast<size_t>(info.st_size);
    data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data_ == MAP_FAILED) Fail("cannot map ", path);
    madvise(data_, size_, MADV_SEQUENTIAL);
  }
  ~MappedFile() { munmap(data_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

int Run(const char* path, int threads, int repeats, int64_t memory_bytes, const char* folder) {
  double read = std::numeric_limits<double>::infinity();
  double write = read;
  double cpu = read;
  Table table;
  uint64_t digest = 0;
  size_t size = 0;
  for (int i = 0; i < repeats; ++i) {
    table = Table();
    const double start = Now();
    const double cpu_start = Cpu();
    CsvOptions options;
    options.threads = threads;
    {
      const MappedFile file(path);
      size = file.bytes().size();
      beamline::engine::data::Workspace workspace({.threads = threads,
                                                   .memory_bytes = memory_bytes,
                                                   .folder = folder,
                                                   .disk_bytes = int64_t{1} << 40,
                                                   .progress = {}});
      beamline::engine::data::MemorySource source(file.bytes());
      table = beamline::engine::data::ReadCsv(source, options, workspace);
    }
    const double middle = Now();
    cpu = std::min(cpu, Cpu() - cpu_start);
    digest = 0;
    beamline::engine::data::WriteColumnar(
        table,
        [&](std::string_view piece) {
          digest = digest * 31 + beamline::engine::data::Xxh64(std::as_bytes(std::span(piece)));
        },
        threads);
    read = std::min(read, middle - start);
    write = std::min(write, Now() - middle);
  }
  std::printf(
      "{\"rows\": %lld, \"columns\": %zu, \"bytes\": %zu, \"seconds\": %.4f, "
      "\"cpu_seconds\": %.4f, "
      "\"columnar_seconds\": %.4f, \"digest\": \"%016llx\"}\n",
      static_cast<long long>(table.rows()), table.columns().size(), size, read, cpu, write,
      static_cast<unsigned long long>(digest));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 6) {
    std::fprintf(stderr, "ingest_bench FILE THREADS REPEATS [MEBIBYTES FOLDER]\n");
    return 2;
  }
  try {
    return Run(argv[1], std::atoi(argv[2]), std::atoi(argv[3]),
               argc > 4 ? std::atoll(argv[4]) << 20 : INT64_MAX, argc > 4 ? argv[5] : "");
  } catch (const beamline::engine::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
