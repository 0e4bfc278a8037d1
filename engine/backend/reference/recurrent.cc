// Recurrent layers, forward: row by row, step by step, unit by unit.
#include "engine/backend/recurrent.h"

#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {
namespace {

// (h U)[column], one chain over the units in order, from zero; h null: zeros.
template <typename T>
T Product(const T* h, const T* weight, int64_t units, int64_t columns, int64_t column) {
  T sum = 0;
  for (int64_t k = 0; k < units && h != nullptr; ++k) {
    sum = math::Fma(h[k], weight[k * columns + column], sum);
  }
  return sum;
}

// One row at one step. Null: the value is not kept, there is no state before.
template <typename T>
struct Step {
  RecurrentCell cell;
  int64_t units;
  const T* x;  // the projected input
  const T* weight;
  const T* bias;
  const T* before;
  T* y;
  T* cell_state;  // in: before the step, out: after it
  T* gates;
  T* kept;
};

template <typename T>
void LstmStep(const Step<T>& s, int64_t j) {
  T a[4];
  for (int64_t g = 0; g < 4; ++g) {
    const int64_t column = g * s.units + j;
    const T x = s.x[column] + Product(s.before, s.weight, s.units, 4 * s.units, column);
    a[g] = g == 2 ? math::Tanh(x) : math::Sigmoid(x);
    if (s.gates != nullptr) s.gates[column] = a[g];
  }
  s.cell_state[j] = recurrent::LstmCell::Cell(a[0], a[1], a[2], s.cell_state[j]);
  if (s.kept != nullptr) s.kept[j] = s.cell_state[j];
  s.y[j] = recurrent::LstmCell::State(a[3], s.cell_state[j]);
}

template <typename T>
void GruStep(const Step<T>& s, int64_t j) {
  T product[3];
  for (int64_t g = 0; g < 3; ++g) {
    product[g] = Product(s.before, s.weight, s.units, 3 * s.units, g * s.units + j);
  }
  const T r = math::Sigmoid(s.x[j] + product[0]);
  const T z = math::Sigmoid(s.x[s.units + j] + product[1]);
  const T q = product[2] + s.bias[j];
  const T g = recurrent::GruCell::Candidate(r, q, s.x[2 * s.units + j]);
  s.y[j] = recurrent::GruCell::State(z, g, s.before != nullptr ? s.before[j] : T(0));
  if (s.gates == nullptr) return;
  s.gates[j] = r;
  s.gates[s.units + j] = z;
  s.gates[2 * s.units + j] = g;
  s.kept[j] = q;
}

template <typename T>
void Unit(const Step<T>& s, int64_t j) {
  if (s.cell == RecurrentCell::kLstm) return LstmStep(s, j);
  if (s.cell == RecurrentCell::kGru) return GruStep(s, j);
  const T x = s.x[j] + Product(s.before, s.weight, s.units, s.units, j);
  s.y[j] = s.cell == RecurrentCell::kRelu ? recurrent::ElmanState<RecurrentCell::kRelu>(x)
                                          : recurrent::ElmanState<RecurrentCell::kTanh>(x);
}

}  // namespace

template <typename T>
void Recurrent(const KernelCall& call, const RunState& run) {
  const Attributes& attributes = *call.attributes;
  const recurrent::Places in = recurrent::ForwardInputs(attributes);
  const int64_t rows = call.outputs[0].extents[0];
  const int64_t steps = call.outputs[0].extents[1];
  const int64_t units = call.outputs[0].columns;
  const int64_t columns = call.inputs[0].columns;
  const bool keeps = call.outputs_count > 1;
  T* cell_state = reinterpret_cast<T*>(run.shared_scratch);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t length = in.lengths < 0 ? steps : In<int32_t>(call, in.lengths)[r];
    const T* before = in.h0 < 0 ? nullptr : In<T>(call, in.h0) + r * units;
    for (int64_t j = 0; j < units; ++j) {
      cell_state[j] = in.c0 < 0 ? T(0) : In<T>(call, in.c0)[r * units + j];
    }
    for (int64_t step = 0; step < steps; ++step) {
      const bool inside = step < length;
      const int64_t position =
          r * steps + (inside ? recurrent::Position(attributes.reverse, length, step) : step);
      T* y = Out<T>(call, 0) + position * units;
      T* gates = keeps ? Out<T>(call, 1) + position * columns : nullptr;
      T* kept = keeps ? Out<T>(call, 2) + position * units : nullptr;
      if (!inside) {
        for (int64_t j = 0; j < units; ++j) y[j] = 0;
        for (int64_t j = 0; keeps && j < columns; ++j) gates[j] = 0;
        for (int64_t j = 0; keeps && j < units; ++j) kept[j] = 0;
        continue;
      }
      const Step<T> s{attributes.cell,
                      units,
                      In<T>(call, 0) + position * columns,
                      In<T>(call, 1),
                      in.bias < 0 ? nullptr : In<T>(call, in.bias),
                      before,
                      y,
                      cell_state,
                      gates,
                      kept};
      for (int64_t j = 0; j < units; ++j) Unit(s, j);
      before = y;
    }
  }
}
BEAMLINE_INSTANTIATE(Recurrent)

}  // namespace beamline::engine::reference
