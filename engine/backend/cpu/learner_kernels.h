// Loops of learners that are no networks, compiled once per instruction set as the kernels are.
// The bits are the same for each set.
#pragma once

#include <cstdint>

namespace beamline::engine::cpu {

// Numbers that lie side by side in a panel: rows of a block, or columns of a matrix.
inline constexpr int64_t kLanes = 16;

// row += a x + b y; nothing if x is null.
struct RankTwo {
  double a = 0;
  const double* x = nullptr;
  double b = 0;
  const double* y = nullptr;
};

// Of a row and the one behind it: low' = cosine low - sine high, high' = sine low + cosine high.
struct Rotation {
  int64_t row;
  double cosine, sine;
};
inline constexpr int64_t kStrip = 32;  // columns that are rotated at once

struct LearnerKernels {
  // squares[i, lane] = sum over f of (x[i, f] - block[f, lane])^2, in double, in the order of f.
  // x: [count, features]; block: [features, kLanes]; squares: [count, kLanes].
  void (*SquaredDistances)(const float* x, int64_t count, int64_t features, const float* block,
                           double* squares);
  void (*SquaredDistancesOfDoubles)(const double* x, int64_t count, int64_t features,
                                    const float* block, double* squares);
  // least[lane] = the least of squares[.., lane], and which[lane] the first i that has it; 0 and
  // infinity where there are none. squares: [count, kLanes].
  void (*Least)(const double* squares, int64_t count, double* least, double* which);
  // c[i, j] += sum over r of a[r, i] b[r, j], one chain of fused multiply-adds in the order of r.
  // a, b: [rows, kLanes]; c: [height, width] of at most kLanes each, whose rows stand `stride`
  // apart.
  void (*AddProducts)(const double* a, const double* b, int64_t rows, double* c, int64_t stride,
                      int64_t height, int64_t width);
  // Updates a row, and gives its product with u, a sum of fixed shape. All: [size].
  double (*UpdateAndDot)(const RankTwo& update, const double* u, int64_t size, double* row);
  // Rotations, in order, of the first kStrip columns of rows that stand `stride` apart.
  void (*Rotate)(const Rotation* rotations, int64_t count, double* rows, int64_t stride);
};

// Of the widest instruction set that runs here.
const LearnerKernels& FindLearnerKernels();

}  // namespace beamline::engine::cpu
