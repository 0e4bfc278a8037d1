// Recurrent layers, backward: row by row, from the last step done to the first.
#include "engine/backend/recurrent.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {
namespace {

// Of one row at one step; null: there is none.
template <typename T>
struct BackStep {
  RecurrentCell cell;
  int64_t units;
  const T* y;
  const T* before;       // the state before the step
  const T* gates;        // after activation
  const T* kept;         // cell states, or the candidate's product
  const T* cell_before;  // LSTM; null: zeros
  const T* dh;           // what has reached the state
  T* dc;                 // LSTM: in what has reached the cell state, out for the step before
  T* direct;             // GRU: out for the state before
  T* dgates;             // of the gates' arguments
  T* dproduct;           // GRU
};

template <typename T>
void BackUnit(const BackStep<T>& s, int64_t j) {
  const int64_t n = s.units;
  if (s.cell == RecurrentCell::kLstm) {
    const auto d = recurrent::LstmCell::Backward(
        s.dh[j], s.dc[j], s.gates[j], s.gates[n + j], s.gates[2 * n + j], s.gates[3 * n + j],
        s.kept[j], s.cell_before != nullptr ? s.cell_before[j] : T(0));
    s.dgates[j] = d.i;
    s.dgates[n + j] = d.f;
    s.dgates[2 * n + j] = d.g;
    s.dgates[3 * n + j] = d.o;
    s.dc[j] = d.before;
  } else if (s.cell == RecurrentCell::kGru) {
    const auto d =
        recurrent::GruCell::Backward(s.dh[j], s.gates[j], s.gates[n + j], s.gates[2 * n + j],
                                     s.kept[j], s.before != nullptr ? s.before[j] : T(0));
    s.dgates[j] = d.r;
    s.dgates[n + j] = d.z;
    s.dgates[2 * n + j] = d.g;
    s.dproduct[j] = d.product;
    s.direct[j] = d.before;
  } else {
    s.dgates[j] = s.dh[j] * (s.cell == RecurrentCell::kRelu
                                 ? recurrent::ElmanSlope<RecurrentCell::kRelu>(s.y[j])
                                 : recurrent::ElmanSlope<RecurrentCell::kTanh>(s.y[j]));
  }
}

// What one step hands to the state before: dgates U^T, one chain over the columns in order, and
// what passes beside the products.
template <typename T>
void ToStateBefore(const BackStep<T>& s, const T* weight, T* carry) {
  const int64_t columns = recurrent::GatesOf(s.cell) * s.units;
  const bool gru = s.cell == RecurrentCell::kGru;
  for (int64_t j = 0; j < s.units; ++j) {
    T sum = 0;
    for (int64_t k = 0; k < columns; ++k) {
      const T d = gru && k >= 2 * s.units ? s.dproduct[k - 2 * s.units] : s.dgates[k];
      sum = math::Fma(d, weight[j * columns + k], sum);
    }
    carry[j] = gru ? sum + s.direct[j] : sum;
  }
}

}  // namespace

template <typename T>
void RecurrentGrad(const KernelCall& call, const RunState& run) {
  const Attributes& attributes = *call.attributes;
  const recurrent::Places in = recurrent::GradientInputs(attributes);
  const bool gru = attributes.cell == RecurrentCell::kGru;
  const int64_t rows = call.inputs[0].extents[0];
  const int64_t steps = call.inputs[0].extents[1];
  const int64_t units = call.inputs[0].columns;
  const int64_t columns = call.outputs[0].columns;
  T* scratch = reinterpret_cast<T*>(run.shared_scratch);
  T* dh = scratch;
  T* carry = scratch + units;
  T* dc = scratch + 2 * units;
  T* direct = scratch + 3 * units;
  const int after = gru ? 2 : 1;  // dh0, dc0
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t length = in.lengths < 0 ? steps : In<int32_t>(call, in.lengths)[r];
    for (int64_t j = 0; j < units; ++j) carry[j] = dc[j] = direct[j] = 0;
    for (int64_t p = length; p < steps; ++p) {
      for (int64_t j = 0; j < columns; ++j) Out<T>(call, 0)[(r * steps + p) * columns + j] = 0;
      for (int64_t j = 0; gru && j < units; ++j) Out<T>(call, 1)[(r * steps + p) * units + j] = 0;
    }
    for (int64_t step = length; step-- > 0;) {
      const int64_t at = r * steps + recurrent::Position(attributes.reverse, length, step);
      const int64_t prior = attributes.reverse ? at + 1 : at - 1;
      const auto state_before = [&](int here, int initial) -> const T* {
        if (here < 0) return nullptr;
        if (step > 0) return In<T>(call, here) + prior * units;
        return initial < 0 ? nullptr : In<T>(call, initial) + r * units;
      };
      for (int64_t j = 0; j < units; ++j) dh[j] = In<T>(call, 0)[at * units + j] + carry[j];
      const BackStep<T> s{attributes.cell,
                          units,
                          In<T>(call, 1) + at * units,
                          state_before(1, in.h0),
                          in.gates < 0 ? nullptr : In<T>(call, in.gates) + at * columns,
                          in.kept < 0 ? nullptr : In<T>(call, in.kept) + at * units,
                          state_before(in.kept, in.c0),
                          dh,
                          dc,
                          direct,
                          Out<T>(call, 0) + at * columns,
                          gru ? Out<T>(call, 1) + at * units : nullptr};
      for (int64_t j = 0; j < units; ++j) BackUnit(s, j);
      ToStateBefore(s, In<T>(call, 2), carry);
    }
    for (int64_t j = 0; in.h0 >= 0 && j < units; ++j) {
      Out<T>(call, after)[r * units + j] = carry[j];
      if (in.c0 >= 0) Out<T>(call, after + 1)[r * units + j] = dc[j];
    }
  }
}
BEAMLINE_INSTANTIATE(RecurrentGrad)

// Each element is one chain over the rows, and in a row over the initial state and then over the
// positions in order.
template <typename T>
void RecurrentWeightGrad(const KernelCall& call, const RunState&) {
  const Attributes& attributes = *call.attributes;
  const recurrent::Places in = recurrent::WeightGradientInputs(attributes);
  const int64_t rows = call.inputs[0].extents[0];
  const int64_t steps = call.inputs[0].extents[1];
  const int64_t units = call.inputs[0].columns;
  const int64_t columns = call.outputs[0].columns;
  for (int64_t k = 0; k < units; ++k) {
    for (int64_t j = 0; j < columns; ++j) {
      const bool product = in.kept >= 0 && j >= 2 * units;
      const auto gradient = [&](int64_t at) {
        return product ? In<T>(call, in.kept)[at * units + j - 2 * units]
                       : In<T>(call, 1)[at * columns + j];
      };
      T sum = 0;
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t length = in.lengths < 0 ? steps : In<int32_t>(call, in.lengths)[r];
        const int64_t begin = r * steps;
        if (in.h0 >= 0) {
          const int64_t first = begin + recurrent::Position(attributes.reverse, length, 0);
          sum = math::Fma(In<T>(call, in.h0)[r * units + k], gradient(first), sum);
        }
        for (int64_t p = 0; p + 1 < length; ++p) {
          const int64_t state = begin + (attributes.reverse ? p + 1 : p);
          const int64_t at = begin + (attributes.reverse ? p : p + 1);
          sum = math::Fma(In<T>(call, 0)[state * units + k], gradient(at), sum);
        }
      }
      Out<T>(call, 0)[k * columns + j] = sum;
    }
  }
}
BEAMLINE_INSTANTIATE(RecurrentWeightGrad)

}  // namespace beamline::engine::reference
