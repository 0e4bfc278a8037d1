// Where the values of a column are kept while they arrive piece by piece.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace beamline::engine::data {

// Not thread-safe.
class ValueStore {
 public:
  virtual ~ValueStore() = default;
  // Throws Error if there is no room.
  virtual void Append(std::string_view bytes) = 0;
  // All that was appended, aligned for any number; stays as long as what is returned. To be called
  // once, at the end.
  virtual std::shared_ptr<const void> Finish() = 0;
};
using ValueStoreFactory = std::function<std::unique_ptr<ValueStore>()>;

// Keeps values on the heap.
class MemoryValueStore : public ValueStore {
 public:
  void Append(std::string_view bytes) override { bytes_ += bytes; }
  std::shared_ptr<const void> Finish() override {
    // A string of more than its inline bytes lies where operator new puts it; shorter ones must
    // too.
    bytes_.reserve(64);
    const auto owner = std::make_shared<const std::string>(std::move(bytes_));
    return {owner, owner->data()};
  }

 private:
  std::string bytes_;
};

}  // namespace beamline::engine::data
