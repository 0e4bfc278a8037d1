#include "engine/core/tensor.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "engine/core/error.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace beamline::engine {
namespace {

// Buffers of this size are worth large pages: sweeps over them miss address translations less, and
// are fetched ahead across what would be the ends of small pages.
constexpr size_t kLargePageBytes = size_t{1} << 21;
constexpr size_t kWorthLargePages = 4 * kLargePageBytes;

}  // namespace

void AlignedBuffer::Free::operator()(std::byte* data) const { std::free(data); }

AlignedBuffer::AlignedBuffer(int64_t size_bytes, bool zeroed) : size_bytes_(size_bytes) {
  if (size_bytes <= 0) return;
  const bool large = static_cast<size_t>(size_bytes) >= kWorthLargePages;
  const size_t alignment = large ? kLargePageBytes : kAlignmentBytes;
  const size_t rounded = (static_cast<size_t>(size_bytes) + alignment - 1) / alignment * alignment;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, rounded)));
  if (data_ == nullptr) {
    Fail("cannot allocate ", size_bytes,
         " bytes: use a smaller batch or a machine with more memory");
  }
#if defined(__linux__)
  // Only advice: without large pages the buffer works as well.
  if (large) madvise(data_.get(), rounded, MADV_HUGEPAGE);
#endif
#if defined(NDEBUG)
  if (zeroed) std::memset(data_.get(), 0, rounded);
#else
  // Floats that are no numbers: whoever reads what nobody has set will notice.
  std::memset(data_.get(), zeroed ? 0 : 0xFF, rounded);
#endif
}

Tensor::Tensor() : shape_({0}) {}

Tensor::Tensor(const Shape& shape, DType dtype)
    : shape_(shape), dtype_(dtype), buffer_(shape.NumElements() * SizeOf(dtype)) {}

Tensor::Tensor(Tensor&& other) noexcept
    : shape_(std::exchange(other.shape_, Shape({0}))),
      dtype_(other.dtype_),
      buffer_(std::exchange(other.buffer_, AlignedBuffer())) {}

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  shape_ = std::exchange(other.shape_, Shape({0}));
  dtype_ = other.dtype_;
  buffer_ = std::exchange(other.buffer_, AlignedBuffer());
  return *this;
}

Tensor Tensor::Unset(const Shape& shape, DType dtype) {
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  tensor.buffer_ = AlignedBuffer(shape.NumElements() * SizeOf(dtype), false);
  return tensor;
}

Tensor Tensor::Clone() const {
  Tensor copy = Unset(shape_, dtype_);
  if (size_bytes() > 0) std::memcpy(copy.raw(), raw(), static_cast<size_t>(size_bytes()));
  return copy;
}

void Tensor::Reshape(const Shape& shape) {
  if (shape.NumElements() != NumElements()) {
    Fail("cannot reshape ", shape_, " to ", shape, ": the numbers of elements differ");
  }
  shape_ = shape;
}

void Tensor::Require(DType dtype) const {
  if (dtype != dtype_) Fail("the tensor holds ", Name(dtype_), ", not ", Name(dtype));
}

void Tensor::RequireCount(const Shape& shape, size_t count) {
  if (static_cast<int64_t>(count) != shape.NumElements()) {
    Fail("shape ", shape, " needs ", shape.NumElements(), " values, got ", count);
  }
}

}  // namespace beamline::engine
