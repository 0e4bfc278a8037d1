// Element types of tensors.
#pragma once

#include <cstdint>
#include <string_view>

namespace beamline::engine {

// The values are written into checkpoints: append, never renumber.
enum class DType : uint8_t {
  kFloat32 = 0,
  kFloat64 = 1,
  kInt32 = 2,
  kInt64 = 3,
  kUint8 = 4,
};

// Size of one element. Unit: bytes.
int64_t SizeOf(DType dtype);

// "float32", "int64", ...
std::string_view Name(DType dtype);

// The DType of a C++ type: DTypeOf<float>() is kFloat32. Other types do not compile.
template <typename T>
constexpr DType DTypeOf();
template <>
constexpr DType DTypeOf<float>() {
  return DType::kFloat32;
}
template <>
constexpr DType DTypeOf<double>() {
  return DType::kFloat64;
}
template <>
constexpr DType DTypeOf<int32_t>() {
  return DType::kInt32;
}
template <>
constexpr DType DTypeOf<int64_t>() {
  return DType::kInt64;
}
template <>
constexpr DType DTypeOf<uint8_t>() {
  return DType::kUint8;
}

}  // namespace beamline::engine
