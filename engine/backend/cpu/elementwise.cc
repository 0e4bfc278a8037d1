// Ops that treat each element, or each row, by itself.
#include "engine/backend/cpu/columns.h"
#include "engine/backend/functors.h"
#include "engine/core/philox.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

void BiasAdd(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  const float* bias = In(call, 1);
  ForTiles(run, call.outputs[0].rows, call.outputs[0].elements, [&](int64_t row) {
    const float* x = In(call, 0) + row * columns;
    Fill(Out(call, 0) + row * columns, 0, columns, [&](int64_t j) { return x[j] + bias[j]; });
  });
}

static void Softmax(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  ForTiles(run, call.outputs[0].rows, call.outputs[0].elements * 8, [&](int64_t row) {
    const float* x = In(call, 0) + row * columns;
    float* y = Out(call, 0) + row * columns;
    float largest = x[0];
    for (int64_t j = 1; j < columns; ++j) largest = math::Max(largest, x[j]);
    Fill(y, 0, columns, [&](int64_t j) { return math::Exp(x[j] - largest); });
    const float sum = LaneSum(columns, [&](int64_t j) { return y[j]; });
    for (int64_t j = 0; j < columns; ++j) y[j] /= sum;
  });
}

void Activate(const KernelCall& call, const RunState& run) {
  if (call.attributes->activation == Activation::kSoftmax) return Softmax(call, run);
  const float alpha = static_cast<float>(call.attributes->alpha);
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  functors::ForActivation(call.attributes->activation, [&](auto tag) {
    ForRange(run, call.outputs[0].elements, 8, [&](int64_t begin, int64_t end) {
      Fill(y, begin, end,
           [&](int64_t i) { return functors::Activate<decltype(tag)::kActivation>(x[i], alpha); });
    });
  });
}

void ActivationGrad(const KernelCall& call, const RunState& run) {
  const float alpha = static_cast<float>(call.attributes->alpha);
  const float* dy = In(call, 0);
  const float* saved = In(call, 1);
  float* dx = Out(call, 0);
  functors::ForActivation(call.attributes->activation, [&](auto tag) {
    ForRange(run, call.outputs[0].elements, 8, [&](int64_t begin, int64_t end) {
      Fill(dx, begin, end, [&](int64_t i) {
        return dy[i] * functors::Slope<decltype(tag)::kActivation>(saved[i], alpha);
      });
    });
  });
}

// dx = y (dy - sum_j dy_j y_j)
void SoftmaxGrad(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  ForTiles(run, call.outputs[0].rows, call.outputs[0].elements * 4, [&](int64_t row) {
    const float* dy = In(call, 0) + row * columns;
    const float* y = In(call, 1) + row * columns;
    const float dot = LaneSum(columns, [&](int64_t j) { return dy[j] * y[j]; });
    Fill(Out(call, 0) + row * columns, 0, columns, [&](int64_t j) { return y[j] * (dy[j] - dot); });
  });
}

// [chunks, columns]
Scratch ColumnSumScratch(const KernelCall& call) {
  const int64_t sums = ChunksOf(call.inputs[0].rows) * call.inputs[0].columns;
  return {sums * static_cast<int64_t>(sizeof(float)), 0};
}

void ColumnSum(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  float* sums = SharedScratch(run);
  if (rows == 0) return Fill(Out(call, 0), 0, columns, [](int64_t) { return 0.0f; });
  ForChunks(run, rows, columns, 1, [&](const Chunk& chunk) {
    const float* x = In(call, 0) + chunk.row * columns + chunk.column;
    float* to = sums + chunk.index * columns + chunk.column;
    ForVectors(
        chunk.columns, [&](int64_t j, auto load, auto store) __attribute__((always_inline)) {
          Vector sum = Broadcast(0.0f);
          for (int64_t i = 0; i < chunk.rows; ++i) sum = Plus(sum, load(x + i * columns + j));
          store(to + j, sum);
        });
  });
  AddChunks(sums, ChunksOf(rows), columns, columns, Out(call, 0));
}

// Element i is kept if word i % 4 of Philox block (i / 4, stream, step) gives at least `rate`.
void Dropout(const KernelCall& call, const RunState& run) {
  constexpr int kBlocks = 16;  // of Philox, side by side
  const float rate = In(call, 1)[0];
  const float scale = 1.0f / (1.0f - rate);
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  const int64_t elements = call.outputs[0].elements;
  const auto stream = static_cast<uint32_t>(call.attributes->stream);
  ForTiles(run, (elements + 4 * kBlocks - 1) / (4 * kBlocks), elements * 8, [&](int64_t tile) {
    float uniform[4][kBlocks];
#pragma GCC ivdep
    for (int b = 0; b < kBlocks; ++b) {
      const PhiloxBlock block =
          Philox4x32(static_cast<uint32_t>(run.seed), static_cast<uint32_t>(run.seed >> 32),
                     static_cast<uint32_t>(tile * kBlocks + b), stream,
                     static_cast<uint32_t>(run.step), static_cast<uint32_t>(run.step >> 32));
      for (int w = 0; w < 4; ++w) uniform[w][b] = UniformFromBits(block.word[w]);
    }
    const int64_t begin = tile * 4 * kBlocks;
    const int64_t end = begin + 4 * kBlocks < elements ? begin + 4 * kBlocks : elements;
    for (int64_t i = begin; i < end; ++i) {
      const float drawn = uniform[i % 4][(i - begin) / 4];
      y[i] = drawn >= rate ? x[i] * scale : 0.0f;
    }
  });
}

void Concat(const KernelCall& call, const RunState&) {
  int64_t begin = 0;
  for (int part = 0; part < call.inputs_count; ++part) {
    const int64_t width = call.inputs[part].columns;
    for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
      __builtin_memcpy(Out(call, 0) + i * call.outputs[0].columns + begin,
                       In(call, part) + i * width, static_cast<size_t>(width) * sizeof(float));
    }
    begin += width;
  }
}

void Slice(const KernelCall& call, const RunState&) {
  const int64_t width = call.outputs[0].columns;
  for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
    __builtin_memcpy(Out(call, 0) + i * width,
                     In(call, 0) + i * call.inputs[0].columns + call.attributes->begin,
                     static_cast<size_t>(width) * sizeof(float));
  }
}

void SliceGrad(const KernelCall& call, const RunState&) {
  const int64_t width = call.inputs[0].columns;
  const int64_t columns = call.outputs[0].columns;
  __builtin_memset(Out(call, 0), 0, static_cast<size_t>(call.outputs[0].elements) * sizeof(float));
  for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
    __builtin_memcpy(Out(call, 0) + i * columns + call.attributes->begin, In(call, 0) + i * width,
                     static_cast<size_t>(width) * sizeof(float));
  }
}

void Add(const KernelCall& call, const RunState& run) {
  const float* a = In(call, 0);
  const float* b = In(call, 1);
  ForRange(run, call.outputs[0].elements, 2, [&](int64_t begin, int64_t end) {
    Fill(Out(call, 0), begin, end, [&](int64_t i) { return a[i] + b[i]; });
  });
}

void Multiply(const KernelCall& call, const RunState& run) {
  const float* a = In(call, 0);
  const float* b = In(call, 1);
  ForRange(run, call.outputs[0].elements, 2, [&](int64_t begin, int64_t end) {
    Fill(Out(call, 0), begin, end, [&](int64_t i) { return a[i] * b[i]; });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
