#include "engine/core/spectral_radius.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

constexpr int64_t kMostDirections = 300;

struct Complex {
  double re = 0, im = 0;

  Complex operator+(Complex b) const { return {re + b.re, im + b.im}; }
  Complex operator-(Complex b) const { return {re - b.re, im - b.im}; }
  Complex operator*(Complex b) const { return {re * b.re - im * b.im, re * b.im + im * b.re}; }
  Complex operator*(double b) const { return {re * b, im * b}; }
  Complex Conjugate() const { return {re, -im}; }
  double Squared() const { return re * re + im * im; }
  double Size() const { return std::sqrt(Squared()); }
};

Complex Root(Complex z) {
  const double size = z.Size();
  const double re = std::sqrt(std::max(0.0, (size + z.re) / 2));
  const double im = std::sqrt(std::max(0.0, (size - z.re) / 2));
  return {re, z.im < 0 ? -im : im};
}

// Upper Hessenberg, row-major.
struct Hessenberg {
  int64_t size = 0;
  std::vector<Complex> values;

  Complex& At(int64_t i, int64_t j) { return values[static_cast<size_t>(i * size + j)]; }
};

// The eigenvalue of the last two rows' block that is nearer to its last element (Wilkinson).
Complex Shift(Hessenberg& h, int64_t last) {
  const Complex a = h.At(last - 1, last - 1), b = h.At(last - 1, last);
  const Complex c = h.At(last, last - 1), d = h.At(last, last);
  const Complex half = (a - d) * 0.5;
  const Complex root = Root(half * half + b * c);
  const Complex middle = (a + d) * 0.5;
  const Complex one = middle + root, other = middle - root;
  return (one - d).Squared() < (other - d).Squared() ? one : other;
}

// One step of QR on rows first..last with that shift, by Givens rotations.
void StepQr(Hessenberg& h, int64_t first, int64_t last, Complex shift) {
  struct Rotation {
    Complex cosine, sine;
  };
  std::vector<Rotation> rotations;
  for (int64_t k = first; k <= last; ++k) h.At(k, k) = h.At(k, k) - shift;
  for (int64_t k = first; k < last; ++k) {
    const Complex x = h.At(k, k), y = h.At(k + 1, k);
    const double size = std::sqrt(x.Squared() + y.Squared());
    const Rotation turn =
        size > 0 ? Rotation{x * (1 / size), y * (1 / size)} : Rotation{{1, 0}, {0, 0}};
    for (int64_t j = k; j <= last; ++j) {
      const Complex a = h.At(k, j), b = h.At(k + 1, j);
      h.At(k, j) = turn.cosine.Conjugate() * a + turn.sine.Conjugate() * b;
      h.At(k + 1, j) = turn.cosine * b - turn.sine * a;
    }
    rotations.push_back(turn);
  }
  for (int64_t k = first; k < last; ++k) {
    const Rotation turn = rotations[static_cast<size_t>(k - first)];
    for (int64_t i = first; i <= std::min(k + 1, last); ++i) {
      const Complex a = h.At(i, k), b = h.At(i, k + 1);
      h.At(i, k) = a * turn.cosine + b * turn.sine;
      h.At(i, k + 1) = b * turn.cosine.Conjugate() - a * turn.sine.Conjugate();
    }
  }
  for (int64_t k = first; k <= last; ++k) h.At(k, k) = h.At(k, k) + shift;
}

double LargestEigenvalue(Hessenberg h) {
  double largest = 0;
  int64_t last = h.size - 1;
  for (int iteration = 0; last >= 0;) {
    int64_t first = last;
    for (; first > 0; --first) {
      const double size = h.At(first, first).Size() + h.At(first - 1, first - 1).Size();
      if (h.At(first, first - 1).Size() <= std::numeric_limits<double>::epsilon() * size) break;
    }
    if (first == last || iteration > 100) {
      largest = std::max(largest, h.At(last, last).Size());
      --last;
      iteration = 0;
      continue;
    }
    // Now and then a shift of another kind, against cycles.
    const Complex shift = iteration % 11 == 10
                              ? h.At(last, last) + Complex{h.At(last, last - 1).Size(), 0}
                              : Shift(h, last);
    StepQr(h, first, last, shift);
    ++iteration;
  }
  return largest;
}

}  // namespace

double SpectralRadius(int64_t n, const std::function<void(const double* x, double* y)>& apply) {
  const int64_t most = std::min(n, kMostDirections);
  const auto size = static_cast<size_t>(n);
  std::vector<std::vector<double>> basis(1, std::vector<double>(size));
  const Philox random(0, 0x6172);
  double norm = 0;
  for (size_t i = 0; i < size; ++i) {
    basis[0][i] = static_cast<double>(random.Normal(i));
    norm += basis[0][i] * basis[0][i];
  }
  for (double& x : basis[0]) x /= std::sqrt(norm);
  std::vector<std::vector<double>> columns;
  std::vector<double> next(size);
  for (int64_t k = 0; k < most; ++k) {
    apply(basis.back().data(), next.data());
    std::vector<double> column(basis.size() + 1);
    double before = 0;
    for (const double x : next) before += x * x;
    // Twice: what rounding left of a direction goes with the second.
    for (int round = 0; round < 2; ++round) {
      for (size_t j = 0; j < basis.size(); ++j) {
        double along = 0;
        for (size_t i = 0; i < size; ++i) along += next[i] * basis[j][i];
        for (size_t i = 0; i < size; ++i) next[i] -= along * basis[j][i];
        column[j] += along;
      }
    }
    norm = 0;
    for (const double x : next) norm += x * x;
    columns.push_back(column);
    columns.back().back() = std::sqrt(norm);
    if (!(norm > 1e-24 * before)) break;  // the directions so far are all that A makes of them
    for (double& x : next) x /= std::sqrt(norm);
    basis.push_back(next);
  }
  Hessenberg h{static_cast<int64_t>(columns.size()), {}};
  h.values.resize(columns.size() * columns.size());
  for (int64_t j = 0; j < h.size; ++j) {
    const std::vector<double>& column = columns[static_cast<size_t>(j)];
    for (int64_t i = 0; i < std::min(j + 2, h.size); ++i) {
      h.At(i, j) = {column[static_cast<size_t>(i)], 0};
    }
  }
  return LargestEigenvalue(std::move(h));
}

}  // namespace beamline::engine
