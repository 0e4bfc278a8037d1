// Attention in tiles: rows of a head in shared memory, and their products.
//
// A team does kOwn rows of one side of a head, queries or keys, against all rows of the other side
// that matter, kOther at a time.
#pragma once

#include "engine/backend/attention_layout.h"
#include "engine/backend/cuda/four.h"

namespace beamline::engine::cuda {

inline constexpr int kOwn = 32;
inline constexpr int kOther = 64;
// Columns of a head that shared memory has room for.
inline constexpr int64_t kWidest = 128;
// Floats from row to row of a tile's scores [kOwn, kOther].
inline constexpr int kScores = kOther + 4;

// Rows of a head in shared memory: `width` columns, zeros up to `padded`, a multiple of four, and
// from row to row `stride` floats.
struct HeadShape {
  explicit HeadShape(int64_t columns)
      : width(static_cast<int>(columns)),
        padded((width + 3) / 4 * 4),
        stride(PaddedStride(width)) {}

  int width, padded, stride;
};

// Threads kBlock together: to[kRows] gets `rows` rows, and zeros.
template <int kRows>
BEAMLINE_DEVICE void LoadRows(const HeadShape& shape, int lane, const float* from,
                              int64_t row_stride, int64_t rows, float* to) {
  constexpr int kAtOnce = kBlock / kWarp;
  for (int c = lane % kWarp; c < shape.padded; c += kWarp) {
    float values[kRows / kAtOnce];  // so that all are under way at once
    for (int n = 0; n < kRows / kAtOnce; ++n) {
      const int r = lane / kWarp + n * kAtOnce;
      values[n] = r < rows && c < shape.width ? from[r * row_stride + c] : 0.0f;
    }
    for (int n = 0; n < kRows / kAtOnce; ++n) {
      to[(lane / kWarp + n * kAtOnce) * shape.stride + c] = values[n];
    }
  }
}

// Threads kBlock together: f(row, column) for the elements of `rows` rows.
template <typename F>
BEAMLINE_DEVICE void ForElements(const HeadShape& shape, int lane, int64_t rows, const F& f) {
  for (int r = lane / kWarp; r < rows; r += kBlock / kWarp) {
    for (int c = lane % kWarp; c < shape.width; c += kWarp) f(r, c);
  }
}

// Which scores a thread of kBlock makes: of rows OwnRow(lane, 0..1) and OtherRow(lane, 0..3).
BEAMLINE_DEVICE int OwnRow(int lane, int r) { return lane / 16 + r * (kOwn / 2); }
BEAMLINE_DEVICE int OtherRow(int lane, int n) { return lane % 16 + n * (kOther / 4); }

// sum[r][n] = own row times other row.
BEAMLINE_DEVICE void Dots(const HeadShape& shape, int lane, const float* own, const float* other,
                          float (&sum)[2][4]) {
  const float* a = own + OwnRow(lane, 0) * shape.stride;
  const float* b = other + OtherRow(lane, 0) * shape.stride;
  for (int r = 0; r < 2; ++r) {
    for (int n = 0; n < 4; ++n) sum[r][n] = 0;
  }
  for (int c = 0; c < shape.padded; c += 4) {
    Four left[2];
    Four right[4];
    for (int r = 0; r < 2; ++r) left[r] = FourAt(a + r * (kOwn / 2) * shape.stride + c);
    for (int n = 0; n < 4; ++n) right[n] = FourAt(b + n * (kOther / 4) * shape.stride + c);
    for (int r = 0; r < 2; ++r) {
      for (int n = 0; n < 4; ++n) {
        for (int e = 0; e < 4; ++e) {
          sum[r][n] = math::Fma(left[r].v[e], right[n].v[e], sum[r][n]);
        }
      }
    }
  }
}

// sum += sum over other rows of a row of scores times four columns of theirs.
BEAMLINE_DEVICE void AddRows(const HeadShape& shape, const float* scores, const float* columns,
                             Four* sum) {
  for (int j = 0; j < kOther; j += 4) {
    const Four score = FourAt(scores + j);
    for (int n = 0; n < 4; ++n) {
      const Four other = FourAt(columns + (j + n) * shape.stride);
      for (int e = 0; e < 4; ++e) sum->v[e] = math::Fma(score.v[n], other.v[e], sum->v[e]);
    }
  }
}

// A head of an example: index b * heads + h. Places of query 0 and key 0 in their operands.
struct HeadAt {
  BEAMLINE_DEVICE HeadAt(const AttentionLayout& layout, int64_t index)
      : b(index / layout.heads),
        h(index % layout.heads),
        q(b * layout.query_batch + h * layout.width),
        k(layout.key_offset + b * layout.key_batch + h * layout.width),
        y(b * layout.queries * layout.units + h * layout.width),
        rows(index * layout.queries),
        keys(KeysOf(layout, b)) {}

  int64_t b, h;
  int64_t q, k;
  int64_t y;     // of query 0 in y and dy
  int64_t rows;  // of query 0 in lse
  int64_t keys;
};

inline float ScaleOf(const AttentionLayout& layout) {
  return 1.0f / math::Sqrt(static_cast<float>(layout.width));
}

}  // namespace beamline::engine::cuda
