// Recurrent layers, backward: the transposed weight is packed once; then for each step, from the
// last one done to the first, what the step after hands back by tiles (gradient of the gates times
// U^T), and the derivative of the cell on each tile while it is in cache.
#include "engine/backend/cpu/recurrent_tile.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

using recurrent::GruCell;
using recurrent::LstmCell;

struct Problem {
  RecurrentCell cell;
  bool reverse;
  int64_t rows, steps, units, gates;
  const float* dy;
  const float* y;
  const float* weight;
  const float* kept_gates;
  const float* kept;
  const float* h0;
  const float* c0;
  const int32_t* lengths;
  float* dgates;
  float* dproduct;  // GRU
  float* dh0;
  float* dc0;
  // Scratch.
  float* packed;  // [blocks, columns, kPanel]
  float* handed;  // [2, rows, handed_stride]: at the products, of the step after and of this one
  int64_t handed_stride;
  float* dcell;   // [rows, stride]
  float* direct;  // [rows, stride]: to the state before, beside the products (GRU)
  int64_t stride;

  int64_t columns() const { return gates * units; }
};

// One row of a block at one step; local copies, all of kPanel elements.
struct Block {
  alignas(64) float dh[kPanel];
  alignas(64) float gate[4][kPanel];
  alignas(64) float kept[kPanel];
  alignas(64) float before[kPanel];  // state, or cell state, before the step
  alignas(64) float carry[kPanel];   // of dcell, or of direct
  alignas(64) float d[4][kPanel];
  alignas(64) float dproduct[kPanel];
};

// With products of the step after in dh; adds dy and differentiates the cell.
template <RecurrentCell kCell>
inline __attribute__((always_inline)) void Apply(const float* product, Block* block) {
  Block& b = *block;
  if constexpr (kCell == RecurrentCell::kLstm) {
#pragma GCC ivdep
    for (int j = 0; j < kPanel; ++j) {
      const auto d =
          LstmCell::Backward(b.dh[j] + product[j], b.carry[j], b.gate[0][j], b.gate[1][j],
                             b.gate[2][j], b.gate[3][j], b.kept[j], b.before[j]);
      b.d[0][j] = d.i;
      b.d[1][j] = d.f;
      b.d[2][j] = d.g;
      b.d[3][j] = d.o;
      b.carry[j] = d.before;
    }
  } else if constexpr (kCell == RecurrentCell::kGru) {
#pragma GCC ivdep
    for (int j = 0; j < kPanel; ++j) {
      const auto d = GruCell::Backward(b.dh[j] + (product[j] + b.carry[j]), b.gate[0][j],
                                       b.gate[1][j], b.gate[2][j], b.kept[j], b.before[j]);
      b.d[0][j] = d.r;
      b.d[1][j] = d.z;
      b.d[2][j] = d.g;
      b.dproduct[j] = d.product;
      b.carry[j] = d.before;
    }
  } else {
#pragma GCC ivdep
    for (int j = 0; j < kPanel; ++j) {
      b.d[0][j] = (b.dh[j] + product[j]) * recurrent::ElmanSlope<kCell>(b.kept[j]);
    }
  }
}

// Beyond a row's length: no gradient.
void Skip(const Problem& p, int64_t row, int64_t step, int64_t unit, int64_t width, float* handed) {
  const int64_t at = row * p.steps + step;
  for (int64_t g = 0; g < p.gates; ++g) {
    ZeroBlock(p.dgates + at * p.columns() + g * p.units + unit, width);
    ZeroBlock(handed + g * p.units + unit, width);
  }
  if (p.dproduct != nullptr) ZeroBlock(p.dproduct + at * p.units + unit, width);
}

template <RecurrentCell kCell>
void FinishRow(const Problem& p, int64_t row, int64_t length, int64_t step, int64_t unit,
               int64_t width, const float* product, float* handed) {
  constexpr int64_t kGates = recurrent::GatesOf(kCell);
  constexpr bool kLstm = kCell == RecurrentCell::kLstm;
  constexpr bool kGru = kCell == RecurrentCell::kGru;
  const int64_t position = recurrent::Position(p.reverse, length, step);
  const int64_t prior = p.reverse ? position + 1 : position - 1;
  const int64_t at = row * p.steps + position;
  Block block;
  if (width < kPanel) block = Block();
  CopyBlock(block.dh, p.dy + at * p.units + unit, width);
  float* carry = (kLstm ? p.dcell : p.direct) + row * p.stride + unit;
  if constexpr (kLstm || kGru) {
    for (int64_t g = 0; g < kGates; ++g) {
      CopyBlock(block.gate[g], p.kept_gates + at * p.columns() + g * p.units + unit, width);
    }
    CopyBlock(block.kept, p.kept + at * p.units + unit, width);
    CopyBlock(block.carry, carry, width);
    const float* all = kLstm ? p.kept : p.y;
    const float* initial = kLstm ? p.c0 : p.h0;
    if (step > 0) {
      CopyBlock(block.before, all + (row * p.steps + prior) * p.units + unit, width);
    } else if (initial != nullptr) {
      CopyBlock(block.before, initial + row * p.units + unit, width);
    } else {
      ZeroBlock(block.before, kPanel);
    }
  } else {
    CopyBlock(block.kept, p.y + at * p.units + unit, width);
  }
  Apply<kCell>(product, &block);
  for (int64_t g = 0; g < kGates; ++g) {
    CopyBlock(p.dgates + at * p.columns() + g * p.units + unit, block.d[g], width);
    const bool at_product = kGru && g == 2;
    CopyBlock(handed + g * p.units + unit, at_product ? block.dproduct : block.d[g], width);
  }
  if constexpr (kLstm || kGru) CopyBlock(carry, block.carry, width);
  if constexpr (kGru) CopyBlock(p.dproduct + at * p.units + unit, block.dproduct, width);
}

// What is left when all steps are done: the gradient of the initial states.
template <RecurrentCell kCell>
void FinishInitial(const Problem& p, int64_t row, int64_t unit, int64_t width,
                   const float* product) {
  float* dh0 = p.dh0 + row * p.units + unit;
  const float* direct = p.direct + row * p.stride + unit;
  for (int64_t j = 0; j < width; ++j) {
    dh0[j] = kCell == RecurrentCell::kGru ? product[j] + direct[j] : product[j];
  }
  if (kCell == RecurrentCell::kLstm) {
    CopyBlock(p.dc0 + row * p.units + unit, p.dcell + row * p.stride + unit, width);
  }
}

// Number `turn` counts from 0 at the last step; turn == steps finishes the initial states.
template <RecurrentCell kCell>
void Tile(const Problem& p, int64_t turn, int64_t first_row, int64_t rows, int64_t index) {
  constexpr int64_t kGates = recurrent::GatesOf(kCell);
  alignas(64) float product[kMaxTileRows * kPanel];
  const int64_t step = p.steps - 1 - turn;
  const int64_t unit = index * kPanel;
  const int64_t width = p.units - unit < kPanel ? p.units - unit : kPanel;
  const int64_t size = p.rows * p.handed_stride;
  const float* from = p.handed + (turn % 2) * size + first_row * p.handed_stride;
  float* to = p.handed + ((turn + 1) % 2) * size + first_row * p.handed_stride;
  const auto length = [&](int64_t row) { return p.lengths == nullptr ? p.steps : p.lengths[row]; };
  const int64_t longest = LongestOf(p.lengths, first_row, rows, p.steps);
  for (int64_t r = first_row; step >= 0 && r < first_row + rows; ++r) {
    if (step >= length(r)) continue;
    const int64_t at = r * p.steps + recurrent::Position(p.reverse, length(r), step);
    Prefetch(p.dy + at * p.units + unit);
    for (int64_t g = 0; g < kGates; ++g) {
      Prefetch(p.dgates + at * p.columns() + g * p.units + unit);
    }
    if (p.kept_gates == nullptr) continue;
    for (int64_t g = 0; g < kGates; ++g) {
      Prefetch(p.kept_gates + at * p.columns() + g * p.units + unit);
    }
    Prefetch(p.kept + at * p.units + unit);
  }
  // Without a step after, or one that any row was in, nothing was handed back.
  if (turn == 0 || step + 1 >= longest) {
    ZeroBlock(product, rows * kPanel);
  } else {
    MultiplyTile(from, p.handed_stride, p.packed + index * p.columns() * kPanel, p.columns(), rows,
                 product);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t row = first_row + r;
    if (step < 0) {
      FinishInitial<kCell>(p, row, unit, width, product + r * kPanel);
    } else if (step < length(row)) {
      FinishRow<kCell>(p, row, length(row), step, unit, width, product + r * kPanel,
                       to + r * p.handed_stride);
    } else {
      Skip(p, row, step, unit, width, to + r * p.handed_stride);
    }
  }
}

void Begin(const Problem& p, const RunState& run) {
  const int64_t bytes = p.rows * p.stride * static_cast<int64_t>(sizeof(float));
  __builtin_memset(p.dcell, 0, static_cast<size_t>(bytes));
  __builtin_memset(p.direct, 0, static_cast<size_t>(bytes));
  const int64_t blocks = (p.units + kPanel - 1) / kPanel;
  ForTiles(run, blocks, p.units * p.columns(), [&](int64_t block) {
    const int64_t unit = block * kPanel;
    const int64_t width = p.units - unit < kPanel ? p.units - unit : kPanel;
    Pack(p.weight, p.columns(), true, 0, p.columns(), unit, width,
         p.packed + block * p.columns() * kPanel);
  });
}

}  // namespace

Scratch RecurrentGradScratch(const KernelCall& call) {
  const int64_t units = call.inputs[0].columns;
  const int64_t columns = call.outputs[0].columns;
  const int64_t rows = call.inputs[0].extents[0];
  const int64_t packed = (units + kPanel - 1) / kPanel * kPanel * columns;
  const int64_t state = 2 * rows * (PaddedStride(columns) + PaddedStride(units));
  return {(packed + state) * static_cast<int64_t>(sizeof(float)), 0};
}

void RecurrentGrad(const KernelCall& call, const RunState& run) {
  const Attributes& attributes = *call.attributes;
  const recurrent::Places in = recurrent::GradientInputs(attributes);
  const auto optional = [&](int i) { return i < 0 ? nullptr : In(call, i); };
  const bool gru = attributes.cell == RecurrentCell::kGru;
  Problem p;
  p.cell = attributes.cell;
  p.reverse = attributes.reverse;
  p.rows = call.inputs[0].extents[0];
  p.steps = call.inputs[0].extents[1];
  p.units = call.inputs[0].columns;
  p.gates = recurrent::GatesOf(p.cell);
  p.dy = In(call, 0);
  p.y = In(call, 1);
  p.weight = In(call, 2);
  p.kept_gates = optional(in.gates);
  p.kept = optional(in.kept);
  p.h0 = optional(in.h0);
  p.c0 = optional(in.c0);
  p.lengths = in.lengths < 0 ? nullptr : static_cast<const int32_t*>(call.inputs[in.lengths].data);
  p.dgates = Out(call, 0);
  p.dproduct = gru ? Out(call, 1) : nullptr;
  p.dh0 = in.h0 < 0 ? nullptr : Out(call, gru ? 2 : 1);
  p.dc0 = in.c0 < 0 ? nullptr : Out(call, 2);
  p.stride = PaddedStride(p.units);
  p.handed_stride = PaddedStride(p.columns());
  p.packed = SharedScratch(run);
  p.handed = p.packed + (p.units + kPanel - 1) / kPanel * kPanel * p.columns();
  p.dcell = p.handed + 2 * p.rows * p.handed_stride;
  p.direct = p.dcell + p.rows * p.stride;
  Begin(p, run);
  const int64_t operations = p.rows * p.units * p.columns();
  const Schedule schedule = MakeSchedule(p.rows, p.units, operations);
  const int64_t turns = p.steps + (p.dh0 != nullptr ? 1 : 0);
  recurrent::ForCell(p.cell, [&](auto tag) {
    ForSteps(run, schedule, p.rows, turns, operations,
             [&](int64_t turn, int64_t first_row, int64_t rows, int64_t block) {
               Tile<decltype(tag)::kCell>(p, turn, first_row, rows, block);
             });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
