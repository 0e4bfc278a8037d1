#include "engine/core/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

TEST(ShapeTest, CountsAndPrints) {
  const Shape shape({100, 4, 7});
  EXPECT_EQ(shape.NumElements(), 2800);
  EXPECT_EQ(shape.Rows(), 400);
  EXPECT_EQ(shape.Columns(), 7);
  EXPECT_EQ(shape.dim(-1), 7);
  EXPECT_EQ(shape.ToString(), "[100, 4, 7]");
  EXPECT_EQ(Shape().NumElements(), 1);
  EXPECT_EQ(Shape({0, 3}).NumElements(), 0);
}

TEST(ShapeTest, RefusesWhatCannotBe) {
  EXPECT_THROW(Shape({-1}), Error);
  EXPECT_THROW(Shape({1, 1, 1, 1, 1, 1, 1}), Error);
  EXPECT_THROW(Shape({int64_t{1} << 40, int64_t{1} << 40}), Error);
  EXPECT_THROW(Shape({2}).dim(1), Error);
}

TEST(TensorTest, StartsAlignedAndZero) {
  Tensor tensor({3, 5}, DType::kFloat32);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.raw()) % kAlignmentBytes, 0u);
  for (const float x : tensor.values<float>()) EXPECT_EQ(x, 0.0f);
  EXPECT_EQ(tensor.size_bytes(), 60);
}

TEST(TensorTest, ChecksTypeAndCount) {
  Tensor tensor = Tensor::From({2}, std::vector<int32_t>{1, 2});
  EXPECT_THROW(tensor.values<float>(), Error);
  EXPECT_THROW(Tensor::From({3}, std::vector<int32_t>{1, 2}), Error);
  EXPECT_THROW(tensor.Reshape({3}), Error);
  tensor.Reshape({2, 1});
  EXPECT_EQ(tensor.shape(), Shape({2, 1}));
}

TEST(TensorTest, MovesAndClones) {
  Tensor tensor = Tensor::From({2}, std::vector<double>{1, 2});
  Tensor copy = tensor.Clone();
  const Tensor moved = std::move(tensor);
  EXPECT_EQ(tensor.NumElements(), 0);
  copy.values<double>()[0] = 5;
  EXPECT_EQ(moved.values<double>()[0], 1);
}

}  // namespace
}  // namespace beamline::engine
