// The gradient of a recurrent weight: the states before each step times the gradients at its
// products. In a row of the batch the two lie in memory as matrices, one step apart, so nothing is
// copied but the panels that the micro-kernel reads.
//
// Each element is one chain over the rows, and in a row over the initial state and then over the
// positions in order; the threads share the elements.
#include "engine/backend/cpu/recurrent_tile.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

constexpr int64_t kStateChunk = 264;  // rows of the result in a tile: a multiple of every kTileRows

struct Problem {
  bool reverse;
  int64_t rows, steps, units, columns;
  const float* y;
  const float* dgates;
  const float* dproduct;
  const float* h0;
  const int32_t* lengths;
  float* dweight;
};

// sum[states, kPanel] += a[inner, states]^T b[inner, columns]; `started`: sum holds something.
void AddProduct(const float* a, int64_t lda, int64_t states, const float* b, int64_t ldb,
                int64_t columns, int64_t inner, float* packed, float* sum, bool* started) {
  for (int64_t k = 0; k < inner; k += kInnerPiece) {
    const int64_t piece = inner - k < kInnerPiece ? inner - k : kInnerPiece;
    Pack(b, ldb, false, k, piece, 0, columns, packed);
    for (int64_t i = 0; i < states; i += kTileRows) {
      const int64_t now = states - i < kTileRows ? states - i : kTileRows;
      MicroTable<true>::kFn[now](piece, a + k * lda + i, lda, packed, kPanel, sum + i * kPanel,
                                 kPanel, *started);
    }
    *started = true;
  }
}

// Rows [first_state, + states) of the result by the block of units `unit` of gate `gate`.
void Tile(const Problem& p, int64_t first_state, int64_t states, int64_t gate, int64_t unit) {
  alignas(64) float packed[kInnerPiece * kPanel];
  alignas(64) float sum[kStateChunk * kPanel];
  const int64_t width = p.units - unit < kPanel ? p.units - unit : kPanel;
  const bool product = p.dproduct != nullptr && gate == 2;
  const float* gradients = product ? p.dproduct + unit : p.dgates + gate * p.units + unit;
  const int64_t stride = product ? p.units : p.columns;
  bool started = false;
  for (int64_t row = 0; row < p.rows; ++row) {
    const int64_t length = p.lengths == nullptr ? p.steps : p.lengths[row];
    const float* y = p.y + row * p.steps * p.units + first_state;
    const float* d = gradients + row * p.steps * stride;
    if (p.h0 != nullptr) {
      AddProduct(p.h0 + row * p.units + first_state, p.units, states,
                 d + recurrent::Position(p.reverse, length, 0) * stride, stride, width, 1, packed,
                 sum, &started);
    }
    const float* states_before = p.reverse ? y + p.units : y;
    const float* after = p.reverse ? d : d + stride;
    // Each line lies on another page, where no hardware looks ahead.
    for (int64_t step = 0; step < p.steps && row + 1 < p.rows; ++step) {
      Prefetch(d + (p.steps + step) * stride);
    }
    AddProduct(states_before, p.units, states, after, stride, width, length - 1, packed, sum,
               &started);
  }
  if (!started) ZeroBlock(sum, states * kPanel);
  for (int64_t i = 0; i < states; ++i) {
    CopyBlock(p.dweight + (first_state + i) * p.columns + gate * p.units + unit, sum + i * kPanel,
              width);
  }
}

}  // namespace

void RecurrentWeightGrad(const KernelCall& call, const RunState& run) {
  const Attributes& attributes = *call.attributes;
  const recurrent::Places in = recurrent::WeightGradientInputs(attributes);
  Problem p;
  p.reverse = attributes.reverse;
  p.rows = call.inputs[0].extents[0];
  p.steps = call.inputs[0].extents[1];
  p.units = call.inputs[0].columns;
  p.columns = call.outputs[0].columns;
  p.y = In(call, 0);
  p.dgates = In(call, 1);
  p.dproduct = in.kept < 0 ? nullptr : In(call, in.kept);
  p.h0 = in.h0 < 0 ? nullptr : In(call, in.h0);
  p.lengths = in.lengths < 0 ? nullptr : static_cast<const int32_t*>(call.inputs[in.lengths].data);
  p.dweight = Out(call, 0);
  const int64_t gates = recurrent::GatesOf(attributes.cell);
  const int64_t blocks = (p.units + kPanel - 1) / kPanel;
  const int64_t chunks = (p.units + kStateChunk - 1) / kStateChunk;
  const int64_t chunk = (p.units + chunks - 1) / chunks;
  ForTiles(run, chunks * gates * blocks, p.rows * p.steps * p.units * p.columns, [&](int64_t i) {
    const int64_t first = i / (gates * blocks) * chunk;
    const int64_t states = p.units - first < chunk ? p.units - first : chunk;
    Tile(p, first, states, i / blocks % gates, i % blocks * kPanel);
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
