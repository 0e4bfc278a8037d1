// Batch normalisation, with an activation or its gradient. Sums over rows: columns.h.
#include "engine/backend/cpu/columns.h"
#include "engine/backend/functors.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

using math::Fma;

namespace {

// Mean of each column of a chunk, and the sum of squared distances from it.
void ChunkStatistics(const float* x, int64_t stride, const Chunk& chunk, float* mean,
                     float* squares) {
  const auto count = static_cast<float>(chunk.rows);
  ForVectors(
      chunk.columns, [&](int64_t j, auto load, auto store) __attribute__((always_inline)) {
        const float* first = x + chunk.row * stride + chunk.column + j;
        Vector sum = Broadcast(0.0f);
        for (int64_t i = 0; i < chunk.rows; ++i) sum = Plus(sum, load(first + i * stride));
        float* to = mean + chunk.column + j;
        store(to, sum);
        const int64_t width =
            chunk.columns - j < Vector::kWidth ? chunk.columns - j : Vector::kWidth;
        for (int64_t c = 0; c < width; ++c) to[c] /= count;
        const Vector centre = load(to);
        Vector square = Broadcast(0.0f);
        for (int64_t i = 0; i < chunk.rows; ++i) {
          const Vector d = Minus(load(first + i * stride), centre);
          square = MulAdd(d, d, square);
        }
        store(squares + chunk.column + j, square);
      });
}

// Chan, Golub, LeVeque 1979: mean and squares of the chunks up to each, in order.
void JoinStatistics(const float* chunks, int64_t rows, int64_t columns, float* mean,
                    float* squares) {
  Fill(mean, 0, columns, [&](int64_t j) { return chunks[j]; });
  Fill(squares, 0, columns, [&](int64_t j) { return chunks[columns + j]; });
  for (int64_t k = 1; k < ChunksOf(rows); ++k) {
    const float* of_chunk = chunks + 2 * k * columns;
    const int64_t before = k * kChunkRows;
    const int64_t added = rows - before < kChunkRows ? rows - before : kChunkRows;
    const auto share =
        static_cast<float>(static_cast<double>(added) / static_cast<double>(before + added));
    const float weight = share * static_cast<float>(before);
    for (int64_t j = 0; j < columns; ++j) {
      const float d = of_chunk[j] - mean[j];
      mean[j] = Fma(d, share, mean[j]);
      squares[j] = Fma(d * d, weight, squares[j] + of_chunk[columns + j]);
    }
  }
}

// y = activation((x - mean) rstd gamma + beta + residual, if there is one).
void Normalise(const KernelCall& call, const RunState& run, const float* mean, const float* rstd) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const float alpha = static_cast<float>(call.attributes->alpha);
  const float* residual = call.attributes->has_residual ? In(call, 5) : nullptr;
  functors::ForActivation(call.attributes->activation, [&](auto tag) {
    constexpr Activation kKind = decltype(tag)::kActivation;
    ForChunks(run, rows, columns, 4, [&](const Chunk& chunk) {
      const float* m = mean + chunk.column;
      const float* r = rstd + chunk.column;
      const float* gamma = In(call, 1) + chunk.column;
      const float* beta = In(call, 2) + chunk.column;
      for (int64_t i = chunk.row; i < chunk.row + chunk.rows; ++i) {
        const float* x = In(call, 0) + i * columns + chunk.column;
        float* y = Out(call, 0) + i * columns + chunk.column;
        const float* more = residual == nullptr ? nullptr : residual + i * columns + chunk.column;
        ForBlocksOf16(
            chunk.columns, [&](int64_t first, int64_t width) __attribute__((always_inline)) {
              if (more != nullptr) {
                Fill(y, first, first + width, [&](int64_t j) {
                  const float normal = Fma((x[j] - m[j]) * r[j], gamma[j], beta[j]);
                  return functors::Activate<kKind>(normal + more[j], alpha);
                });
              } else {
                Fill(y, first, first + width, [&](int64_t j) {
                  const float normal = Fma((x[j] - m[j]) * r[j], gamma[j], beta[j]);
                  return functors::Activate<kKind>(normal, alpha);
                });
              }
            });
      }
    });
  });
}

// What reaches the normalised rows: dy, or dy times the slope at `saved`.
template <Activation kKind>
inline __attribute__((always_inline)) float Upstream(const float* dy, const float* saved, int64_t i,
                                                     float alpha) {
  return saved == nullptr ? dy[i] : dy[i] * functors::Slope<kKind>(saved[i], alpha);
}

// Sums of dy z and of dy over a chunk.
template <Activation kKind, bool kSlope>
void ChunkGradients(const KernelCall& call, const Chunk& chunk, const float* saved, float* of_z,
                    float* of_dy) {
  const int64_t columns = call.inputs[0].columns;
  const float alpha = static_cast<float>(call.attributes->alpha);
  ForVectors(
      chunk.columns, [&](int64_t j, auto load, auto store) __attribute__((always_inline)) {
        const int64_t column = chunk.column + j;
        const Vector mean = load(In(call, 3) + column);
        const Vector rstd = load(In(call, 4) + column);
        const int64_t width =
            chunk.columns - j < Vector::kWidth ? chunk.columns - j : Vector::kWidth;
        Vector z_sum = Broadcast(0.0f);
        Vector dy_sum = Broadcast(0.0f);
        float slopes[Vector::kWidth] = {};
        for (int64_t i = chunk.row; i < chunk.row + chunk.rows; ++i) {
          const int64_t at = i * columns + column;
          Vector dy = load(In(call, 0) + at);
          if constexpr (kSlope) {
            if (width == Vector::kWidth) {
              for (int c = 0; c < Vector::kWidth; ++c) {
                slopes[c] = functors::Slope<kKind>(saved[at + c], alpha);
              }
            } else {
              for (int64_t c = 0; c < width; ++c) {
                slopes[c] = functors::Slope<kKind>(saved[at + c], alpha);
              }
            }
            dy = Times(dy, Load(slopes));
          }
          const Vector z = Times(Minus(load(In(call, 1) + at), mean), rstd);
          z_sum = MulAdd(dy, z, z_sum);
          dy_sum = Plus(dy_sum, dy);
        }
        store(of_z + column, z_sum);
        store(of_dy + column, dy_sum);
      });
}

template <Activation kKind>
void Differentiate(const KernelCall& call, const RunState& run, const float* saved) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const auto count = static_cast<float>(rows);
  const float alpha = static_cast<float>(call.attributes->alpha);
  float* sums = SharedScratch(run);
  ForChunks(run, rows, columns, 4, [&](const Chunk& chunk) {
    float* of_z = sums + 2 * chunk.index * columns;
    if (saved != nullptr) {
      ChunkGradients<kKind, true>(call, chunk, saved, of_z, of_z + columns);
    } else {
      ChunkGradients<kKind, false>(call, chunk, saved, of_z, of_z + columns);
    }
  });
  float* dgamma = Out(call, 1);
  float* dbeta = Out(call, 2);
  AddChunks(sums, ChunksOf(rows), 2 * columns, columns, dgamma);
  AddChunks(sums + columns, ChunksOf(rows), 2 * columns, columns, dbeta);
  // The sums are done with; what is the same for all rows takes their place.
  float* z_mean = sums;
  float* dy_mean = sums + columns;
  Fill(z_mean, 0, columns, [&](int64_t j) { return dgamma[j] / count; });
  Fill(dy_mean, 0, columns, [&](int64_t j) { return dbeta[j] / count; });
  const float* gamma = In(call, 2);
  const float* mean = In(call, 3);
  const float* rstd = In(call, 4);
  ForChunks(run, rows, columns, 4, [&](const Chunk& chunk) {
    for (int64_t i = chunk.row; i < chunk.row + chunk.rows; ++i) {
      const float* dy = In(call, 0) + i * columns;
      const float* x = In(call, 1) + i * columns;
      const float* slope_at = saved == nullptr ? nullptr : saved + i * columns;
      float* dx = Out(call, 0) + i * columns;
      ForBlocksOf16(
          chunk.columns, [&](int64_t first, int64_t width) __attribute__((always_inline)) {
            first += chunk.column;
            Fill(dx, first, first + width, [&](int64_t j) {
              const float z = (x[j] - mean[j]) * rstd[j];
              const float centred = Upstream<kKind>(dy, slope_at, j, alpha) - dy_mean[j];
              return gamma[j] * rstd[j] * Fma(-z, z_mean[j], centred);
            });
          });
    }
  });
}

}  // namespace

// [chunks, 2, columns], and room for what all rows share.
Scratch BatchNormScratch(const KernelCall& call) {
  const int64_t sums = (ChunksOf(call.inputs[0].rows) + 1) * 2 * call.inputs[0].columns;
  return {sums * static_cast<int64_t>(sizeof(float)), 0};
}
Scratch BatchNormGradScratch(const KernelCall& call) { return BatchNormScratch(call); }

void BatchNorm(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const auto momentum = static_cast<float>(call.attributes->momentum);
  const auto epsilon = static_cast<float>(call.attributes->epsilon);
  const auto count = static_cast<float>(rows);
  float* sums = SharedScratch(run);
  ForChunks(run, rows, columns, 4, [&](const Chunk& chunk) {
    float* mean = sums + 2 * chunk.index * columns;
    ChunkStatistics(In(call, 0), columns, chunk, mean, mean + columns);
  });
  float* mean = Out(call, 1);
  float* rstd = Out(call, 2);
  float* squares = sums + 2 * ChunksOf(rows) * columns;
  JoinStatistics(sums, rows, columns, mean, squares);
  for (int64_t j = 0; j < columns; ++j) {
    rstd[j] = 1.0f / math::Sqrt(squares[j] / count + epsilon);
    const float unbiased = rows > 1 ? squares[j] / (count - 1.0f) : squares[j] / count;
    float& running_mean = In(call, 3)[j];
    float& running_variance = In(call, 4)[j];
    running_mean = Fma(momentum, running_mean, (1.0f - momentum) * mean[j]);
    running_variance = Fma(momentum, running_variance, (1.0f - momentum) * unbiased);
  }
  Normalise(call, run, mean, rstd);
}

Scratch BatchNormInferenceScratch(const KernelCall& call) {
  return {call.inputs[0].columns * static_cast<int64_t>(sizeof(float)), 0};
}

void BatchNormInference(const KernelCall& call, const RunState& run) {
  const auto epsilon = static_cast<float>(call.attributes->epsilon);
  float* rstd = SharedScratch(run);
  Fill(rstd, 0, call.inputs[0].columns,
       [&](int64_t j) { return 1.0f / math::Sqrt(In(call, 4)[j] + epsilon); });
  Normalise(call, run, In(call, 3), rstd);
}

// With z = (x - mean) rstd: dgamma = sum dy z, dbeta = sum dy,
// dx = gamma rstd (dy - dbeta / rows - z dgamma / rows).
void BatchNormGrad(const KernelCall& call, const RunState& run) {
  const bool slope = call.attributes->activation_grad;
  const float* saved = slope ? In(call, call.inputs_count - 1) : nullptr;
  functors::ForActivation(slope ? call.attributes->activation : Activation::kLinear, [&](auto tag) {
    Differentiate<decltype(tag)::kActivation>(call, run, saved);
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
