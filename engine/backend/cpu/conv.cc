// Convolution and its gradient by x, without a matrix of patches.
//
// In a strip of zero-padded rows the taps of a kernel row are contiguous: taps * channels floats.
// So a tile of neighbouring output positions times the packed weight is a matrix product in which
// the rows of a overlap: they stand stride * channels apart. A tile's sums stay in registers over
// all rows of the kernel. An output element is one chain over (kernel row, kernel column, channel)
// in order, whatever the tile.
//
// With base dilation (the gradient of a stride, or a transposed convolution) output positions fall
// into phases by their remainder: all positions of a phase look at the same taps, and at elements,
// never at the zeros between them. Each phase is a convolution of its own with some of the taps.
#include "engine/backend/cpu/conv_phases.h"
#include "engine/backend/cpu/image.h"
#include "engine/backend/cpu/micro_kernel.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

// A strip of rows should stay in the second-level cache beside the weight. Unit: floats.
constexpr int64_t kStripElements = 32'768;
// Fewer tiles than this do not occupy all threads.
constexpr int64_t kFewTiles = 32;

struct Problem {
  Window window;
  Image x, y;
  int64_t seen;   // channels that a group sees
  int64_t units;  // outputs of a group
  Axis axis[2];
  int64_t most_rows;  // of one phase
  int64_t chunk;      // rows of each phase that a tile of work has
  int64_t chunks;
  int64_t strip_rows;
  bool direct;  // no strips are needed: x is read where it is
  int64_t packed_columns;
  int64_t group_elements;  // packed weight of a group
  // Of a call.
  const float* weight;
  int64_t weight_rows, weight_columns;  // of one tap
  const float* bias;
  const float* residual;
  const float* saved;
  Activation activation;
  float alpha;

  int64_t columns() const { return axis[1].high - axis[1].low + 1; }
};

Problem ProblemOf(const KernelCall& call) {
  Problem p;
  const Attributes& attributes = *call.attributes;
  p.window = attributes.window;
  p.x = ImageOf(call.inputs[0]);
  p.y = ImageOf(call.outputs[0]);
  const Window& w = p.window;
  bool single = w.groups == 1;
  for (int axis = 0; axis < 2; ++axis) {
    single = single && w.kernel[axis] == 1 && w.stride[axis] == 1 && w.base[axis] == 1 &&
             w.low[axis] == 0 && w.high[axis] == 0;
  }
  if (single) {
    // All positions of an image are one row.
    p.x.extent[1] *= p.x.extent[0];
    p.x.extent[0] = 1;
    p.y.extent[1] = p.x.extent[1];
    p.y.extent[0] = 1;
  }
  p.seen = p.x.channels / w.groups;
  p.units = p.y.channels / w.groups;
  for (int axis = 0; axis < 2; ++axis) p.axis[axis] = AxisOf(w, axis, p.y.extent[axis]);
  const Axis& rows = p.axis[0];
  p.most_rows = DivideUp(p.y.extent[0], rows.period);
  const int64_t row_elements = Larger(1, p.columns() * p.seen);
  p.chunk = Smaller(p.most_rows, (kStripElements / row_elements - rows.reach) / rows.step);
  p.chunk = Smaller(p.chunk, DivideUp(p.most_rows * p.x.batch * w.groups, kFewTiles));
  p.chunk = Larger(p.chunk, 1);
  p.chunks = DivideUp(p.most_rows, p.chunk);
  p.strip_rows = rows.reach + (p.chunk - 1) * rows.step;
  p.direct = w.groups == 1;
  for (int axis = 0; axis < 2; ++axis) {
    p.direct = p.direct && p.axis[axis].low >= 0 && p.axis[axis].high < p.x.extent[axis];
  }
  p.packed_columns = PackedColumns(p.units);
  p.group_elements = w.kernel[0] * w.kernel[1] * p.seen * p.packed_columns;
  p.weight = In(call, 1);
  p.weight_rows = call.inputs[1].extents[2];
  p.weight_columns = call.inputs[1].extents[3];
  p.bias = attributes.has_bias ? In(call, 2) : nullptr;
  p.residual = attributes.has_residual ? In(call, attributes.has_bias ? 3 : 2) : nullptr;
  p.saved = attributes.activation_grad ? In(call, call.inputs_count - 1) : nullptr;
  p.activation = attributes.activation;
  p.alpha = static_cast<float>(attributes.alpha);
  return p;
}

// body(phase of rows, phase of columns, first float of its packed weight).
template <typename Body>
inline __attribute__((always_inline)) void ForPhases(const Problem& p, const Body& body) {
  int64_t first = 0;
  for (int64_t r = 0; r < p.axis[0].period; ++r) {
    const Phase rows = PhaseOf(p.window, 0, p.axis[0].period, p.y.extent[0], r);
    for (int64_t c = 0; c < p.axis[1].period; ++c) {
      const Phase columns = PhaseOf(p.window, 1, p.axis[1].period, p.y.extent[1], c);
      body(rows, columns, first);
      first += rows.taps * columns.taps * p.seen * p.packed_columns;
    }
  }
}

// The weight of one tap of one group as [seen, width] columns from `column`, zero beyond `units`.
void PackTap(const Problem& p, int64_t tap, int64_t group, int64_t column, int64_t width,
             float* packed) {
  const int64_t columns = Smaller(width, p.units - column);
  const float* from = p.weight + tap * p.weight_rows * p.weight_columns;
  if (!p.window.flip) {
    from += group * p.units + column;
    for (int64_t c = 0; c < p.seen; ++c, from += p.weight_columns, packed += width) {
      for (int64_t j = 0; j < columns; ++j) packed[j] = from[j];
      for (int64_t j = columns; j < width; ++j) packed[j] = 0;
    }
    return;
  }
  from += column * p.weight_columns + group * p.seen;
  int64_t j = 0;
  for (; j + 8 <= columns; j += 8) {
    const float* block = from + j * p.weight_columns;
    int64_t c = 0;
    for (; c + 8 <= p.seen; c += 8) {
      Transpose8x8(block + c, p.weight_columns, packed + c * width + j, width);
    }
    for (; c < p.seen; ++c) {
      for (int64_t i = 0; i < 8; ++i) packed[c * width + j + i] = block[i * p.weight_columns + c];
    }
  }
  for (; j < width; ++j) {
    for (int64_t c = 0; c < p.seen; ++c) {
      packed[c * width + j] = j < columns ? from[j * p.weight_columns + c] : 0.0f;
    }
  }
}

// The weight of a group and panel: by phase, [taps, seen, width].
void PackPanel(const Problem& p, int64_t group, int64_t column, float* packed) {
  const int64_t width = Smaller(kPanel, p.packed_columns - column);
  ForPhases(p, [&](const Phase& rows, const Phase& columns, int64_t first) {
    float* to = packed + first + rows.taps * columns.taps * p.seen * column;
    for (int64_t r = 0; r < rows.taps; ++r) {
      int64_t k = rows.first_tap + r * rows.tap_step;
      if (p.window.flip) k = p.window.kernel[0] - 1 - k;
      for (int64_t c = 0; c < columns.taps; ++c, to += p.seen * width) {
        int64_t l = columns.first_tap + c * columns.tap_step;
        if (p.window.flip) l = p.window.kernel[1] - 1 - l;
        PackTap(p, k * p.window.kernel[1] + l, group, column, width, to);
      }
    }
  });
}

// Rows of x as a tile of work reads them.
struct Rows {
  const float* data;  // of element [first_row, first_column]
  int64_t first_row, first_column;
  int64_t row_elements, channels;
};

// Places in y and in what is as large as y: of the same element, or null.
struct Output {
  float* y;
  const float* residual;
  const float* saved;

  Output At(int64_t offset) const {
    return {y + offset, residual == nullptr ? nullptr : residual + offset,
            saved == nullptr ? nullptr : saved + offset};
  }
};

// The rows of outputs of a phase, for one panel of units.
struct Line {
  Sweep sweep;
  int64_t lda;  // between outputs
  const float* b;
  int64_t count;      // outputs of a row
  int64_t ldy;        // between outputs
  int64_t columns;    // units
  const float* bias;  // padded to whole vectors; null: none
  Epilogue epilogue;  // with the bias, unless that is added with a residual
  // A row is made in `tiles` tiles: the first `larger` of them of `tile` outputs, the others of one
  // less.
  int64_t tiles, tile, larger;
};

// y += bias, if there is one, and the residual: what comes before Finish.
void AddResidual(int64_t rows, int64_t width, float* y, int64_t ldy, const float* residual,
                 int64_t ldr, const float* bias) {
  if (residual == nullptr) return;
  for (int64_t r = 0; r < rows; ++r, y += ldy, residual += ldr) {
    for (int64_t j = 0; j < width; j += Vector::kWidth) {
      const Vector sum = bias == nullptr ? Load(y + j) : Plus(Load(y + j), Load(bias + j));
      Store(y + j, Plus(sum, Load(residual + j)));
    }
  }
}

// to[rows, width] = from[rows, columns], whose rows stand ldf apart, with zeros behind; the last
// vector has `last` columns. Null for null.
const float* Gather(const float* from, int64_t ldf, int64_t rows, int64_t width, int last,
                    float* to) {
  if (from == nullptr) return nullptr;
  const int64_t full = width - Vector::kWidth;
  for (int64_t r = 0; r < rows; ++r) {
    if (full > 0) Store(to + r * width, Load(from + r * ldf));
    Store(to + r * width + full, LoadFirst(from + r * ldf + full, last));
  }
  return to;
}

// Outputs whose units do not fill vectors are made beside y.
void RunPartialTile(const Line& line, SweepFn kernel, int64_t rows, const float* a,
                    const Output& output) {
  alignas(64) float edge[kTileRows * kPanel];
  alignas(64) float residual[kTileRows * kPanel];
  alignas(64) float saved[kTileRows * kPanel];
  const int64_t width = PackedColumns(line.columns);
  const int64_t full = width - Vector::kWidth;
  const int last = static_cast<int>(line.columns - full);
  kernel(line.sweep, a, line.lda, line.b, width, edge, width, false);
  AddResidual(rows, width, edge, width,
              Gather(output.residual, line.ldy, rows, width, last, residual), width, line.bias);
  Finish(line.epilogue, rows, width, edge, width,
         Gather(output.saved, line.ldy, rows, width, last, saved), width);
  for (int64_t r = 0; r < rows; ++r) {
    float* to = output.y + r * line.ldy;
    if (full > 0) Store(to, Load(edge + r * width));
    StoreFirst(to + full, Load(edge + r * width + full), last);
  }
}

// One row; a and `output` are of its first output.
void RunLine(const Line& line, const float* a, Output output) {
  const int64_t width = PackedColumns(line.columns);
  const SweepFn* kernels =
      VectorsOf(line.columns) == 1 ? SweepTable<1, false>::kFn : SweepTable<2, false>::kFn;
  for (int64_t i = 0; i < line.tiles; ++i) {
    const int64_t rows = i < line.larger ? line.tile : line.tile - 1;
    if (width == line.columns) {
      kernels[rows](line.sweep, a, line.lda, line.b, width, output.y, line.ldy, false);
      AddResidual(rows, width, output.y, line.ldy, output.residual, line.ldy, line.bias);
      Finish(line.epilogue, rows, width, output.y, line.ldy, output.saved, line.ldy);
    } else {
      RunPartialTile(line, kernels[rows], rows, a, output);
    }
    a += rows * line.lda;
    output = output.At(rows * line.ldy);
  }
}

// Rows [begin, end) of a phase, all panels of a group.
void RunPhase(const Problem& p, const Rows& x, const Phase& rows, const Phase& columns,
              int64_t begin, int64_t end, int64_t group, const float* packed, const Output& image) {
  const int64_t taps = rows.taps * columns.taps;
  Line line;
  line.sweep.outer = taps == 0 ? 0 : rows.taps;
  const bool contiguous = columns.offset_step == 1 && x.channels == p.seen;
  line.sweep.inner = contiguous ? 1 : columns.taps;
  line.sweep.length = contiguous ? columns.taps * p.seen : p.seen;
  line.sweep.a_outer = rows.offset_step * x.row_elements;
  line.sweep.a_inner = columns.offset_step * x.channels;
  line.lda = p.axis[1].step * x.channels;
  line.ldy = p.axis[1].period * p.y.channels;
  line.count = columns.count;
  line.tiles = DivideUp(line.count, kTileRows);
  line.tile = line.tiles == 0 ? 0 : DivideUp(line.count, line.tiles);
  line.larger = line.count - line.tiles * (line.tile - 1);
  line.bias = nullptr;
  line.epilogue.activation = p.activation;
  line.epilogue.alpha = p.alpha;
  alignas(64) float bias[kPanel];
  for (int64_t column = 0; column < p.units; column += kPanel) {
    line.columns = Smaller(kPanel, p.units - column);
    const int64_t width = PackedColumns(line.columns);
    line.sweep.b_outer = columns.taps * p.seen * width;
    line.sweep.b_inner = p.seen * width;
    line.b = packed + taps * p.seen * column;
    const int64_t unit = group * p.units + column;
    if (p.bias != nullptr) {
      for (int64_t j = 0; j < width; ++j) bias[j] = j < line.columns ? p.bias[unit + j] : 0.0f;
      line.bias = bias;
      line.epilogue.bias = p.residual == nullptr ? bias : nullptr;
    }
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = rows.offset + i * p.axis[0].step - x.first_row;
      const float* a = taps == 0 ? x.data
                                 : x.data + row * x.row_elements +
                                       (columns.offset - x.first_column) * x.channels;
      const int64_t offset = (rows.first + i * p.axis[0].period) * p.y.row_elements() +
                             columns.first * p.y.channels + unit;
      RunLine(line, a, image.At(offset));
    }
  }
}

}  // namespace

Scratch ConvScratch(const KernelCall& call) {
  const Problem p = ProblemOf(call);
  Scratch scratch;
  scratch.shared_bytes = p.window.groups * p.group_elements * static_cast<int64_t>(sizeof(float));
  if (!p.direct) {
    scratch.per_thread_bytes =
        p.strip_rows * p.columns() * p.seen * static_cast<int64_t>(sizeof(float));
  }
  return scratch;
}

void Conv(const KernelCall& call, const RunState& run) {
  const Problem p = ProblemOf(call);
  float* packed = SharedScratch(run);
  const int64_t panels = DivideUp(p.units, kPanel);
  ForTiles(run, p.window.groups * panels, p.window.groups * p.group_elements * 2,
           [&](int64_t tile) {
             const int64_t group = tile / panels;
             PackPanel(p, group, tile % panels * kPanel, packed + group * p.group_elements);
           });
  const int64_t operations =
      call.outputs[0].elements * p.window.kernel[0] * p.window.kernel[1] * p.seen;
  const int64_t tiles = p.x.batch * p.chunks * p.window.groups;
  ForTilesInSlots(run, tiles, operations, [&](int64_t tile, int slot) {
    const int64_t group = tile % p.window.groups;
    const int64_t chunk = tile / p.window.groups % p.chunks;
    const int64_t b = tile / p.window.groups / p.chunks;
    const int64_t begin = chunk * p.chunk;
    const float* image = In(call, 0) + b * p.x.elements();
    Rows rows = {image, 0, 0, p.x.row_elements(), p.x.channels};
    if (!p.direct && p.columns() > 0) {
      const Strip strip = {
          p.axis[0].low + begin * p.axis[0].step,
          Smaller(p.strip_rows, p.axis[0].high + 1 - p.axis[0].low - begin * p.axis[0].step),
          p.axis[1].low,
          p.columns(),
          group * p.seen,
          p.seen,
          {1, 1}};
      float* copy = ThreadScratch(run, slot);
      CopyStrip(p.x, image, strip, copy);
      rows = {copy, strip.first_row, strip.first_column, strip.columns * p.seen, p.seen};
    }
    const Output output = Output{Out(call, 0), p.residual, p.saved}.At(b * p.y.elements());
    ForPhases(p, [&](const Phase& row_phase, const Phase& column_phase, int64_t first) {
      RunPhase(p, rows, row_phase, column_phase, begin, Smaller(begin + p.chunk, row_phase.count),
               group, packed + group * p.group_elements + first, output);
    });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
