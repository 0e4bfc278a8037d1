// Recurrent layers, forward. Small ones: a team per row does all steps. Large ones: a launch for
// each step.
#include "engine/backend/recurrent.h"

#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/recurrent_step.h"

namespace beamline::engine::cuda {
namespace {

struct Layer {
  Layer(const KernelCall& call, const recurrent::Places& in)
      : sequences(call, call.outputs[0], in.lengths),
        units(call.outputs[0].columns),
        x(In(call, 0)),
        weight(In(call, 1)),
        bias(in.bias < 0 ? nullptr : In(call, in.bias)),
        h0(in.h0 < 0 ? nullptr : In(call, in.h0)),
        c0(in.c0 < 0 ? nullptr : In(call, in.c0)),
        y(Out(call, 0)),
        gates(call.outputs_count > 1 ? Out(call, 1) : nullptr),
        kept(call.outputs_count > 1 ? Out(call, 2) : nullptr) {}

  // Of a row: null where it is zero.
  BEAMLINE_DEVICE const float* StateBefore(int64_t row, int64_t length, int64_t step) const {
    if (step > 0) return y + sequences.Position(row, length, step - 1) * units;
    return h0 == nullptr ? nullptr : h0 + row * units;
  }

  Sequences sequences;
  int64_t units;
  const float* x;  // what `gates`, or `y` of cells without, may take the place of
  const float* weight;
  const float* bias;
  const float* h0;
  const float* c0;
  float* y;
  float* gates;  // null: not kept
  float* kept;
};

// Unit j at a position, from its products by gate; returns its state. `cell`: LSTM's, in place.
template <RecurrentCell kCell>
BEAMLINE_DEVICE float Advance(const Layer& layer, int64_t position, int64_t j,
                              const float* products, float before, float* cell) {
  const int64_t n = layer.units;
  const int64_t first = position * n * kGates<kCell> + j;
  const float* x = layer.x + first;
  float* gates = layer.gates == nullptr ? nullptr : layer.gates + first;
  float h;
  if constexpr (kCell == RecurrentCell::kLstm) {
    const float i = math::Sigmoid(x[0] + products[0]);
    const float f = math::Sigmoid(x[n] + products[1]);
    const float g = math::Tanh(x[2 * n] + products[2]);
    const float o = math::Sigmoid(x[3 * n] + products[3]);
    *cell = recurrent::LstmCell::Cell(i, f, g, *cell);
    h = recurrent::LstmCell::State(o, *cell);
    if (gates != nullptr) {
      gates[0] = i;
      gates[n] = f;
      gates[2 * n] = g;
      gates[3 * n] = o;
      layer.kept[position * n + j] = *cell;
    }
  } else if constexpr (kCell == RecurrentCell::kGru) {
    const float r = math::Sigmoid(x[0] + products[0]);
    const float z = math::Sigmoid(x[n] + products[1]);
    const float q = products[2] + layer.bias[j];
    const float g = recurrent::GruCell::Candidate(r, q, x[2 * n]);
    h = recurrent::GruCell::State(z, g, before);
    if (gates != nullptr) {
      gates[0] = r;
      gates[n] = z;
      gates[2 * n] = g;
      layer.kept[position * n + j] = q;
    }
  } else {
    h = recurrent::ElmanState<kCell>(x[0] + products[0]);
  }
  layer.y[position * n + j] = h;
  return h;
}

// Unit j at a position beyond the length.
template <RecurrentCell kCell>
BEAMLINE_DEVICE void Clear(const Layer& layer, int64_t position, int64_t j) {
  const int64_t n = layer.units;
  layer.y[position * n + j] = 0.0f;
  if (layer.gates == nullptr) return;
  for (int g = 0; g < kGates<kCell>; ++g)
    layer.gates[(position * kGates<kCell> + g) * n + j] = 0.0f;
  layer.kept[position * n + j] = 0.0f;
}

// products[g] = state times the weight's column of gate g of unit j, in order of the state.
template <int kBlocks>
BEAMLINE_DEVICE void Multiply(const float* state, const float* weight, int64_t units, int64_t j,
                              float* products) {
  constexpr int kAtOnce = 8;
  int64_t k = 0;
  for (; k + kAtOnce <= units; k += kAtOnce) {
    float w[kAtOnce][kBlocks];
    for (int n = 0; n < kAtOnce; ++n) {
      for (int g = 0; g < kBlocks; ++g) w[n][g] = weight[((k + n) * kBlocks + g) * units + j];
    }
    for (int n = 0; n < kAtOnce; ++n) {
      for (int g = 0; g < kBlocks; ++g) products[g] = math::Fma(state[k + n], w[n][g], products[g]);
    }
  }
  for (; k < units; ++k) {
    for (int g = 0; g < kBlocks; ++g) {
      products[g] = math::Fma(state[k], weight[(k * kBlocks + g) * units + j], products[g]);
    }
  }
}

template <RecurrentCell kCell>
struct WholeRow {
  Layer layer;

  // Shared memory: states before and after [2, units], cell states [units].
  BEAMLINE_DEVICE void operator()(Team<kRowLanes>& team) const {
    const int64_t row = team.index();
    const int64_t units = layer.units;
    float* states = team.template shared<float>();
    float* cells = states + 2 * units;
    const int64_t length = layer.sequences.Length(row);
    team.For(units, [&](int64_t j) {
      states[j] = layer.h0 == nullptr ? 0.0f : layer.h0[row * units + j];
      cells[j] = layer.c0 == nullptr ? 0.0f : layer.c0[row * units + j];
    });
    for (int64_t step = 0; step < layer.sequences.steps; ++step) {
      const bool inside = step < length;
      const int64_t position =
          inside ? layer.sequences.Position(row, length, step) : row * layer.sequences.steps + step;
      const float* before = states + step % 2 * units;
      float* after = states + (step + 1) % 2 * units;
      team.For(units, [&](int64_t j) {
        if (!inside) return Clear<kCell>(layer, position, j);
        float products[kGates<kCell>] = {};
        if (step > 0 || layer.h0 != nullptr) {
          Multiply<kGates<kCell>>(before, layer.weight, units, j, products);
        }
        after[j] = Advance<kCell>(layer, position, j, products, before[j], cells + j);
      });
    }
  }
};

template <RecurrentCell kCell>
struct OneStep {
  Layer layer;
  StepShape<kGates<kCell>> shape;
  int64_t step;
  float* cells;  // [rows, units]

  BEAMLINE_DEVICE void operator()(Team<kBlock>& team) const {
    const Sequences& sequences = layer.sequences;
    const int64_t units = layer.units;
    const int64_t first_row = shape.FirstRow(team.index());
    const bool moves = step > 0 || layer.h0 != nullptr;
    if (moves) {
      StepProducts(
          team, shape,
          [&](int i) {
            StepRow from{nullptr, nullptr, units};
            const int64_t row = first_row + i;
            if (row >= sequences.rows) return from;
            const int64_t length = sequences.Length(row);
            if (step < length) from.first = layer.StateBefore(row, length, step);
            return from;
          },
          layer.weight);
    }
    const float* shared = team.template shared<float>();
    team.For(kStepRows * kStepUnits, [&](int64_t i) {
      const int64_t row = first_row + i / kStepUnits;
      const int64_t j = shape.FirstUnit(team.index()) + i % kStepUnits;
      if (row >= sequences.rows || j >= units) return;
      const int64_t length = sequences.Length(row);
      if (step >= length) return Clear<kCell>(layer, row * sequences.steps + step, j);
      float products[kGates<kCell>] = {};
      for (int g = 0; moves && g < kGates<kCell>; ++g) {
        products[g] = shape.Product(shared, static_cast<int>(i) / kStepUnits, g,
                                    static_cast<int>(i) % kStepUnits);
      }
      const float* before = layer.StateBefore(row, length, step);
      float cell = 0;
      if (kCell == RecurrentCell::kLstm && step > 0) cell = cells[row * units + j];
      if (step == 0 && layer.c0 != nullptr) cell = layer.c0[row * units + j];
      Advance<kCell>(layer, sequences.Position(row, length, step), j, products,
                     before == nullptr ? 0.0f : before[j], &cell);
      if (kCell == RecurrentCell::kLstm) cells[row * units + j] = cell;
    });
  }
};

template <RecurrentCell kCell>
void Run(const KernelCall& call, const RunState& run) {
  const Layer layer(call, recurrent::ForwardInputs(*call.attributes));
  if (layer.units < kStepwiseUnits) {
    const int64_t floats = (3 * layer.units + 3) / 4 * 4;
    return Teams<kRowLanes>(run, layer.sequences.rows, floats * sizeof(float),
                            WholeRow<kCell>{layer});
  }
  const StepShape<kGates<kCell>> shape(layer.sequences.rows, layer.units, layer.units);
  for (int64_t step = 0; step < layer.sequences.steps; ++step) {
    Teams<kBlock>(run, shape.teams, shape.floats * sizeof(float),
                  OneStep<kCell>{layer, shape, step, SharedScratch(run)});
  }
}

}  // namespace

// Cell states.
Scratch RecurrentScratch(const KernelCall& call) {
  const int64_t units = call.outputs[0].columns;
  if (call.attributes->cell != RecurrentCell::kLstm || units < kStepwiseUnits) return {};
  return {call.outputs[0].extents[0] * units * static_cast<int64_t>(sizeof(float)), 0};
}

void Recurrent(const KernelCall& call, const RunState& run) {
  WithCell(call.attributes->cell, [&](auto tag) { Run<decltype(tag)::kCell>(call, run); });
}

}  // namespace beamline::engine::cuda
