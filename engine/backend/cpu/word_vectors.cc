// Word vectors: what one place of a text adds to the vectors of its codes.
#include "engine/backend/cpu/learner_kernels.h"
#include "engine/backend/cpu/vector.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

constexpr int kVectors = kLanes / Vector::kWidth;
// Rows whose sums are kept in registers at once.
constexpr int kHeld = 6;

// Rows of a table behind each other, each with zeros up to `width`.
void TakeRows(const float* table, const int32_t* rows, int64_t count, int64_t size, int64_t width,
              float* to) {
  const int rest = static_cast<int>(size % Vector::kWidth);
  for (int64_t i = 0; i < count; ++i, to += width) {
    const float* from = table + static_cast<int64_t>(rows[i]) * size;
    int64_t k = 0;
    for (; k + Vector::kWidth <= size; k += Vector::kWidth) Store(to + k, Load(from + k));
    if (rest > 0) {
      Store(to + k, LoadFirst(from + k, rest));
      k += Vector::kWidth;
    }
    for (; k < width; k += Vector::kWidth) Store(to + k, Broadcast(0));
  }
}

// The mean of rows of a table.
void TakeMean(const float* table, const int32_t* rows, int64_t count, int64_t size, int64_t width,
              float* room, float* mean) {
  TakeRows(table, rows, 1, size, width, mean);
  for (int64_t i = 1; i < count; ++i) {
    TakeRows(table, rows + i, 1, size, width, room);
    for (int64_t k = 0; k < width; k += Vector::kWidth) {
      Store(mean + k, Plus(Load(mean + k), Load(room + k)));
    }
  }
  const Vector share = Broadcast(1.0f / static_cast<float>(count));
  for (int64_t k = 0; k < width; k += Vector::kWidth) {
    Store(mean + k, Times(share, Load(mean + k)));
  }
}

// In kLanes sums, which are then added in pairs: the same bits for each instruction set.
inline __attribute__((always_inline)) float SumOf(const float* lanes) {
  float eight[8], four[4];
  for (int l = 0; l < 8; ++l) eight[l] = lanes[l] + lanes[l + 8];
  for (int l = 0; l < 4; ++l) four[l] = eight[l] + eight[l + 4];
  return (four[0] + four[2]) + (four[1] + four[3]);
}

template <int kRows>
void DotsOf(const float* x, const float* y, int64_t width, float* dots) {
  Vector sums[kRows][kVectors];
  for (int j = 0; j < kRows; ++j) {
    for (int v = 0; v < kVectors; ++v) sums[j][v] = Broadcast(0);
  }
  for (int64_t k = 0; k < width; k += kLanes) {
    for (int v = 0; v < kVectors; ++v) {
      const Vector part = Load(x + k + v * Vector::kWidth);
      for (int j = 0; j < kRows; ++j) {
        sums[j][v] = MulAdd(part, Load(y + j * width + k + v * Vector::kWidth), sums[j][v]);
      }
    }
  }
  for (int j = 0; j < kRows; ++j) {
    alignas(64) float lanes[kLanes];
    for (int v = 0; v < kVectors; ++v) Store(lanes + v * Vector::kWidth, sums[j][v]);
    dots[j] = SumOf(lanes);
  }
}

// x[i] += sum over j of errors[i, j] y[j], and y_change[j] = sum over i of errors[i, j] x[i].
// errors stand `stride` apart.
template <int kRows>
void Spread(const float* errors, int64_t stride, const float* x, int64_t inputs, const float* y,
            int64_t width, bool first, float* x_change, float* y_change) {
  for (int64_t k = 0; k < width; k += Vector::kWidth) {
    Vector held[kRows], sums[kRows];
    for (int j = 0; j < kRows; ++j) {
      held[j] = Load(y + j * width + k);
      sums[j] = Broadcast(0);
    }
    for (int64_t i = 0; i < inputs; ++i) {
      const Vector part = Load(x + i * width + k);
      Vector change = first ? Broadcast(0) : Load(x_change + i * width + k);
      for (int j = 0; j < kRows; ++j) {
        const Vector error = Broadcast(errors[i * stride + j]);
        change = MulAdd(error, held[j], change);
        sums[j] = MulAdd(error, part, sums[j]);
      }
      Store(x_change + i * width + k, change);
    }
    for (int j = 0; j < kRows; ++j) Store(y_change + j * width + k, sums[j]);
  }
}

// Calls use.operator()<n>(first, n) for all of `count`, kHeld at a time.
template <typename Use>
void InGroups(int64_t count, const Use& use) {
  int64_t first = 0;
  for (; first + kHeld <= count; first += kHeld) use.template operator()<kHeld>(first);
  switch (count - first) {
    case 1:
      return use.template operator()<1>(first);
    case 2:
      return use.template operator()<2>(first);
    case 3:
      return use.template operator()<3>(first);
    case 4:
      return use.template operator()<4>(first);
    case 5:
      return use.template operator()<5>(first);
    default:
      return;
  }
}

// Products become errors, sign sigmoid(-sign product); the sum of the losses. In whole vectors:
// behind the last product there is room.
double Judge(const float* signs, int64_t inputs, int64_t outputs, float* products, float* losses) {
  const int64_t count = inputs * outputs;
  const int64_t end = (count + kLanes - 1) / kLanes * kLanes;
  for (int64_t i = 0; i < inputs; ++i) {
    for (int64_t j = 0; j < outputs; ++j) losses[i * outputs + j] = signs[j];
  }
  for (int64_t k = count; k < end; ++k) losses[k] = products[k] = 0;
#pragma GCC ivdep
  for (int64_t k = 0; k < end; ++k) {
    const float sign = losses[k];
    const float against = -sign * products[k];
    const float power = math::Exp(-math::Abs(against));
    const float share = 1.0f / (1.0f + power);
    losses[k] = math::Abs(sign) * (math::Max(against, 0.0f) + math::Log1p(power));
    products[k] = sign * (against > 0 ? share : power * share);
  }
  double sum = 0;
  for (int64_t k = 0; k < count; ++k) sum += static_cast<double>(losses[k]);
  return sum;
}

}  // namespace

double TellPlace(const WordPlace& place) {
  const int64_t width = place.width;
  const int64_t inputs = place.takes_mean ? 1 : place.inputs;
  float* x = place.room;
  float* y = x + inputs * width;
  float* products = y + place.outputs * width;
  float* losses = products + (inputs * place.outputs + kLanes - 1) / kLanes * kLanes;
  if (place.takes_mean) {
    TakeMean(place.vectors, place.input_codes, place.inputs, place.size, width, y, x);
  } else {
    TakeRows(place.vectors, place.input_codes, inputs, place.size, width, x);
  }
  TakeRows(place.contexts, place.output_codes, place.outputs, place.size, width, y);
  for (int64_t i = 0; i < inputs; ++i) {
    InGroups(place.outputs, [&]<int kRows>(int64_t first) {
      DotsOf<kRows>(x + i * width, y + first * width, width, products + i * place.outputs + first);
    });
  }
  const double loss = Judge(place.signs, inputs, place.outputs, products, losses);
  if (place.changes == nullptr) return loss;
  InGroups(place.outputs, [&]<int kRows>(int64_t first) {
    Spread<kRows>(products + first, place.outputs, x, inputs, y + first * width, width, first == 0,
                  place.changes, place.changes + (inputs + first) * width);
  });
  return loss;
}

void AddChanges(const float* changes, int64_t width, const int32_t* which, int64_t count,
                float scale, int64_t size, float* row) {
  const Vector by = Broadcast(scale);
  for (int64_t k = 0; k < size; k += Vector::kWidth) {
    Vector sum = Load(changes + which[0] * width + k);
    for (int64_t i = 1; i < count; ++i) sum = Plus(sum, Load(changes + which[i] * width + k));
    if (k + Vector::kWidth <= size) {
      Store(row + k, MulAdd(by, sum, Load(row + k)));
    } else {
      const int rest = static_cast<int>(size - k);
      StoreFirst(row + k, MulAdd(by, sum, LoadFirst(row + k, rest)), rest);
    }
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
