// Gradient of a convolution by its weight, without a matrix of patches: as in conv.cc, in a strip
// of padded rows the taps of a kernel row are contiguous, here as columns of the left operand.
//
// The batch is cut into blocks of images or of rows of outputs, and the blocks into shards. A shard
// adds up its blocks in order, one chain per element; the shards' sums are added in a tree. How
// many there are depends on the shapes alone.
#include "engine/backend/cpu/image.h"
#include "engine/backend/cpu/micro_kernel.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

constexpr int64_t kMaxShards = 32;
// All shards' sums together. Unit: floats.
constexpr int64_t kMaxSums = int64_t{1} << 22;
// Outputs of a block: enough that loading and storing sums does not matter, few enough that they
// stay in the second-level cache.
constexpr int64_t kBlockOutputs = 512;
constexpr int64_t kBlockElements = 65'536;  // of x, in a block

struct Problem {
  Window window;
  Image x, dy;
  int64_t seen;   // channels that a group sees
  int64_t units;  // outputs of a group
  int64_t block_images, block_rows;
  int64_t row_blocks;  // of an image; 1 if a block has several images
  int64_t blocks, shards;
  int64_t column_chunks;  // panels of units that are shared between threads; 1: none
  bool direct;            // x is read where it is
  int64_t columns;        // of a strip
  int64_t strip_rows;     // of one image of a block
  int64_t packed_columns;
  int64_t weight_rows;     // kernel * channels of a group
  int64_t group_elements;  // of the sums

  int64_t shard_elements() const { return window.groups * group_elements; }
  int64_t strip_elements() const { return strip_rows * columns * seen; }
};

int64_t Reach(const Window& window, int axis, int64_t outputs) {
  return (outputs - 1) * window.stride[axis] + (window.kernel[axis] - 1) * window.dilation[axis] +
         1;
}

Problem ProblemOf(const KernelCall& call) {
  Problem p;
  p.window = call.attributes->window;
  p.x = ImageOf(call.inputs[0]);
  p.dy = ImageOf(call.inputs[1]);
  const Window& w = p.window;
  p.seen = p.x.channels / w.groups;
  p.units = p.dy.channels / w.groups;
  p.columns = Reach(w, 1, p.dy.extent[1]);
  const int64_t row_elements = p.columns * p.seen * w.stride[0];
  const int64_t most_rows =
      Larger(1, Smaller(kBlockOutputs / p.dy.extent[1], kBlockElements / Larger(1, row_elements)));
  p.block_rows = Smaller(p.dy.extent[0], most_rows);
  p.row_blocks = DivideUp(p.dy.extent[0], p.block_rows);
  p.block_images = p.row_blocks > 1 ? 1 : Larger(1, most_rows / p.dy.extent[0]);
  p.block_images = Smaller(p.block_images, DivideUp(p.x.batch, kMaxShards));
  p.strip_rows = Reach(w, 0, p.block_rows);
  p.direct = w.groups == 1;
  for (int axis = 0; axis < 2; ++axis) {
    p.direct = p.direct && w.low[axis] <= 0 && w.base[axis] == 1 &&
               Reach(w, axis, p.dy.extent[axis]) - w.low[axis] <= p.x.extent[axis];
  }
  p.packed_columns = PackedColumns(p.units);
  p.weight_rows = w.kernel[0] * w.kernel[1] * p.seen;
  p.group_elements = p.weight_rows * p.packed_columns;
  p.blocks = DivideUp(p.x.batch, p.block_images) * p.row_blocks;
  // Not of packed_columns: those differ between instruction sets.
  const int64_t sums = w.groups * p.weight_rows * DivideUp(p.units, 16) * 16;
  p.shards = Smaller(kMaxShards, Larger(1, kMaxSums / sums));
  p.shards = Larger(1, Smaller(p.shards, p.blocks));
  p.column_chunks = p.shards < kMaxShards ? DivideUp(p.units, kPanel) : 1;
  return p;
}

// A block of outputs, and x where it looks.
struct Block {
  int64_t images, rows;
  const float* x;  // of the first output's first tap, the group's first channel
  int64_t image_elements, row_elements, channels;
  const float* dy;  // of the first output, the group's first unit
};

// sums[kernel row, kernel column, channel, units from `column`] (+)= the block's part.
void AddPanel(const Problem& p, const Block& block, int64_t column, float* sums, float* packed,
              bool accumulate) {
  const int64_t count = Smaller(kPanel, p.units - column);
  const int64_t width = PackedColumns(count);
  const Window& w = p.window;
  Sweep sweep;
  sweep.outer = block.images;
  sweep.inner = block.rows;
  sweep.length = p.dy.extent[1];
  sweep.a_outer = block.image_elements;
  sweep.a_inner = w.stride[0] * block.row_elements;
  sweep.b_outer = p.dy.elements();
  sweep.b_inner = p.dy.row_elements();
  const float* b = block.dy + column;
  int64_t ldb = p.dy.channels;
  if (width != count) {
    const int last = static_cast<int>(count - width + Vector::kWidth);
    float* to = packed;
    for (int64_t image = 0; image < block.images; ++image) {
      const float* from = b + image * sweep.b_outer;
      for (int64_t i = 0; i < block.rows * sweep.length; ++i, from += ldb, to += width) {
        if (width == kPanel) Store(to, Load(from));
        Store(to + width - Vector::kWidth, LoadFirst(from + width - Vector::kWidth, last));
      }
    }
    b = packed;
    ldb = width;
    sweep.b_inner = sweep.length * width;
    sweep.b_outer = block.rows * sweep.b_inner;
  }
  const SweepFn* kernels =
      VectorsOf(count) == 1 ? SweepTable<1, true>::kFn : SweepTable<2, true>::kFn;
  // Taps whose channels follow on each other.
  const int64_t joined = w.dilation[1] == 1 && block.channels == p.seen ? w.kernel[1] : 1;
  const int64_t lda = w.stride[1] * block.channels;
  const int64_t rows = joined * p.seen;
  for (int64_t k = 0; k < w.kernel[0]; ++k) {
    for (int64_t l = 0; l < w.kernel[1]; l += joined) {
      const float* a =
          block.x + k * w.dilation[0] * block.row_elements + l * w.dilation[1] * block.channels;
      float* c = sums + (k * w.kernel[1] + l) * p.seen * p.packed_columns + column;
      int64_t tiles = DivideUp(rows, kTileRows);
      for (int64_t r = 0; r < rows; --tiles) {
        const int64_t height = DivideUp(rows - r, tiles);
        kernels[height](sweep, a + r, lda, b, ldb, c + r * p.packed_columns, p.packed_columns,
                        accumulate);
        r += height;
      }
    }
  }
}

// The block, copied into strips unless x can be read where it is.
Block Prepare(const Problem& p, const KernelCall& call, int64_t index, int64_t group,
              float* strips) {
  const Window& w = p.window;
  const int64_t first_image = index / p.row_blocks * p.block_images;
  const int64_t first_row = index % p.row_blocks * p.block_rows;
  Block block;
  block.images = Smaller(p.block_images, p.x.batch - first_image);
  block.rows = Smaller(p.block_rows, p.dy.extent[0] - first_row);
  block.dy = In(call, 1) + first_image * p.dy.elements() + first_row * p.dy.row_elements() +
             group * p.units;
  const float* image = In(call, 0) + first_image * p.x.elements();
  const int64_t row = first_row * w.stride[0] - w.low[0];
  if (p.direct) {
    block.x = image + row * p.x.row_elements() - w.low[1] * p.x.channels;
    block.image_elements = p.x.elements();
    block.row_elements = p.x.row_elements();
    block.channels = p.x.channels;
    return block;
  }
  const Strip strip = {row,    Reach(w, 0, block.rows), -w.low[1], p.columns, group * p.seen,
                       p.seen, {w.base[0], w.base[1]}};
  block.x = strips;
  block.image_elements = p.strip_elements();
  block.row_elements = p.columns * p.seen;
  block.channels = p.seen;
  for (int64_t i = 0; i < block.images; ++i) {
    CopyStrip(p.x, image + i * p.x.elements(), strip, strips + i * p.strip_elements());
  }
  return block;
}

// Floats of a thread's copies of dy, if its columns do not fill vectors.
int64_t PackedDyElements(const Problem& p) {
  if (p.units == p.packed_columns) return 0;
  return p.block_images * p.block_rows * p.dy.extent[1] * kPanel;
}

// dW = sum of the shards' sums, added pairwise.
void AddShards(const Problem& p, const RunState& run, float* sums, float* dw) {
  const int64_t rows = p.window.groups * p.weight_rows;
  ForTiles(run, rows, rows * p.packed_columns * p.shards, [&](int64_t row) {
    float* first = sums + row * p.packed_columns;
    for (int64_t gap = 1; gap < p.shards; gap *= 2) {
      for (int64_t s = 0; s + gap < p.shards; s += 2 * gap) {
        float* __restrict to = first + s * p.shard_elements();
        const float* from = to + gap * p.shard_elements();
#pragma GCC ivdep
        for (int64_t j = 0; j < p.packed_columns; ++j) to[j] += from[j];
      }
    }
    const int64_t group = row / p.weight_rows;
    float* to = dw + row % p.weight_rows * p.dy.channels + group * p.units;
    for (int64_t j = 0; j < p.units; ++j) to[j] = first[j];
  });
}

}  // namespace

Scratch ConvWeightGradScratch(const KernelCall& call) {
  const Problem p = ProblemOf(call);
  Scratch scratch;
  scratch.shared_bytes = p.shards * p.shard_elements() * static_cast<int64_t>(sizeof(float));
  scratch.per_thread_bytes = PackedDyElements(p) * static_cast<int64_t>(sizeof(float));
  if (!p.direct) {
    scratch.per_thread_bytes +=
        p.block_images * p.strip_elements() * static_cast<int64_t>(sizeof(float));
  }
  return scratch;
}

void ConvWeightGrad(const KernelCall& call, const RunState& run) {
  const Problem p = ProblemOf(call);
  float* sums = SharedScratch(run);
  const int64_t operations = call.inputs[1].elements * p.weight_rows;
  const int64_t parts = p.window.groups * p.column_chunks;
  ForTilesInSlots(run, p.shards * parts, operations, [&](int64_t tile, int slot) {
    const int64_t shard = tile / parts;
    const int64_t group = tile % parts / p.column_chunks;
    const int64_t chunk = tile % p.column_chunks;
    float* packed = ThreadScratch(run, slot);
    float* strips = packed + PackedDyElements(p);
    float* to = sums + shard * p.shard_elements() + group * p.group_elements;
    const int64_t first = p.column_chunks == 1 ? 0 : chunk * kPanel;
    const int64_t last = p.column_chunks == 1 ? p.units : first + 1;
    const int64_t begin = p.blocks * shard / p.shards;
    const int64_t end = p.blocks * (shard + 1) / p.shards;
    for (int64_t index = begin; index < end; ++index) {
      const Block block = Prepare(p, call, index, group, strips);
      for (int64_t column = first; column < last; column += kPanel) {
        AddPanel(p, block, column, to, packed, index > begin);
      }
    }
  });
  AddShards(p, run, sums, Out(call, 0));
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
