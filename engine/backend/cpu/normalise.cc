// Batch and layer normalisation.
#include "engine/backend/cpu/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

using math::Fma;

static constexpr int64_t kBlock = 32;  // columns that are walked down together

// body(first, width) for blocks of columns.
template <typename Body>
static void ForColumns(const RunState& run, int64_t rows, int64_t columns, const Body& body) {
  ForTiles(run, (columns + kBlock - 1) / kBlock, rows * columns * 4, [&](int64_t block) {
    const int64_t first = block * kBlock;
    body(first, first + kBlock < columns ? kBlock : columns - first);
  });
}

void BatchNorm(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const auto momentum = static_cast<float>(call.attributes->momentum);
  const auto epsilon = static_cast<float>(call.attributes->epsilon);
  const auto count = static_cast<float>(rows);
  ForColumns(run, rows, columns, [&](int64_t first, int64_t width) {
    const float* x = In(call, 0) + first;
    float mean[kBlock] = {};
    float squares[kBlock] = {};
    float rstd[kBlock];
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < width; ++j) mean[j] += x[i * columns + j];
    }
    for (int64_t j = 0; j < width; ++j) mean[j] /= count;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < width; ++j) {
        const float d = x[i * columns + j] - mean[j];
        squares[j] = Fma(d, d, squares[j]);
      }
    }
    for (int64_t j = 0; j < width; ++j) {
      rstd[j] = 1.0f / math::Sqrt(squares[j] / count + epsilon);
      Out(call, 1)[first + j] = mean[j];
      Out(call, 2)[first + j] = rstd[j];
      const float unbiased = rows > 1 ? squares[j] / (count - 1.0f) : squares[j] / count;
      float& running_mean = In(call, 3)[first + j];
      float& running_variance = In(call, 4)[first + j];
      running_mean = Fma(momentum, running_mean, (1.0f - momentum) * mean[j]);
      running_variance = Fma(momentum, running_variance, (1.0f - momentum) * unbiased);
    }
    const float* gamma = In(call, 1) + first;
    const float* beta = In(call, 2) + first;
    for (int64_t i = 0; i < rows; ++i) {
      Fill(Out(call, 0) + i * columns + first, 0, width, [&](int64_t j) {
        return Fma((x[i * columns + j] - mean[j]) * rstd[j], gamma[j], beta[j]);
      });
    }
  });
}

void BatchNormInference(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const int64_t rows = call.inputs[0].rows;
  const auto epsilon = static_cast<float>(call.attributes->epsilon);
  ForColumns(run, rows, columns, [&](int64_t first, int64_t width) {
    float rstd[kBlock];
    const float* mean = In(call, 3) + first;
    const float* gamma = In(call, 1) + first;
    const float* beta = In(call, 2) + first;
    for (int64_t j = 0; j < width; ++j) {
      rstd[j] = 1.0f / math::Sqrt(In(call, 4)[first + j] + epsilon);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const float* x = In(call, 0) + i * columns + first;
      Fill(Out(call, 0) + i * columns + first, 0, width,
           [&](int64_t j) { return Fma((x[j] - mean[j]) * rstd[j], gamma[j], beta[j]); });
    }
  });
}

// With z = (x - mean) rstd: dgamma = sum dy z, dbeta = sum dy,
// dx = gamma rstd (dy - dbeta / rows - z dgamma / rows).
void BatchNormGrad(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const auto count = static_cast<float>(rows);
  ForColumns(run, rows, columns, [&](int64_t first, int64_t width) {
    const float* mean = In(call, 3) + first;
    const float* rstd = In(call, 4) + first;
    const float* gamma = In(call, 2) + first;
    float dgamma[kBlock] = {};
    float dbeta[kBlock] = {};
    for (int64_t i = 0; i < rows; ++i) {
      const float* dy = In(call, 0) + i * columns + first;
      const float* x = In(call, 1) + i * columns + first;
      for (int64_t j = 0; j < width; ++j) {
        dgamma[j] = Fma(dy[j], (x[j] - mean[j]) * rstd[j], dgamma[j]);
        dbeta[j] += dy[j];
      }
    }
    for (int64_t j = 0; j < width; ++j) {
      Out(call, 1)[first + j] = dgamma[j];
      Out(call, 2)[first + j] = dbeta[j];
    }
    for (int64_t i = 0; i < rows; ++i) {
      const float* dy = In(call, 0) + i * columns + first;
      const float* x = In(call, 1) + i * columns + first;
      Fill(Out(call, 0) + i * columns + first, 0, width, [&](int64_t j) {
        const float z = (x[j] - mean[j]) * rstd[j];
        return gamma[j] * rstd[j] * Fma(-z, dgamma[j] / count, dy[j] - dbeta[j] / count);
      });
    }
  });
}

void LayerNorm(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const auto count = static_cast<float>(columns);
  const float* gamma = In(call, 1);
  const float* beta = In(call, 2);
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 4, [&](int64_t i) {
    const float* x = In(call, 0) + i * columns;
    const float mean = LaneSum(columns, [&](int64_t j) { return x[j]; }) / count;
    const float squares =
        LaneSum(columns, [&](int64_t j) { return (x[j] - mean) * (x[j] - mean); });
    const float rstd =
        1.0f / math::Sqrt(squares / count + static_cast<float>(call.attributes->epsilon));
    Fill(Out(call, 0) + i * columns, 0, columns,
         [&](int64_t j) { return Fma((x[j] - mean) * rstd, gamma[j], beta[j]); });
    Out(call, 1)[i] = mean;
    Out(call, 2)[i] = rstd;
  });
}

// With z = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean_j(g) - z mean_j(g z)).
void LayerNormGrad(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const auto count = static_cast<float>(columns);
  const float* gamma = In(call, 2);
  ForTiles(run, rows, rows * columns * 4, [&](int64_t i) {
    const float* dy = In(call, 0) + i * columns;
    const float* x = In(call, 1) + i * columns;
    const float mean = In(call, 3)[i];
    const float rstd = In(call, 4)[i];
    const float sum = LaneSum(columns, [&](int64_t j) { return dy[j] * gamma[j]; }) / count;
    const float dot =
        LaneSum(columns, [&](int64_t j) { return dy[j] * gamma[j] * ((x[j] - mean) * rstd); }) /
        count;
    Fill(Out(call, 0) + i * columns, 0, columns, [&](int64_t j) {
      return rstd * Fma(-((x[j] - mean) * rstd), dot, dy[j] * gamma[j] - sum);
    });
  });
  ForColumns(run, rows, columns, [&](int64_t first, int64_t width) {
    float dgamma[kBlock] = {};
    float dbeta[kBlock] = {};
    for (int64_t i = 0; i < rows; ++i) {
      const float* dy = In(call, 0) + i * columns + first;
      const float* x = In(call, 1) + i * columns + first;
      const float mean = In(call, 3)[i];
      const float rstd = In(call, 4)[i];
      for (int64_t j = 0; j < width; ++j) {
        dgamma[j] = Fma(dy[j], (x[j] - mean) * rstd, dgamma[j]);
        dbeta[j] += dy[j];
      }
    }
    for (int64_t j = 0; j < width; ++j) {
      Out(call, 1)[first + j] = dgamma[j];
      Out(call, 2)[first + j] = dbeta[j];
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
