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
// Which number, and where it stands.
struct Place {
  double value;
  int64_t at;
};
// The largest score of those that may rise, and the least of those that may fall; the last of
// equal ones, as LIBSVM takes them.
struct ScoreRange {
  Place highest, lowest;
};

// A row, and the first two derivatives of its loss.
struct RowGradient {
  int32_t row;
  float gradient, curvature;
};
inline constexpr int64_t kHistogramFeatures = 8;  // whose histograms are made at once
// What a node's rows add up to; a child has at least `least_curvature`, and more than nothing.
struct SplitRule {
  double gradient, curvature;
  double penalty, least_curvature;
};
// The cut behind `bin`, the sum over both children of gradient^2 / (curvature + penalty), and what
// the left one adds up to; gain -1 if there is none.
struct Split {
  double gain;
  int64_t bin;
  double gradient, curvature;
};

inline constexpr int64_t kStrip = 32;  // columns that are rotated at once

// Input codes that tell an output code: sigmoid(x[i] y[j]) is to be 1 where signs[j] is 1, 0 where
// it is -1, and does not matter where it is 0. x are rows of `vectors`, or if `takes_mean` the one
// mean of them; y rows of `contexts`. Both tables: [.., size].
struct WordPlace {
  const float* vectors;
  const float* contexts;
  const int32_t* input_codes;
  const int32_t* output_codes;
  const float* signs;  // [outputs]
  int64_t inputs, outputs;
  int64_t size, width;  // `width`: size, up to the next multiple of kLanes
  bool takes_mean;
  float* room;  // [RoomOfPlace(..)]
  // What lowers the loss, of each x and then of each y, [.., width]: minus the gradient. Or null.
  float* changes;
};
// Numbers that a place with so many of them needs room for; with `takes_mean` `inputs` is 1.
inline int64_t RoomOfPlace(int64_t inputs, int64_t outputs, int64_t width) {
  return (inputs + outputs) * width + 2 * ((inputs * outputs + kLanes - 1) / kLanes * kLanes);
}

struct LearnerKernels {
  // squares[i, lane] = sum over f of (x[i, f] - block[f, lane])^2, in double, in the order of f.
  // x: [count, features]; block: [features, kLanes]; squares: [count, kLanes].
  void (*SquaredDistances)(const float* x, int64_t count, int64_t features, const float* block,
                           double* squares);
  void (*SquaredDistancesOfDoubles)(const double* x, int64_t count, int64_t features,
                                    const float* block, double* squares);
  // squares[i, lane] = sum over f of weights[i, f] (x[i, f] - block[f, lane])^2, as above.
  void (*WeightedSquares)(const double* x, const double* weights, int64_t count, int64_t features,
                          const float* block, double* squares);
  // products[i, lane] = sum over f of x[i, f] block[f, lane], one chain of fused multiply-adds.
  void (*ProductsOfRows)(const float* x, int64_t count, int64_t features, const float* block,
                         float* products);
  // products[p, lane] = sum over f of x[f] panels[p, f, lane], one chain of fused multiply-adds in
  // double. panels: [count, features, kLanes].
  void (*ProductsOfRow)(const float* x, int64_t features, const float* panels, int64_t count,
                        double* products);
  // scores -= a x + b y, and their range. rise: 0 for those that may rise, else -infinity; fall: 0
  // for those that may fall, else infinity. All: [size], a multiple of kLanes.
  ScoreRange (*MoveScores)(double a, const float* x, double b, const float* y, const float* rise,
                           const float* fall, int64_t size, double* scores);
  // The largest (highest - scores)^2 / max(own + diagonal - 2 x, least) of those that may fall and
  // are below `highest`, which gains the most with it, the last of equal ones; 0 if there are none.
  Place (*FindPartner)(double highest, double own, double least, const float* x,
                       const double* diagonal, const double* scores, const float* fall,
                       int64_t size);
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
  // The same update of a part of a row of a symmetric matrix, its product with u, and that of the
  // part of a column which is the same: products += own row. All: [size].
  double (*UpdateAndMultiply)(const RankTwo& update, const double* u, double own, int64_t size,
                              double* row, double* products);
  // sums[f, bins[row, f]] += gradient and curvature of rows, which are their numbers in bins: [..,
  // kHistogramFeatures]. sums: [kHistogramFeatures, stride, 2].
  void (*AddHistogramOfBytes)(const RowGradient* rows, int64_t count, const uint8_t* bins,
                              int64_t stride, double* sums);
  void (*AddHistogramOfShorts)(const RowGradient* rows, int64_t count, const uint16_t* bins,
                               int64_t stride, double* sums);
  // The best cut of a feature, the first of equal ones. sums: [bins, 2]; room: [3, bins].
  Split (*FindSplit)(const double* sums, int64_t bins, const SplitRule& rule, double* room);
  // Rotations, in order, of the first kStrip columns of rows that stand `stride` apart.
  void (*Rotate)(const Rotation* rotations, int64_t count, double* rows, int64_t stride);
  // sums[unit, lane] += sum over k of weights[unit, k] x[sources[unit, k], lane], in the order of k
  // and not fused. weights, sources: [units, fan_in]; x, sums: [.., kLanes].
  void (*AddHeard)(const float* weights, const int64_t* sources, int64_t units, int64_t fan_in,
                   const float* x, float* sums);
  // sums[lane] += sum over k of weights[k] x[k, lane], in the order of k and not fused.
  void (*AddScaledLanes)(const float* weights, int64_t count, const double* x, double* sums);
  // Bits that differ.
  int64_t (*CountDifferent)(const uint64_t* x, const uint64_t* y, int64_t words);
  // sums[lane] += sum over k of weights[k] x[k, lane], one chain of fused multiply-adds.
  void (*AddLanes)(const double* weights, int64_t count, const float* x, double* sums);
  // sums[k, lane] += scales[lane] x[k, lane], fused.
  void (*AddScaledPanel)(const double* scales, int64_t count, const float* x, double* sums);
  void (*Sigmoids)(const double* x, int64_t size, float* y);
  // x = e^(scale x), within 2 ulp; scale x above -708 and below 709, or at these.
  void (*Exps)(double scale, int64_t size, double* x);
  // x = (1 - leak) x + leak tanh(sums)
  void (*Leak)(const float* sums, float leak, int64_t size, float* x);
  // v = kept v + sums; where it reaches 1, a spike, and v = 0; trace = traced trace + (1 - traced)
  // spike.
  void (*Fire)(const float* sums, float kept, float traced, int64_t size, float* v, float* spikes,
               float* trace);
  // The sum of the losses -log sigmoid(sign x y).
  double (*TellPlace)(const WordPlace& place);
  // row += scale times the sum of changes[which], in their order. row: [size]; changes: [..,
  // width].
  void (*AddChanges)(const float* changes, int64_t width, const int32_t* which, int64_t count,
                     float scale, int64_t size, float* row);
};

// Of the widest instruction set that runs here.
const LearnerKernels& FindLearnerKernels();

#ifdef BEAMLINE_ISA
namespace BEAMLINE_ISA {
void SquaredDistances(const float* x, int64_t count, int64_t features, const float* block,
                      double* squares);
void SquaredDistancesOfDoubles(const double* x, int64_t count, int64_t features, const float* block,
                               double* squares);
void WeightedSquares(const double* x, const double* weights, int64_t count, int64_t features,
                     const float* block, double* squares);
void ProductsOfRows(const float* x, int64_t count, int64_t features, const float* block,
                    float* products);
void ProductsOfRow(const float* x, int64_t features, const float* panels, int64_t count,
                   double* products);
ScoreRange MoveScores(double a, const float* x, double b, const float* y, const float* rise,
                      const float* fall, int64_t size, double* scores);
Place FindPartner(double highest, double own, double least, const float* x, const double* diagonal,
                  const double* scores, const float* fall, int64_t size);
void Least(const double* squares, int64_t count, double* least, double* which);
void AddProducts(const double* a, const double* b, int64_t rows, double* c, int64_t stride,
                 int64_t height, int64_t width);
double UpdateAndDot(const RankTwo& update, const double* u, int64_t size, double* row);
double UpdateAndMultiply(const RankTwo& update, const double* u, double own, int64_t size,
                         double* row, double* products);
void AddHistogramOfBytes(const RowGradient* rows, int64_t count, const uint8_t* bins,
                         int64_t stride, double* sums);
void AddHistogramOfShorts(const RowGradient* rows, int64_t count, const uint16_t* bins,
                          int64_t stride, double* sums);
Split FindSplit(const double* sums, int64_t bins, const SplitRule& rule, double* room);
void Rotate(const Rotation* rotations, int64_t count, double* rows, int64_t stride);
void AddHeard(const float* weights, const int64_t* sources, int64_t units, int64_t fan_in,
              const float* x, float* sums);
void AddScaledLanes(const float* weights, int64_t count, const double* x, double* sums);
int64_t CountDifferent(const uint64_t* x, const uint64_t* y, int64_t words);
void AddLanes(const double* weights, int64_t count, const float* x, double* sums);
void AddScaledPanel(const double* scales, int64_t count, const float* x, double* sums);
void Sigmoids(const double* x, int64_t size, float* y);
void Exps(double scale, int64_t size, double* x);
void Leak(const float* sums, float leak, int64_t size, float* x);
void Fire(const float* sums, float kept, float traced, int64_t size, float* v, float* spikes,
          float* trace);
double TellPlace(const WordPlace& place);
void AddChanges(const float* changes, int64_t width, const int32_t* which, int64_t count,
                float scale, int64_t size, float* row);
const LearnerKernels& TableOfLearners();
}  // namespace BEAMLINE_ISA
#endif

}  // namespace beamline::engine::cpu
