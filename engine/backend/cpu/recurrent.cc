// Recurrent layers, forward: the weight is packed once; then for each step h U by tiles, and the
// cell on each tile while it is in cache.
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
  const float* x;  // projected gates
  const float* weight;
  const float* bias;
  const float* h0;
  const float* c0;
  const int32_t* lengths;
  float* y;
  float* kept_gates;  // null: not kept
  float* kept;
  // Scratch.
  float* packed;  // [blocks, gates, units, kPanel]
  float* states;  // [2, rows, stride]: before and after a step, by turns
  float* cells;   // [rows, stride]
  int64_t stride;

  int64_t columns() const { return gates * units; }
};

// One row of a block at one step; local copies, all of kPanel elements.
struct Block {
  alignas(64) float x[4][kPanel];
  alignas(64) float gate[4][kPanel];
  alignas(64) float kept[kPanel];
  alignas(64) float before[kPanel];
  alignas(64) float bias[kPanel];
  alignas(64) float cell[kPanel];
  alignas(64) float y[kPanel];
};

// products: of gate g at products + g * kMaxTileRows * kPanel.
template <RecurrentCell kCell>
inline __attribute__((always_inline)) void Apply(const float* products, Block* block) {
  constexpr int64_t kNext = kMaxTileRows * kPanel;
  Block& b = *block;
  if constexpr (kCell == RecurrentCell::kLstm) {
#pragma GCC ivdep
    for (int j = 0; j < kPanel; ++j) {
      const float i = math::Sigmoid(b.x[0][j] + products[j]);
      const float f = math::Sigmoid(b.x[1][j] + products[kNext + j]);
      const float g = math::Tanh(b.x[2][j] + products[2 * kNext + j]);
      const float o = math::Sigmoid(b.x[3][j] + products[3 * kNext + j]);
      const float cell = LstmCell::Cell(i, f, g, b.cell[j]);
      b.gate[0][j] = i;
      b.gate[1][j] = f;
      b.gate[2][j] = g;
      b.gate[3][j] = o;
      b.cell[j] = cell;
      b.y[j] = LstmCell::State(o, cell);
    }
  } else if constexpr (kCell == RecurrentCell::kGru) {
#pragma GCC ivdep
    for (int j = 0; j < kPanel; ++j) {
      const float r = math::Sigmoid(b.x[0][j] + products[j]);
      const float z = math::Sigmoid(b.x[1][j] + products[kNext + j]);
      const float product = products[2 * kNext + j] + b.bias[j];
      const float g = GruCell::Candidate(r, product, b.x[2][j]);
      b.gate[0][j] = r;
      b.gate[1][j] = z;
      b.gate[2][j] = g;
      b.kept[j] = product;
      b.y[j] = GruCell::State(z, g, b.before[j]);
    }
  } else {
#pragma GCC ivdep
    for (int j = 0; j < kPanel; ++j) {
      b.y[j] = recurrent::ElmanState<kCell>(b.x[0][j] + products[j]);
    }
  }
}

// Beyond a row's length: zeros, and the state stays.
void Skip(const Problem& p, int64_t row, int64_t step, int64_t unit, int64_t width) {
  const int64_t at = row * p.steps + step;
  ZeroBlock(p.y + at * p.units + unit, width);
  if (p.kept_gates == nullptr) return;
  for (int64_t g = 0; g < p.gates; ++g) {
    ZeroBlock(p.kept_gates + at * p.columns() + g * p.units + unit, width);
  }
  ZeroBlock(p.kept + at * p.units + unit, width);
}

template <RecurrentCell kCell>
void FinishRow(const Problem& p, int64_t row, int64_t position, int64_t unit, int64_t width,
               const float* products, const float* before, float* after) {
  constexpr int64_t kGates = recurrent::GatesOf(kCell);
  constexpr bool kLstm = kCell == RecurrentCell::kLstm;
  constexpr bool kGru = kCell == RecurrentCell::kGru;
  const int64_t at = row * p.steps + position;
  Block block;
  if (width < kPanel) block = Block();
  for (int64_t g = 0; g < kGates; ++g) {
    CopyBlock(block.x[g], p.x + at * p.columns() + g * p.units + unit, width);
  }
  float* cell = p.cells + row * p.stride + unit;
  if constexpr (kLstm) CopyBlock(block.cell, cell, width);
  if constexpr (kGru) CopyBlock(block.before, before + unit, width);
  if constexpr (kGru) CopyBlock(block.bias, p.bias + unit, width);
  Apply<kCell>(products, &block);
  CopyBlock(after + unit, block.y, width);
  CopyBlock(p.y + at * p.units + unit, block.y, width);
  if constexpr (kLstm) CopyBlock(cell, block.cell, width);
  if constexpr (kLstm || kGru) {
    if (p.kept_gates == nullptr) return;
    for (int64_t g = 0; g < kGates; ++g) {
      CopyBlock(p.kept_gates + at * p.columns() + g * p.units + unit, block.gate[g], width);
    }
    CopyBlock(p.kept + at * p.units + unit, kLstm ? block.cell : block.kept, width);
  }
}

template <RecurrentCell kCell>
void Tile(const Problem& p, int64_t step, int64_t first_row, int64_t rows, int64_t index) {
  constexpr int64_t kGates = recurrent::GatesOf(kCell);
  alignas(64) float products[kGates * kMaxTileRows * kPanel];
  const int64_t unit = index * kPanel;
  const int64_t width = p.units - unit < kPanel ? p.units - unit : kPanel;
  const float* before = p.states + (step % 2) * p.rows * p.stride;
  float* after = p.states + ((step + 1) % 2) * p.rows * p.stride;
  const auto length = [&](int64_t row) { return p.lengths == nullptr ? p.steps : p.lengths[row]; };
  if (step < LongestOf(p.lengths, first_row, rows, p.steps)) {
    for (int64_t r = first_row; r < first_row + rows; ++r) {
      if (step >= length(r)) continue;
      const int64_t at = r * p.steps + recurrent::Position(p.reverse, length(r), step);
      for (int64_t g = 0; g < kGates; ++g) {
        Prefetch(p.x + at * p.columns() + g * p.units + unit);
      }
      Prefetch(p.y + at * p.units + unit);
      if (p.kept_gates == nullptr) continue;
      for (int64_t g = 0; g < kGates; ++g) {
        Prefetch(p.kept_gates + at * p.columns() + g * p.units + unit);
      }
      Prefetch(p.kept + at * p.units + unit);
    }
    for (int64_t g = 0; g < kGates; ++g) {
      float* product = products + g * kMaxTileRows * kPanel;
      if (step == 0 && p.h0 == nullptr) {
        ZeroBlock(product, rows * kPanel);
      } else {
        MultiplyTile(before + first_row * p.stride, p.stride,
                     p.packed + (index * kGates + g) * p.units * kPanel, p.units, rows, product);
      }
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t row = first_row + r;
    if (step < length(row)) {
      FinishRow<kCell>(p, row, recurrent::Position(p.reverse, length(row), step), unit, width,
                       products + r * kPanel, before + row * p.stride, after + row * p.stride);
    } else {
      Skip(p, row, step, unit, width);
    }
  }
}

void Begin(const Problem& p, const RunState& run) {
  const auto begin = [&](const float* initial, float* to) {
    for (int64_t r = 0; r < p.rows; ++r, to += p.stride) {
      for (int64_t j = 0; j < p.units; ++j) {
        to[j] = initial == nullptr ? 0.0f : initial[r * p.units + j];
      }
    }
  };
  begin(p.h0, p.states);
  if (p.cell == RecurrentCell::kLstm) begin(p.c0, p.cells);
  const int64_t blocks = (p.units + kPanel - 1) / kPanel;
  ForTiles(run, blocks * p.gates, p.units * p.columns(), [&](int64_t i) {
    const int64_t unit = i / p.gates * kPanel;
    const int64_t width = p.units - unit < kPanel ? p.units - unit : kPanel;
    Pack(p.weight, p.columns(), false, 0, p.units, i % p.gates * p.units + unit, width,
         p.packed + i * p.units * kPanel);
  });
}

}  // namespace

Scratch RecurrentScratch(const KernelCall& call) {
  const int64_t units = call.outputs[0].columns;
  const int64_t columns = call.inputs[0].columns;
  const int64_t blocks = (units + kPanel - 1) / kPanel;
  const int64_t packed = blocks * kPanel * columns;
  const int64_t rows = call.outputs[0].extents[0];
  return {(packed + 3 * rows * PaddedStride(units)) * static_cast<int64_t>(sizeof(float)), 0};
}

void Recurrent(const KernelCall& call, const RunState& run) {
  const Attributes& attributes = *call.attributes;
  const recurrent::Places in = recurrent::ForwardInputs(attributes);
  const auto optional = [&](int i) { return i < 0 ? nullptr : In(call, i); };
  Problem p;
  p.cell = attributes.cell;
  p.reverse = attributes.reverse;
  p.rows = call.outputs[0].extents[0];
  p.steps = call.outputs[0].extents[1];
  p.units = call.outputs[0].columns;
  p.gates = recurrent::GatesOf(p.cell);
  p.x = In(call, 0);
  p.weight = In(call, 1);
  p.bias = optional(in.bias);
  p.h0 = optional(in.h0);
  p.c0 = optional(in.c0);
  p.lengths = in.lengths < 0 ? nullptr : static_cast<const int32_t*>(call.inputs[in.lengths].data);
  p.y = Out(call, 0);
  p.kept_gates = call.outputs_count > 1 ? Out(call, 1) : nullptr;
  p.kept = call.outputs_count > 1 ? Out(call, 2) : nullptr;
  p.stride = PaddedStride(p.units);
  p.packed = SharedScratch(run);
  p.states = p.packed + (p.units + kPanel - 1) / kPanel * kPanel * p.columns();
  p.cells = p.states + 2 * p.rows * p.stride;
  Begin(p, run);
  const int64_t operations = p.rows * p.units * p.columns();
  const Schedule schedule = MakeSchedule(p.rows, p.units, operations);
  recurrent::ForCell(p.cell, [&](auto tag) {
    ForSteps(run, schedule, p.rows, p.steps, operations,
             [&](int64_t step, int64_t first_row, int64_t rows, int64_t block) {
               Tile<decltype(tag)::kCell>(p, step, first_row, rows, block);
             });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
