// Dense memory with a shape and an element type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/shape.h"

namespace beamline::engine {

// Start of every tensor and of every value in an arena. Unit: bytes; one cache line.
inline constexpr int64_t kAlignmentBytes = 64;

// Memory aligned to kAlignmentBytes; freed on destruction. Movable, not copyable.
// Not thread-safe; distinct bytes may be written from distinct threads.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Throws Error if the memory cannot be had. Unless `zeroed`, bytes are what they were before.
  explicit AlignedBuffer(int64_t size_bytes, bool zeroed = true);

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  int64_t size_bytes() const { return size_bytes_; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  int64_t size_bytes_ = 0;
};

// Owns its elements, row-major. Moving leaves an empty tensor of shape [0]. Copies are explicit
// (Clone). Not thread-safe; distinct elements may be written from distinct threads.
class Tensor {
 public:
  // Shape [0], float32.
  Tensor();
  // All elements are zero. Throws Error if the memory cannot be had.
  Tensor(const Shape& shape, DType dtype);
  // Elements are what the memory held before: to be set before they are read. Throws Error as
  // above.
  static Tensor Unset(const Shape& shape, DType dtype);
  // Copies `values`; throws Error if their number is not shape.NumElements().
  template <typename T>
  static Tensor From(const Shape& shape, std::span<const T> values);
  template <typename T>
  static Tensor From(const Shape& shape, const std::vector<T>& values) {
    return From<T>(shape, std::span<const T>(values));
  }

  Tensor(Tensor&&) noexcept;
  Tensor& operator=(Tensor&&) noexcept;
  Tensor Clone() const;

  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  int64_t NumElements() const { return shape_.NumElements(); }
  int64_t size_bytes() const { return NumElements() * SizeOf(dtype_); }

  // The elements. Throws Error if T is not the tensor's element type.
  template <typename T>
  std::span<T> values();
  template <typename T>
  std::span<const T> values() const;

  std::byte* raw() { return buffer_.data(); }
  const std::byte* raw() const { return buffer_.data(); }

  // Gives the same elements another shape. Throws Error if their numbers differ.
  void Reshape(const Shape& shape);

 private:
  void Require(DType dtype) const;
  static void RequireCount(const Shape& shape, size_t count);

  Shape shape_;
  DType dtype_ = DType::kFloat32;
  AlignedBuffer buffer_;
};

template <typename T>
Tensor Tensor::From(const Shape& shape, std::span<const T> values) {
  RequireCount(shape, values.size());
  Tensor tensor = Unset(shape, DTypeOf<T>());
  const std::span<T> out = tensor.values<T>();
  for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return tensor;
}

template <typename T>
std::span<T> Tensor::values() {
  Require(DTypeOf<T>());
  return {reinterpret_cast<T*>(buffer_.data()), static_cast<size_t>(NumElements())};
}

template <typename T>
std::span<const T> Tensor::values() const {
  Require(DTypeOf<T>());
  return {reinterpret_cast<const T*>(buffer_.data()), static_cast<size_t>(NumElements())};
}

// A tensor and the name under which a graph, a checkpoint or a file knows it.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

}  // namespace beamline::engine
