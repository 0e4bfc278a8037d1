// One step of a recurrent layer for many rows at once: products of the rows' states with a large
// weight, which is too much for one multiprocessor to read at each step. And where rows are.
#pragma once

#include "engine/backend/cuda/four.h"
#include "engine/backend/recurrent.h"

namespace beamline::engine::cuda {

// From so many units on a step is a launch of its own, its weight shared among all
// multiprocessors; below, a row is a team of kRowLanes that does all steps.
inline constexpr int64_t kStepwiseUnits = 128;
inline constexpr int kRowLanes = 128;

template <RecurrentCell kCell>
inline constexpr int kGates = static_cast<int>(recurrent::GatesOf(kCell));

// Calls body(CellTag<cell>()) on the host; recurrent::ForCell is for code of the device too.
template <typename Body>
void WithCell(RecurrentCell cell, const Body& body) {
  switch (cell) {
    case RecurrentCell::kTanh:
      return body(recurrent::CellTag<RecurrentCell::kTanh>());
    case RecurrentCell::kRelu:
      return body(recurrent::CellTag<RecurrentCell::kRelu>());
    case RecurrentCell::kLstm:
      return body(recurrent::CellTag<RecurrentCell::kLstm>());
    case RecurrentCell::kGru:
      return body(recurrent::CellTag<RecurrentCell::kGru>());
  }
}

// The rows of a batch and their steps.
struct Sequences {
  Sequences(const KernelCall& call, const Operand& y, int lengths_place)
      : reverse(call.attributes->reverse),
        rows(y.extents[0]),
        steps(y.extents[1]),
        lengths(lengths_place < 0 ? nullptr : In<int32_t>(call, lengths_place)) {}

  BEAMLINE_DEVICE int64_t Length(int64_t row) const {
    return lengths == nullptr ? steps : lengths[row];
  }
  // Of the step that is done as number `step` < length.
  BEAMLINE_DEVICE int64_t Position(int64_t row, int64_t length, int64_t step) const {
    return row * steps + recurrent::Position(reverse, length, step);
  }

  bool reverse;
  int64_t rows, steps;
  const int32_t* lengths;
};

// A team of kBlock threads makes the products of kStepRows rows with the columns of kStepUnits
// units, one for each of kBlocks gates: sums over `inner` elements of a row.
inline constexpr int kStepRows = 16;
inline constexpr int kStepUnits = 8;

template <int kBlocks>
struct StepShape {
  static constexpr int kColumns = kBlocks * kStepUnits;
  static constexpr int kQuads = kColumns / 4;
  // Parts of a sum, each made by threads of its own: two rows by four columns by each.
  static constexpr int kSlices = kBlock / (kStepRows / 2 * kQuads);
  static constexpr int kWeights = 8192;  // floats in shared memory at a time, at most

  StepShape(int64_t all_rows, int64_t all_units, int64_t inner_extent)
      : units(all_units),
        inner(inner_extent),
        unit_tiles((all_units + kStepUnits - 1) / kStepUnits),
        teams((all_rows + kStepRows - 1) / kStepRows * unit_tiles),
        chunk(math::Min(kWeights / kColumns / 4 * 4, static_cast<int>(inner + 3) / 4 * 4)),
        per_slice(((chunk + kSlices - 1) / kSlices + 3) / 4 * 4),
        stride(PaddedStride(chunk)),
        weight(kStepRows * stride),
        partial(weight + chunk * kColumns),
        floats(partial + kSlices * kStepRows * kColumns) {}

  BEAMLINE_DEVICE int64_t FirstRow(int64_t team) const { return team / unit_tiles * kStepRows; }
  BEAMLINE_DEVICE int64_t FirstUnit(int64_t team) const { return team % unit_tiles * kStepUnits; }
  // The product of a row and a gate of a unit of the tile.
  BEAMLINE_DEVICE float Product(const float* shared, int row, int gate, int unit) const {
    const float* first = shared + partial + row * kColumns + gate * kStepUnits + unit;
    float sum = first[0];
    for (int slice = 1; slice < kSlices; ++slice) sum += first[slice * kStepRows * kColumns];
    return sum;
  }

  int64_t units, inner, unit_tiles, teams;
  int chunk;      // of `inner`, in shared memory at a time: a multiple of four
  int per_slice;  // of a chunk, idem
  int stride;     // from row to row in shared memory
  int weight;     // place of the weight there: [chunk, kColumns]
  int partial;    // of the sums: [kSlices, kStepRows, kColumns]
  int floats;
};

// Elements of a row: `first` up to `split`, then `second`; null: zeros.
struct StepRow {
  const float* first;
  const float* second;
  int64_t split;

  BEAMLINE_DEVICE const float* At(int64_t k) const {
    return k < split ? first + k : second + (k - split);
  }
};

// Elements k to k + 3 of a row.
template <int kBlocks>
BEAMLINE_DEVICE Four StepRowQuad(const StepShape<kBlocks>& shape, const StepRow& row, int64_t k) {
  Four values = {};
  if (row.first == nullptr || k >= shape.inner) return values;
  if (shape.units % 4 == 0) return FourAt(row.At(k));
  for (int e = 0; e < 4; ++e) values.v[e] = k + e < shape.inner ? *row.At(k + e) : 0.0f;
  return values;
}

// Columns 4 * quad to 4 * quad + 3 of a tile, in row k of a weight [inner, kBlocks, units].
template <int kBlocks>
BEAMLINE_DEVICE Four StepWeightQuad(const StepShape<kBlocks>& shape, const float* weight,
                                    int64_t first_unit, int64_t k, int quad) {
  Four values = {};
  const int64_t unit = first_unit + quad % (kStepUnits / 4) * 4;
  if (k >= shape.inner || unit >= shape.units) return values;
  const float* at = weight + (k * kBlocks + quad / (kStepUnits / 4)) * shape.units + unit;
  if (shape.units % 4 == 0) return FourAt(at);
  for (int e = 0; e < 4; ++e) values.v[e] = unit + e < shape.units ? at[e] : 0.0f;
  return values;
}

// A chunk of the rows, of which this thread's is `row`, and of the weight.
template <int kBlocks>
BEAMLINE_DEVICE void StepLoad(const StepShape<kBlocks>& shape, int lane, const StepRow& row,
                              const float* weight, int64_t first_unit, int64_t begin,
                              float* shared) {
  constexpr int kQuads = StepShape<kBlocks>::kQuads;
  constexpr int kPerRow = kBlock / kStepRows;  // threads
  constexpr int kRowLoads = kBlocks == 1 ? 8 : 4;
  constexpr int kWeightLoads = 8;
  float* row_to = shared + lane / kPerRow * shape.stride;
  float* weight_to = shared + shape.weight;
  const int row_quads = shape.chunk / 4;
  const int weight_quads = shape.chunk * kQuads;
  int row_from = lane % kPerRow;
  int weight_from = lane;
  while (row_from < row_quads || weight_from < weight_quads) {
    Four rows[kRowLoads];  // so that all are under way at once
    Four weights[kWeightLoads];
    for (int n = 0; n < kRowLoads; ++n) {
      const int at = row_from + n * kPerRow;
      rows[n] = at < row_quads ? StepRowQuad(shape, row, begin + at * 4) : Four{};
    }
    for (int n = 0; n < kWeightLoads; ++n) {
      const int at = weight_from + n * kBlock;
      weights[n] = at < weight_quads
                       ? StepWeightQuad(shape, weight, first_unit, begin + at / kQuads, at % kQuads)
                       : Four{};
    }
    for (int n = 0; n < kRowLoads; ++n) {
      const int at = row_from + n * kPerRow;
      if (at < row_quads) FourAt(row_to + at * 4) = rows[n];
    }
    for (int n = 0; n < kWeightLoads; ++n) {
      const int at = weight_from + n * kBlock;
      if (at < weight_quads) FourAt(weight_to + at * 4) = weights[n];
    }
    row_from += kRowLoads * kPerRow;
    weight_from += kWeightLoads * kBlock;
  }
}

// Two rows by four columns of a slice.
template <int kBlocks>
BEAMLINE_DEVICE void StepMultiply(const StepShape<kBlocks>& shape, int lane, bool first,
                                  float* shared) {
  constexpr int kQuads = StepShape<kBlocks>::kQuads;
  constexpr int kColumns = StepShape<kBlocks>::kColumns;
  constexpr int kHalf = kStepRows / 2;
  const int slice = lane / (kHalf * kQuads);
  if (slice >= StepShape<kBlocks>::kSlices) return;
  const int row = lane / kQuads % kHalf;
  const int quad = lane % kQuads;
  const float* a = shared + row * shape.stride;
  const float* w = shared + shape.weight + quad * 4;
  float* to = shared + shape.partial + (slice * kStepRows + row) * kColumns + quad * 4;
  Four sum[2] = {};
  for (int r = 0; r < 2 && !first; ++r) sum[r] = FourAt(to + r * kHalf * kColumns);
  const int end = math::Min((slice + 1) * shape.per_slice, shape.chunk);
  for (int k = slice * shape.per_slice; k < end; k += 4) {
    const Four left[2] = {FourAt(a + k), FourAt(a + kHalf * shape.stride + k)};
    for (int n = 0; n < 4; ++n) {
      const Four right = FourAt(w + (k + n) * kColumns);
      for (int r = 0; r < 2; ++r) {
        for (int e = 0; e < 4; ++e) {
          sum[r].v[e] = math::Fma(left[r].v[n], right.v[e], sum[r].v[e]);
        }
      }
    }
  }
  for (int r = 0; r < 2; ++r) FourAt(to + r * kHalf * kColumns) = sum[r];
}

// Makes what StepShape::Product gives. row_of(i): row i of the tile. weight: [inner, kBlocks,
// units].
template <int kBlocks, typename RowOf>
BEAMLINE_DEVICE void StepProducts(Team<kBlock>& team, const StepShape<kBlocks>& shape,
                                  const RowOf& row_of, const float* weight) {
  float* shared = team.template shared<float>();
  const int64_t first_unit = shape.FirstUnit(team.index());
  for (int64_t begin = 0; begin < shape.inner; begin += shape.chunk) {
    team.For(kBlock, [&](int64_t i) {
      const int lane = static_cast<int>(i);
      StepLoad(shape, lane, row_of(lane / (kBlock / kStepRows)), weight, first_unit, begin, shared);
    });
    team.For(kBlock,
             [&](int64_t i) { StepMultiply(shape, static_cast<int>(i), begin == 0, shared); });
  }
}

}  // namespace beamline::engine::cuda
