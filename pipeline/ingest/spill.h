// Values of columns that are too large for memory. Internal to ingesting.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"
#include "engine/data/value_store.h"

namespace beamline::pipeline {

// Keeps up to `memory_bytes` in memory, and more in a file in `folder` that has no name, so that
// nothing is left of it whatever happens. Throws LimitError if there is no room on the disk, Error
// if it cannot be written to.
class SpillStore : public engine::data::ValueStore {
 public:
  explicit SpillStore(std::string folder, size_t memory_bytes = size_t{16} << 20)
      : folder_(std::move(folder)), memory_bytes_(memory_bytes) {}
  void Append(std::string_view bytes) override;
  std::shared_ptr<const void> Finish() override;

 private:
  void Open();
  void Write(std::string_view bytes);

  const std::string folder_;
  const size_t memory_bytes_;
  engine::data::MemoryValueStore memory_;
  size_t size_ = 0;
  UniqueFd fd_;
};

}  // namespace beamline::pipeline
