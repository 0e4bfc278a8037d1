#include "tests/engine/learners/mnist_images.h"

#include <cstdio>
#include <utility>

#include "tests/engine/learners/toy.h"

namespace beamline::engine::testing {

std::string MnistFolder() { return DatasetFolder("mnist"); }

std::vector<float> ReadImages(const std::string& name, int64_t rows) {
  std::vector<float> pixels;
  const std::string command = "gzip -dc '" + MnistFolder() + "/" + name + "' 2>/dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return pixels;
  std::vector<unsigned char> bytes(static_cast<size_t>(16 + rows * kPixels));
  const size_t read = std::fread(bytes.data(), 1, bytes.size(), pipe);
  pclose(pipe);
  if (read != bytes.size()) return pixels;
  for (size_t i = 16; i < bytes.size(); ++i) pixels.push_back(static_cast<float>(bytes[i]) / 255);
  return pixels;
}

MemoryBatchSource SourceOf(const std::vector<float>& pixels) {
  MemoryBatch batch;
  batch.rows = static_cast<int64_t>(pixels.size()) / kPixels;
  batch.layout.features = kPixels;
  batch.features = pixels;
  return MemoryBatchSource(std::move(batch));
}

}  // namespace beamline::engine::testing
