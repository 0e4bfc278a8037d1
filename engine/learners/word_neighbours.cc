#include "engine/learners/word_neighbours.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/core/error.h"
#include "engine/core/thread_pool.h"
#include "engine/learners/products.h"

namespace beamline::engine {
namespace {

// Products that are held at once.
constexpr int64_t kProducts = int64_t{1} << 22;

// 1 / |row|, or 0.
std::vector<float> InverseLengths(const Tensor& rows) {
  const auto size = static_cast<size_t>(rows.shape().Columns());
  std::vector<float> inverse(static_cast<size_t>(rows.shape().dim(0)));
  for (size_t i = 0; i < inverse.size(); ++i) {
    double squares = 0;
    for (const float x : rows.values<float>().subspan(i * size, size)) {
      squares += static_cast<double>(x) * static_cast<double>(x);
    }
    inverse[i] = squares > 0 ? static_cast<float>(1 / std::sqrt(squares)) : 0;
  }
  return inverse;
}

}  // namespace

std::vector<std::vector<int32_t>> NearestCodes(const Tensor& vectors, const Tensor& points,
                                               std::span<const std::vector<int32_t>> except,
                                               int64_t count) {
  const int64_t rows = points.shape().dim(0);
  const int64_t codes = vectors.shape().dim(0);
  const int64_t size = vectors.shape().Columns();
  if (points.shape().Columns() != size || static_cast<int64_t>(except.size()) != rows) {
    Fail("points of ", points.shape(), " are not near vectors of ", vectors.shape());
  }
  const std::vector<float> inverse = InverseLengths(vectors);
  std::vector<int32_t> known;
  for (int64_t code = 0; code < codes; ++code) {
    if (inverse[static_cast<size_t>(code)] > 0) known.push_back(static_cast<int32_t>(code));
  }
  ThreadPool pool(1);
  const int64_t at_once = std::clamp<int64_t>(kProducts / std::max<int64_t>(codes, 1), 1, 1024);
  std::vector<float> products;
  std::vector<std::vector<int32_t>> nearest;
  std::vector<int32_t> found;
  std::vector<bool> excepted(static_cast<size_t>(codes));
  for (int64_t first = 0; first < rows; first += at_once) {
    const int64_t part = std::min(at_once, rows - first);
    products.resize(static_cast<size_t>(part * codes));
    Multiply({points.values<float>().data() + first * size, part, size},
             MatrixView{vectors.values<float>().data(), codes, size}.Transposed(), nullptr,
             Activation::kLinear, products.data(), &pool);
    for (int64_t row = 0; row < part; ++row) {
      const float* of_row = products.data() + row * codes;
      const auto cosine = [&](int32_t code) {
        return of_row[code] * inverse[static_cast<size_t>(code)];
      };
      const auto mark = [&](bool is) {
        for (const int32_t code : except[static_cast<size_t>(first + row)]) {
          if (code >= 0 && code < codes) excepted[static_cast<size_t>(code)] = is;
        }
      };
      mark(true);
      found.clear();
      std::copy_if(known.begin(), known.end(), std::back_inserter(found),
                   [&](int32_t code) { return !excepted[static_cast<size_t>(code)]; });
      mark(false);
      const auto end = found.begin() + std::min(count, static_cast<int64_t>(found.size()));
      std::partial_sort(found.begin(), end, found.end(), [&](int32_t a, int32_t b) {
        return cosine(a) != cosine(b) ? cosine(a) > cosine(b) : a < b;
      });
      nearest.emplace_back(found.begin(), end);
    }
  }
  return nearest;
}

}  // namespace beamline::engine
