// The extents of a tensor, row-major: the last dimension is contiguous.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

namespace beamline::engine {

// A value type of at most kMaxRank extents; copying does not allocate. Rank 0 is a scalar.
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  // Throws Error if an extent is negative, the rank exceeds kMaxRank, or the number of elements
  // does not fit 2^48.
  Shape(std::initializer_list<int64_t> extents);
  explicit Shape(std::span<const int64_t> extents);

  int rank() const { return rank_; }
  // `i` may be negative: -1 is the last dimension. Throws Error if there is no such dimension.
  int64_t dim(int i) const;
  std::span<const int64_t> extents() const { return {extents_.data(), static_cast<size_t>(rank_)}; }

  // Product of the extents; 1 for a scalar.
  int64_t NumElements() const;
  // Product of all extents but the last; 1 for rank 0 and 1. A tensor seen as [Rows(), Columns()].
  int64_t Rows() const;
  // The last extent; 1 for a scalar.
  int64_t Columns() const { return rank_ == 0 ? 1 : extents_[rank_ - 1]; }

  // "[100, 28]".
  std::string ToString() const;

  bool operator==(const Shape& other) const = default;

 private:
  void Set(std::span<const int64_t> extents);

  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

}  // namespace beamline::engine
