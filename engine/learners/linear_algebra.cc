#include "engine/learners/linear_algebra.h"

#include <algorithm>
#include <cmath>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;

int64_t PanelsOf(int64_t columns) { return (columns + kLanes - 1) / kLanes; }

// Rows that are packed and multiplied at once, of so many columns: what a core's cache holds.
int64_t ChunkOf(int64_t columns) {
  return std::clamp<int64_t>((1 << 17) / std::max<int64_t>(1, columns), 256, 2048);
}

// A panel of rows as the kernels take them: [rows, kLanes], zeros behind the last column.
// w (x - origin); w and origin may be null. False if they are all zero.
template <typename T>
bool PackPanel(const T* x, const double* origin, const double* w, int64_t rows, int64_t columns,
               int64_t panel, double* to) {
  const int64_t first = panel * kLanes;
  const int64_t width = std::min(kLanes, columns - first);
  double middle[kLanes] = {};
  if (origin != nullptr) std::copy_n(origin + first, width, middle);
  int64_t filled[kLanes] = {};
  for (int64_t row = 0; row < rows; ++row, to += kLanes) {
    const T* from = x + row * columns + first;
    if (width < kLanes) std::fill(to + width, to + kLanes, 0.0);
    for (int64_t k = 0; k < width; ++k) to[k] = static_cast<double>(from[k]) - middle[k];
    for (int64_t k = 0; k < width; ++k) filled[k] |= to[k] == 0 ? 0 : 1;  // NaN is not zero
    if (w == nullptr) continue;
    for (int64_t k = 0; k < width; ++k) to[k] *= w[row];
  }
  return std::any_of(filled, filled + kLanes, [](int64_t one) { return one != 0; });
}

// Rows cut into panels: of x, and weighted ones of the same.
template <typename T>
class PackedRows {
 public:
  PackedRows(const T* x, const double* origin, const double* w, int64_t columns)
      : x_(x), origin_(origin), w_(w), columns_(columns) {}

  int64_t panels() const { return PanelsOf(columns_); }
  int64_t columns() const { return columns_; }
  // Room for so many rows.
  void Reserve(int64_t rows) {
    const auto size = static_cast<size_t>(panels() * rows * kLanes);
    plain_.resize(size);
    filled_.resize(static_cast<size_t>(panels()));
    if (w_ != nullptr) weighted_.resize(size);
  }
  // Takes rows from `first` on; for each panel once.
  void Pack(int64_t first, int64_t rows, int64_t panel) {
    rows_ = rows;
    const T* x = x_ + first * columns_;
    filled_[static_cast<size_t>(panel)] = PackPanel(x, origin_, nullptr, rows, columns_, panel,
                                                    plain_.data() + panel * rows * kLanes);
    if (w_ == nullptr) return;
    PackPanel(x, origin_, w_ + first, rows, columns_, panel,
              weighted_.data() + panel * rows * kLanes);
  }
  // Whether any element is not zero.
  bool IsFilled(int64_t panel) const { return filled_[static_cast<size_t>(panel)] != 0; }
  const double* Plain(int64_t panel) const { return plain_.data() + panel * rows_ * kLanes; }
  const double* Weighted(int64_t panel) const {
    return w_ == nullptr ? Plain(panel) : weighted_.data() + panel * rows_ * kLanes;
  }

 private:
  const T* x_;
  const double* origin_;
  const double* w_;
  int64_t columns_;
  int64_t rows_ = 0;
  std::vector<double> plain_, weighted_;
  std::vector<char> filled_;
};

// gram += x^T diag(w) x, the lower triangle by tiles; cross += x^T diag(w) y; sums += w x. Each of
// the three may be null; y may have no columns.
template <typename T>
void AddProducts(PackedRows<T> x, PackedRows<double> other, int64_t rows, Matrix* gram,
                 Matrix* cross, double* sums, ThreadPool* pool) {
  const auto multiply = cpu::FindLearnerKernels().AddProducts;
  const int64_t chunk = std::min(rows, ChunkOf(x.columns()));
  x.Reserve(chunk);
  other.Reserve(chunk);
  const int64_t across = gram != nullptr ? x.panels() : 0;
  const auto width = [](int64_t panel, int64_t columns) {
    return std::min(kLanes, columns - panel * kLanes);
  };
  for (int64_t first = 0; first < rows; first += chunk) {
    const int64_t count = std::min(chunk, rows - first);
    pool->ParallelFor(x.panels() + other.panels(), [&](int64_t panel) {
      if (panel >= x.panels()) return other.Pack(first, count, panel - x.panels());
      x.Pack(first, count, panel);
      if (sums == nullptr) return;
      const double* from = x.Weighted(panel);
      double* to = sums + panel * kLanes;
      for (int64_t row = 0; row < count; ++row, from += kLanes) {
        for (int64_t k = 0; k < width(panel, x.columns()); ++k) to[k] += from[k];
      }
    });
    pool->ParallelFor(x.panels() * (across + other.panels()), [&](int64_t tile) {
      const int64_t i = tile % x.panels(), j = tile / x.panels();
      const int64_t height = width(i, x.columns());
      // Features that do not vary in these rows (rims of images, rare categories) add nothing.
      if (!x.IsFilled(i)) return;
      if (j >= across) {
        multiply(x.Weighted(i), other.Plain(j - across), count,
                 cross->Row(i * kLanes) + (j - across) * kLanes, cross->columns, height,
                 width(j - across, cross->columns));
      } else if (j <= i && x.IsFilled(j)) {
        multiply(x.Weighted(i), x.Plain(j), count, gram->Row(i * kLanes) + j * kLanes,
                 gram->columns, height, width(j, x.columns()));
      }
    });
  }
}

void AddScaled(double scale, const double* x, int64_t size, double* y) {
  for (int64_t k = 0; k < size; ++k) y[k] += scale * x[k];
}

// a = L L^T by block columns of kLanes: what is left of them once those before are taken out, by
// the kernels; then the rest.
class Cholesky {
 public:
  Cholesky(Matrix* a, double singular, ThreadPool* pool)
      : a_(*a),
        singular_(singular),
        pool_(*pool),
        dropped_(static_cast<size_t>(a->rows)),
        packed_(static_cast<size_t>(PanelsOf(a->rows) * a->rows * kLanes)) {}

  void Factor() {
    const auto multiply = cpu::FindLearnerKernels().AddProducts;
    const int64_t n = a_.rows;
    std::vector<double> minus(static_cast<size_t>(n * kLanes));
    for (int64_t block = 0; block < PanelsOf(n); ++block) {
      const int64_t first = block * kLanes;
      for (int64_t k = 0; k < first * kLanes; ++k) {
        minus[static_cast<size_t>(k)] = -Packed(block)[k];
      }
      const auto update = [&](int64_t i) {
        multiply(Packed(i), minus.data(), first, a_.Row(i * kLanes) + first, n, Width(i),
                 Width(block));
      };
      double diagonal[kLanes];
      for (int64_t k = 0; k < Width(block); ++k) diagonal[k] = a_.At(first + k, first + k);
      update(block);
      FactorBlock(first, Width(block), diagonal);
      pool_.ParallelFor(PanelsOf(n) - block, [&](int64_t tile) {
        const int64_t i = block + tile;
        if (i > block) update(i);
        FinishRows(i, first, Width(block), i > block);
      });
    }
  }

  // b becomes x.
  void Solve(Matrix* b) const {
    constexpr int64_t kSides = 64;
    pool_.ParallelFor((b->columns + kSides - 1) / kSides, [&](int64_t tile) {
      const int64_t first = tile * kSides;
      SolveSides(first, std::min(kSides, b->columns - first), b);
    });
  }

 private:
  double* Packed(int64_t block) { return packed_.data() + block * a_.rows * kLanes; }
  int64_t Width(int64_t block) const { return std::min(kLanes, a_.rows - block * kLanes); }

  // Of columns first..first + width, once those before them are taken out.
  void FactorBlock(int64_t first, int64_t width, const double* diagonal) {
    for (int64_t k = 0; k < width; ++k) {
      double* pivot_row = a_.Row(first + k) + first;
      const double pivot = pivot_row[k];
      const double scale = std::abs(diagonal[k]);
      if (pivot < -singular_ * scale || diagonal[k] < 0) {
        Fail(
            "with these negative weights the squares have no least sum: use weights of one sign, "
            "or a larger penalty");
      }
      const bool drop = !(pivot > singular_ * scale);
      dropped_[static_cast<size_t>(first + k)] = drop;
      pivot_row[k] = drop ? 0 : std::sqrt(pivot);
      for (int64_t i = k + 1; i < width; ++i) {
        double* row = a_.Row(first + i) + first;
        row[k] = drop ? 0 : row[k] / pivot_row[k];
        for (int64_t j = k + 1; j <= i; ++j) row[j] -= row[k] * a_.Row(first + j)[first + k];
      }
    }
  }

  // Of the rows of a panel below; keeps those of L in packed form.
  void FinishRows(int64_t panel, int64_t first, int64_t width, bool below) {
    for (int64_t lane = 0; lane < Width(panel); ++lane) {
      double* row = a_.Row(panel * kLanes + lane) + first;
      for (int64_t k = 0; below && k < width; ++k) {
        const double* pivot_row = a_.Row(first + k) + first;
        for (int64_t j = 0; j < k; ++j) row[k] -= row[j] * pivot_row[j];
        row[k] = dropped_[static_cast<size_t>(first + k)] ? 0 : row[k] / pivot_row[k];
      }
      for (int64_t k = 0; k < width; ++k) {
        Packed(panel)[(first + k) * kLanes + lane] = below || k <= lane ? row[k] : 0;
      }
    }
  }

  void SolveSides(int64_t side, int64_t sides, Matrix* b) const {
    for (int64_t k = 0; k < a_.rows; ++k) {
      double* x = b->Row(k) + side;
      for (int64_t j = 0; j < k; ++j) AddScaled(-a_.At(k, j), b->Row(j) + side, sides, x);
      for (int64_t s = 0; s < sides; ++s) {
        x[s] = dropped_[static_cast<size_t>(k)] ? 0 : x[s] / a_.At(k, k);
      }
    }
    for (int64_t k = a_.rows; k-- > 0;) {
      double* x = b->Row(k) + side;
      if (dropped_[static_cast<size_t>(k)]) {
        std::fill_n(x, sides, 0.0);
        continue;
      }
      for (int64_t s = 0; s < sides; ++s) x[s] /= a_.At(k, k);
      for (int64_t j = 0; j < k; ++j) AddScaled(-a_.At(k, j), x, sides, b->Row(j) + side);
    }
  }

  Matrix& a_;
  const double singular_;
  ThreadPool& pool_;
  std::vector<char> dropped_;
  std::vector<double> packed_;  // L^T: [panels of its columns, rows of L^T, kLanes]
};

// y += (x - origin) b, b packed.
template <typename T>
void AddProductsOfRows(const T* x, const double* origin, int64_t rows, int64_t inner,
                       const std::vector<double>& packed, int64_t columns, double* y) {
  const auto multiply = cpu::FindLearnerKernels().AddProducts;
  std::vector<double> turned(static_cast<size_t>(inner * kLanes));
  for (int64_t first = 0; first < rows; first += kLanes) {
    const int64_t height = std::min(kLanes, rows - first);
    // Some columns of all rows: their lines stay in the cache.
    for (int64_t begin = 0; begin < inner; begin += kLanes) {
      const int64_t end = std::min(inner, begin + kLanes);
      for (int64_t row = 0; row < height; ++row) {
        const T* from = x + (first + row) * inner;
        double* to = turned.data() + row;
        for (int64_t k = begin; k < end; ++k) {
          to[k * kLanes] = static_cast<double>(from[k]) - (origin != nullptr ? origin[k] : 0);
        }
      }
    }
    for (int64_t panel = 0; panel < PanelsOf(columns); ++panel) {
      multiply(turned.data(), packed.data() + panel * inner * kLanes, inner,
               y + first * columns + panel * kLanes, columns, height,
               std::min(kLanes, columns - panel * kLanes));
    }
  }
}

}  // namespace

void AddGram(const double* x, const double* w, int64_t rows, Matrix* gram, ThreadPool* pool) {
  AddProducts<double>({x, nullptr, w, gram->rows}, {nullptr, nullptr, nullptr, 0}, rows, gram,
                      nullptr, nullptr, pool);
}

void AddCross(const double* x, const double* y, const double* w, int64_t rows, Matrix* product,
              ThreadPool* pool) {
  AddProducts<double>({x, nullptr, w, product->rows}, {y, nullptr, nullptr, product->columns}, rows,
                      nullptr, product, nullptr, pool);
}

void AddCross(const float* x, const double* y, int64_t rows, Matrix* product) {
  ThreadPool alone(1);
  AddProducts<float>({x, nullptr, nullptr, product->rows}, {y, nullptr, nullptr, product->columns},
                     rows, nullptr, product, nullptr, &alone);
}

Moments::Moments(int64_t features, int64_t outputs)
    : gram(features, features),
      cross(features, outputs),
      sums(static_cast<size_t>(features)),
      totals(static_cast<size_t>(outputs)) {}

void Moments::Add(const float* x, const double* y, const double* w, int64_t rows,
                  ThreadPool* pool) {
  const int64_t outputs = cross.columns;
  if (rows == 0) return;
  if (origin.empty()) {
    origin.assign(x, x + gram.rows);
    output_origin.assign(y, y + outputs);
  }
  AddProducts<float>({x, origin.data(), w, gram.rows}, {y, output_origin.data(), nullptr, outputs},
                     rows, &gram, &cross, sums.data(), pool);
  for (int64_t row = 0; row < rows; ++row) {
    const double share = w != nullptr ? w[row] : 1;
    weight += share;
    for (int64_t k = 0; k < outputs; ++k) {
      const double value = y[row * outputs + k] - output_origin[static_cast<size_t>(k)];
      totals[static_cast<size_t>(k)] += share * value;
      squares += share * value * value;
    }
  }
}

int64_t Moments::BytesOf(int64_t features, int64_t outputs) {
  const int64_t panels = PanelsOf(features) * kLanes;
  return 8 * (features * (features + outputs + 2) + outputs +
              2 * ChunkOf(features) * (panels + PanelsOf(outputs) * kLanes));
}

Multiplier::Multiplier(const Matrix& b)
    : inner_(b.rows),
      columns_(b.columns),
      packed_(static_cast<size_t>(PanelsOf(b.columns) * b.rows * kLanes)) {
  for (int64_t panel = 0; panel < PanelsOf(columns_); ++panel) {
    PackPanel(b.values.data(), nullptr, nullptr, inner_, columns_, panel,
              packed_.data() + panel * inner_ * kLanes);
  }
}

void Multiplier::Add(const float* x, const double* origin, int64_t rows, double* y) const {
  AddProductsOfRows(x, origin, rows, inner_, packed_, columns_, y);
}
void Multiplier::Add(const double* x, const double* origin, int64_t rows, double* y) const {
  AddProductsOfRows(x, origin, rows, inner_, packed_, columns_, y);
}

void SolveSymmetric(Matrix* a, Matrix* b, ThreadPool* pool, double singular) {
  Cholesky cholesky(a, singular, pool);
  cholesky.Factor();
  cholesky.Solve(b);
}

}  // namespace beamline::engine
