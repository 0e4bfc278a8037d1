// Images and windows as the CPU's kernels see them.
#pragma once

#include "engine/backend/cpu/kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

inline __attribute__((always_inline)) int64_t Smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
inline __attribute__((always_inline)) int64_t Larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline __attribute__((always_inline)) int64_t DivideUp(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// [batch, height, width, channels], or [batch, width, channels] with height 1.
struct Image {
  int64_t batch;
  int64_t extent[2];
  int64_t channels;

  int64_t row_elements() const { return extent[1] * channels; }
  int64_t elements() const { return extent[0] * extent[1] * channels; }
};

static inline Image ImageOf(const Operand& operand) {
  return {operand.extents[0],
          {operand.rank == 3 ? 1 : operand.extents[operand.rank - 3],
           operand.extents[operand.rank - 2]},
          operand.columns};
}

// Copies of rows of one image with what is around it: [rows, columns, channels] of the places
// [first_row, ...) by [first_column, ...), zero where there is no element. Elements stand `base`
// places apart; `channels` of them from first_channel are taken.
struct Strip {
  int64_t first_row, rows;
  int64_t first_column, columns;
  int64_t first_channel, channels;
  int64_t base[2];
};

static inline void CopyRow(const Image& image, const float* row, const Strip& strip, float* to) {
  const int64_t places = (image.extent[1] - 1) * strip.base[1] + 1;
  const int64_t begin = Larger(0, -strip.first_column);
  const int64_t end = Larger(begin, Smaller(strip.columns, places - strip.first_column));
  for (int64_t i = 0; i < begin * strip.channels; ++i) to[i] = 0;
  if (strip.channels == image.channels && strip.base[1] == 1) {
    const float* from = row + (strip.first_column + begin) * image.channels;
    float* target = to + begin * strip.channels;
    const int64_t count = (end - begin) * strip.channels;
#pragma GCC ivdep
    for (int64_t i = 0; i < count; ++i) target[i] = from[i];
  } else {
    for (int64_t j = begin; j < end; ++j) {
      const int64_t place = strip.first_column + j;
      const bool element = place % strip.base[1] == 0;
      const float* from = row + place / strip.base[1] * image.channels + strip.first_channel;
      float* target = to + j * strip.channels;
      for (int64_t c = 0; c < strip.channels; ++c) target[c] = element ? from[c] : 0.0f;
    }
  }
  for (int64_t i = end * strip.channels; i < strip.columns * strip.channels; ++i) to[i] = 0;
}

static inline void CopyStrip(const Image& image, const float* data, const Strip& strip, float* to) {
  const int64_t places = (image.extent[0] - 1) * strip.base[0] + 1;
  const int64_t row_elements = strip.columns * strip.channels;
  for (int64_t i = 0; i < strip.rows; ++i, to += row_elements) {
    const int64_t place = strip.first_row + i;
    if (place >= 0 && place < places && place % strip.base[0] == 0) {
      CopyRow(image, data + place / strip.base[0] * image.row_elements(), strip, to);
    } else {
      for (int64_t j = 0; j < row_elements; ++j) to[j] = 0;
    }
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
