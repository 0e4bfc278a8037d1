// Recurrent layers, backward: from the last step done to the first, as the forward pass a team per
// row or a launch per step. And the gradient of the weight, as one product.
#include "engine/backend/cuda/divide.h"
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/product.h"
#include "engine/backend/cuda/recurrent_step.h"
#include "engine/backend/recurrent.h"

namespace beamline::engine::cuda {
namespace {

template <RecurrentCell kCell>
constexpr bool kIsGru = kCell == RecurrentCell::kGru;

// The gradients of the initial states are there only if those are.
struct Layer {
  Layer(const KernelCall& call, const recurrent::Places& in)
      : sequences(call, call.inputs[0], in.lengths),
        units(call.inputs[0].columns),
        dy(In(call, 0)),
        y(In(call, 1)),
        gates(in.gates < 0 ? nullptr : In(call, in.gates)),
        kept(in.kept < 0 ? nullptr : In(call, in.kept)),
        h0(in.h0 < 0 ? nullptr : In(call, in.h0)),
        c0(in.c0 < 0 ? nullptr : In(call, in.c0)),
        dgates(Out(call, 0)) {
    int next = 1;
    if (call.attributes->cell == RecurrentCell::kGru) dproduct = Out(call, next++);
    if (in.h0 >= 0) dh0 = Out(call, next++);
    if (in.c0 >= 0) dc0 = Out(call, next);
  }

  // Of a row, before a step; zero where there is none.
  BEAMLINE_DEVICE float Before(const float* states, const float* initial, int64_t row,
                               int64_t length, int64_t step, int64_t j) const {
    if (step > 0) return states[sequences.Position(row, length, step - 1) * units + j];
    return initial == nullptr ? 0.0f : initial[row * units + j];
  }

  Sequences sequences;
  int64_t units;
  const float* dy;  // what `dgates` may take the place of, or else of `gates`
  const float* y;
  const float* gates;
  const float* kept;
  const float* h0;
  const float* c0;
  float* dgates;
  float* dproduct = nullptr;  // GRU
  float* dh0 = nullptr;
  float* dc0 = nullptr;
};

// Unit j of a row at a step within its length. d[g]: the gradients at its products. `direct`: what
// the step hands on beside the products, in for this step and out for the one before: to the cell
// state (LSTM), to the state (GRU, out alone).
template <RecurrentCell kCell>
BEAMLINE_DEVICE void GoBack(const Layer& layer, int64_t row, int64_t length, int64_t step,
                            int64_t j, float carry, float* direct, float* d) {
  const int64_t n = layer.units;
  const int64_t position = layer.sequences.Position(row, length, step);
  const int64_t at = position * n + j;
  const int64_t first = position * n * kGates<kCell> + j;
  const float dh = layer.dy[at] + carry;
  if constexpr (kCell == RecurrentCell::kLstm) {
    const float* gates = layer.gates + first;
    const auto slopes = recurrent::LstmCell::Backward(
        dh, *direct, gates[0], gates[n], gates[2 * n], gates[3 * n], layer.kept[at],
        layer.Before(layer.kept, layer.c0, row, length, step, j));
    d[0] = slopes.i;
    d[1] = slopes.f;
    d[2] = slopes.g;
    d[3] = slopes.o;
    *direct = slopes.before;
  } else if constexpr (kIsGru<kCell>) {
    const float* gates = layer.gates + first;
    const auto slopes =
        recurrent::GruCell::Backward(dh, gates[0], gates[n], gates[2 * n], layer.kept[at],
                                     layer.Before(layer.y, layer.h0, row, length, step, j));
    d[0] = slopes.r;
    d[1] = slopes.z;
    d[2] = slopes.product;
    layer.dgates[first + 2 * n] = slopes.g;
    layer.dproduct[at] = slopes.product;
    *direct = slopes.before;
  } else {
    d[0] = dh * recurrent::ElmanSlope<kCell>(layer.y[at]);
  }
  for (int g = 0; g < (kIsGru<kCell> ? 2 : kGates<kCell>); ++g) layer.dgates[first + g * n] = d[g];
}

// Unit j at a position beyond the length.
template <RecurrentCell kCell>
BEAMLINE_DEVICE void Clear(const Layer& layer, int64_t position, int64_t j) {
  const int64_t n = layer.units;
  for (int g = 0; g < kGates<kCell>; ++g) {
    layer.dgates[(position * kGates<kCell> + g) * n + j] = 0.0f;
  }
  if (kIsGru<kCell>) layer.dproduct[position * n + j] = 0.0f;
}

// Sum over gates and units of slopes [gates, units] times column j of weight [gates, units, units].
template <int kBlocks>
BEAMLINE_DEVICE float Multiply(const float* slopes, const float* weight, int64_t units, int64_t j) {
  constexpr int kAtOnce = 8;
  float sum[kBlocks] = {};
  int64_t k = 0;
  for (; k + kAtOnce <= units; k += kAtOnce) {
    float w[kAtOnce][kBlocks];
    for (int n = 0; n < kAtOnce; ++n) {
      for (int g = 0; g < kBlocks; ++g) w[n][g] = weight[(g * units + k + n) * units + j];
    }
    for (int n = 0; n < kAtOnce; ++n) {
      for (int g = 0; g < kBlocks; ++g) {
        sum[g] = math::Fma(slopes[g * units + k + n], w[n][g], sum[g]);
      }
    }
  }
  for (; k < units; ++k) {
    for (int g = 0; g < kBlocks; ++g) {
      sum[g] = math::Fma(slopes[g * units + k], weight[(g * units + k) * units + j], sum[g]);
    }
  }
  for (int g = 1; g < kBlocks; ++g) sum[0] += sum[g];
  return sum[0];
}

template <RecurrentCell kCell>
struct WholeRow {
  Layer layer;
  const float* weight;  // transposed

  // Shared memory: slopes [gates, units], carry and direct [units].
  BEAMLINE_DEVICE void operator()(Team<kRowLanes>& team) const {
    const int64_t row = team.index();
    const int64_t units = layer.units;
    const int64_t steps = layer.sequences.steps;
    float* slopes = team.template shared<float>();
    float* carry = slopes + kGates<kCell> * units;
    float* direct = carry + units;
    const int64_t length = layer.sequences.Length(row);
    team.For(units, [&](int64_t j) {
      carry[j] = direct[j] = 0.0f;
      for (int64_t p = length; p < steps; ++p) Clear<kCell>(layer, row * steps + p, j);
    });
    for (int64_t step = length; step-- > 0;) {
      team.For(units, [&](int64_t j) {
        float d[kGates<kCell>];
        GoBack<kCell>(layer, row, length, step, j, carry[j], direct + j, d);
        for (int g = 0; g < kGates<kCell>; ++g) slopes[g * units + j] = d[g];
      });
      team.For(units, [&](int64_t j) {
        const float sum = Multiply<kGates<kCell>>(slopes, weight, units, j);
        carry[j] = kIsGru<kCell> ? sum + direct[j] : sum;
      });
    }
    team.For(units, [&](int64_t j) {
      if (layer.dh0 != nullptr) layer.dh0[row * units + j] = carry[j];
      if (layer.dc0 != nullptr) layer.dc0[row * units + j] = direct[j];
    });
  }
};

// A step; -1: the gradients of the initial states.
template <RecurrentCell kCell>
struct OneStep {
  Layer layer;
  StepShape<1> shape;
  int64_t step;
  const float* weight;  // transposed
  float* directs;       // [rows, units]

  BEAMLINE_DEVICE void operator()(Team<kBlock>& team) const {
    const Sequences& sequences = layer.sequences;
    const int64_t units = layer.units;
    const int64_t first_row = shape.FirstRow(team.index());
    const bool moves = step + 1 < sequences.steps;
    if (moves) {
      StepProducts(
          team, shape, [&](int i) { return SlopesAfter(first_row + i); }, weight);
    }
    const float* shared = team.template shared<float>();
    team.For(kStepRows * kStepUnits, [&](int64_t i) {
      const int64_t row = first_row + i / kStepUnits;
      const int64_t j = shape.FirstUnit(team.index()) + i % kStepUnits;
      if (row >= sequences.rows || j >= units) return;
      const int64_t length = sequences.Length(row);
      if (step >= length && step >= 0) {
        return Clear<kCell>(layer, row * sequences.steps + step, j);
      }
      float carry = 0;
      float direct = 0;
      if (moves && step + 1 < length) {
        carry = shape.Product(shared, static_cast<int>(i) / kStepUnits, 0,
                              static_cast<int>(i) % kStepUnits);
        direct = directs[row * units + j];
        if (kIsGru<kCell>) carry += direct;
      }
      if (step < 0) {
        layer.dh0[row * units + j] = carry;
        if (layer.dc0 != nullptr) layer.dc0[row * units + j] = direct;
        return;
      }
      float d[kGates<kCell>];
      GoBack<kCell>(layer, row, length, step, j, carry, &direct, d);
      directs[row * units + j] = direct;
    });
  }

  // The gradients at a row's products in the step after.
  BEAMLINE_DEVICE StepRow SlopesAfter(int64_t row) const {
    const int64_t units = layer.units;
    const int64_t columns = kGates<kCell> * units;
    StepRow slopes{nullptr, nullptr, kIsGru<kCell> ? 2 * units : columns};
    if (row >= layer.sequences.rows) return slopes;
    const int64_t length = layer.sequences.Length(row);
    if (step + 1 >= length) return slopes;
    const int64_t position = layer.sequences.Position(row, length, step + 1);
    slopes.first = layer.dgates + position * columns;
    if (kIsGru<kCell>) slopes.second = layer.dproduct + position * units;
    return slopes;
  }
};

template <RecurrentCell kCell>
void Run(const KernelCall& call, const RunState& run) {
  const Layer layer(call, recurrent::GradientInputs(*call.attributes));
  const int64_t units = layer.units;
  const int64_t columns = kGates<kCell> * units;
  const float* weight = In(call, 2);
  float* transposed = SharedScratch(run);
  Cells(run, columns, units, [=] BEAMLINE_LAMBDA(int64_t k, int64_t j) {
    transposed[k * units + j] = weight[j * columns + k];
  });
  if (units < kStepwiseUnits) {
    const int64_t floats = (columns + 2 * units + 3) / 4 * 4;
    return Teams<kRowLanes>(run, layer.sequences.rows, floats * sizeof(float),
                            WholeRow<kCell>{layer, transposed});
  }
  const StepShape<1> shape(layer.sequences.rows, units, columns);
  const int64_t last = layer.dh0 != nullptr ? -1 : 0;
  for (int64_t step = layer.sequences.steps; step-- > last;) {
    Teams<kBlock>(run, shape.teams, shape.floats * sizeof(float),
                  OneStep<kCell>{layer, shape, step, transposed, transposed + columns * units});
  }
}

}  // namespace

// The transposed weight; of the rows what a step hands on directly.
Scratch RecurrentGradScratch(const KernelCall& call) {
  const int64_t units = call.inputs[0].columns;
  const int64_t floats = (call.outputs[0].columns + call.inputs[0].extents[0]) * units;
  return {floats * static_cast<int64_t>(sizeof(float)), 0};
}

void RecurrentGrad(const KernelCall& call, const RunState& run) {
  WithCell(call.attributes->cell, [&](auto tag) { Run<decltype(tag)::kCell>(call, run); });
}

namespace {

// The state before each position of each row, as an operand of Product: outer places are units, k
// positions. Zero beyond the length.
template <int kWidth>
struct StatesBefore {
  static constexpr bool kInnerFast = false;
  static constexpr int kVector = kWidth;
  static constexpr bool kNarrow = false;
  using Place = int;

  BEAMLINE_DEVICE Place At(int unit) const { return unit; }
  BEAMLINE_DEVICE void Load(int unit, int k, float* to) const {
    const int row = steps.Divide(k);
    const int64_t position = k - row * steps.divisor();
    const int64_t length = sequences.Length(row);
    const bool first = sequences.reverse ? position + 1 == length : position == 0;
    if (position >= length || (first && h0 == nullptr)) {
      for (int i = 0; i < kWidth; ++i) to[i] = 0.0f;
      return;
    }
    const int64_t before = sequences.reverse ? k + int64_t{1} : k - int64_t{1};
    LoadVector<kWidth>((first ? h0 + row * units : y + before * units) + unit, to);
  }

  Sequences sequences;
  Divider steps;
  int64_t units;
  const float* y;
  const float* h0;
};

// The gradient at each position's products, as the other operand: outer places are columns.
template <int kWidth>
struct Slopes {
  static constexpr bool kInnerFast = false;
  static constexpr int kVector = kWidth;
  // Of a column at position 0, and how far apart positions are.
  struct Place {
    const float* first;
    int64_t stride;
  };

  BEAMLINE_DEVICE Place At(int column) const {
    if (dproduct == nullptr || column < 2 * units) return {dgates + column, columns};
    return {dproduct + column - 2 * units, units};
  }
  BEAMLINE_DEVICE void Load(const Place& place, int k, float* to) const {
    LoadVector<kWidth>(place.first + k * place.stride, to);
  }

  int64_t units, columns;
  const float* dgates;
  const float* dproduct;  // GRU
};

template <int kWidth>
void WeightGrad(const KernelCall& call, const RunState& run) {
  const recurrent::Places in = recurrent::WeightGradientInputs(*call.attributes);
  const int64_t units = call.inputs[0].columns;
  const int64_t columns = call.outputs[0].columns;
  const Sequences sequences(call, call.inputs[0], in.lengths);
  const StatesBefore<kWidth> states{sequences, Divider(math::Max<int64_t>(sequences.steps, 1)),
                                    units, In(call, 0), in.h0 < 0 ? nullptr : In(call, in.h0)};
  const Slopes<kWidth> slopes{units, columns, In(call, 1),
                              in.kept < 0 ? nullptr : In(call, in.kept)};
  float* dweight = Out(call, 0);
  Product(run, units, columns, call.inputs[0].rows, states, slopes,
          [=] BEAMLINE_LAMBDA(int64_t k, int64_t j, float sum) { dweight[k * columns + j] = sum; });
}

}  // namespace

Scratch RecurrentWeightGradScratch(const KernelCall& call) {
  return ProductScratch(call.inputs[0].columns, call.outputs[0].columns, call.inputs[0].rows,
                        false);
}

// dU[k, j] = sum over positions of the state before, k, times the slope j.
void RecurrentWeightGrad(const KernelCall& call, const RunState& run) {
  if (call.inputs[0].columns % 4 == 0) {
    WeightGrad<4>(call, run);
  } else {
    WeightGrad<1>(call, run);
  }
}

}  // namespace beamline::engine::cuda
