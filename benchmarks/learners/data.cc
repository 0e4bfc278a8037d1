#include "benchmarks/learners/data.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <utility>
#include <vector>

namespace beamline::engine {
namespace {

template <typename T>
std::vector<T> ReadAll(const std::string& path, int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(values.data()),
          static_cast<std::streamsize>(values.size() * sizeof(T)));
  if (in) return values;
  std::fprintf(stderr, "%s is missing or too short\n", path.c_str());
  std::exit(2);
}

std::unique_ptr<MemoryBatchSource> ReadPart(const std::string& path, const BatchLayout& layout,
                                            int64_t rows, const std::string& part) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout = layout;
  const std::string x = path + "." + part + "x", y = path + "." + part + "y";
  if (layout.code_columns > 0) {
    batch.codes = ReadAll<int32_t>(x, rows * layout.code_columns);
  } else {
    batch.features = ReadAll<float>(x, rows * layout.features);
  }
  if (layout.classes > 0) batch.labels = ReadAll<int32_t>(y, rows);
  if (layout.targets > 0) batch.targets = ReadAll<float>(y, rows * layout.targets);
  return std::make_unique<MemoryBatchSource>(std::move(batch));
}

}  // namespace

BenchData ReadBenchData(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name;
  std::ifstream head(path + ".head");
  BatchLayout layout;
  int64_t rows = 0, test_rows = 0;
  head >> rows >> test_rows >> layout.features >> layout.classes >> layout.targets >>
      layout.steps >> layout.code_columns;
  if (!head) {
    std::fprintf(stderr, "%s.head is missing\n", path.c_str());
    std::exit(2);
  }
  return {ReadPart(path, layout, rows, ""), ReadPart(path, layout, test_rows, "test_")};
}

std::unique_ptr<MemoryBatchSource> WithoutTarget(const MemoryBatchSource& source) {
  MemoryBatch batch;
  batch.rows = source.rows();
  batch.layout = source.layout();
  batch.layout.classes = batch.layout.targets = 0;
  batch.features.resize(static_cast<size_t>(batch.rows * batch.layout.features));
  std::vector<int64_t> all(static_cast<size_t>(batch.rows));
  std::iota(all.begin(), all.end(), int64_t{0});
  source.Gather(all, {.features = batch.features.data()});
  return std::make_unique<MemoryBatchSource>(std::move(batch));
}

}  // namespace beamline::engine
