#include "engine/core/shape.h"

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 48;

}  // namespace

Shape::Shape(std::initializer_list<int64_t> extents) { Set({extents.begin(), extents.size()}); }

Shape::Shape(std::span<const int64_t> extents) { Set(extents); }

void Shape::Set(std::span<const int64_t> extents) {
  if (extents.size() > kMaxRank) {
    Fail("a tensor has at most ", kMaxRank, " dimensions, not ", extents.size());
  }
  int64_t elements = 1;
  for (const int64_t extent : extents) {
    if (extent < 0) Fail("a tensor's extents must not be negative: got ", extent);
    if (extent > 0 && elements > kMaxElements / extent) {
      Fail("a tensor of more than 2^48 elements was asked for: make it smaller");
    }
    if (extent > 0) elements *= extent;
    extents_[rank_++] = extent;
  }
}

int64_t Shape::dim(int i) const {
  const int index = i < 0 ? i + rank_ : i;
  if (index < 0 || index >= rank_) Fail("shape ", *this, " has no dimension ", i);
  return extents_[index];
}

int64_t Shape::NumElements() const {
  int64_t elements = 1;
  for (int i = 0; i < rank_; ++i) elements *= extents_[i];
  return elements;
}

int64_t Shape::Rows() const {
  int64_t rows = 1;
  for (int i = 0; i + 1 < rank_; ++i) rows *= extents_[i];
  return rows;
}

std::string Shape::ToString() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(extents_[i]);
  }
  return text + "]";
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.ToString(); }

}  // namespace beamline::engine
