#include "engine/learners/hopfield.h"

#include <algorithm>
#include <vector>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/classic_learner.h"
#include "engine/learners/linear_algebra.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kOrderStream = uint64_t{0x686f70} << 32;  // of the seed, with the pass
constexpr int64_t kMaxUnits = 32768;

class Hopfield : public ClassicLearner {
 public:
  Hopfield(const HopfieldSpec& spec, const LearnerData& data)
      : ClassicLearner(Define(spec, data), data), spec_(spec), units_(layout().features) {
    couplings_ = &AddWeight("couplings", {units_, units_});
    levels_ = &AddWeight("levels", {2, units_});
  }

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  int64_t WorkingBytes() const override;

 private:
  static Definition Define(const HopfieldSpec& spec, const LearnerData& data);
  void LearnLevels();
  void AddHebb(const RowBlock& block, Matrix* w);
  void AddStorkey(const std::vector<double>& signs, int64_t rows, Matrix* w);
  void Project(Matrix* w);
  void Keep(const Matrix& w);
  void Fall(const std::vector<std::vector<int64_t>>& orders, std::span<double> fields,
            std::span<double> state) const;
  Matrix FieldsOf(const std::vector<double>& states, int64_t rows);

  const HopfieldSpec spec_;
  const int64_t units_;
  Tensor* couplings_;
  Tensor* levels_;
};

ClassicLearner::Definition Hopfield::Define(const HopfieldSpec& spec, const LearnerData& data) {
  if (spec.max_passes < 1) Fail("hopfield needs max_passes of at least 1");
  const int64_t units = data.layout.features;
  if (units > kMaxUnits) {
    Fail("hopfield has a coupling for each pair of features: ", units, " are more than ",
         kMaxUnits);
  }
  if (spec.rule == HopfieldRule::kPseudoInverse && data.training != nullptr &&
      data.training->rows() > units) {
    Fail("the pseudo-inverse stores at most as many rows as there are features, ", units,
         ", but there are ", data.training->rows(), ": set max_examples");
  }
  Definition definition;
  definition.name = "hopfield";
  definition.text = Concat(static_cast<int>(spec.rule), ' ', spec.max_passes, ' ', spec.seed);
  definition.threads = spec.threads;
  definition.outputs = units;
  definition.codes = units;
  definition.reconstructs = true;
  definition.row_weights = RowWeights::kRefused;
  return definition;
}

double SignOf(float x) { return x > 0 ? 1 : -1; }

std::vector<double> SignsOf(const RowBlock& block, int64_t units) {
  std::vector<double> signs(static_cast<size_t>(block.rows * units));
  for (size_t i = 0; i < signs.size(); ++i) signs[i] = SignOf(block.features[i]);
  return signs;
}

void Hopfield::LearnLevels() {
  const auto size = static_cast<size_t>(units_);
  std::vector<double> sums(2 * size), counts(2 * size);
  RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) {
    for (int64_t row = 0; row < block.rows; ++row) {
      const float* x = block.features + row * units_;
      for (size_t unit = 0; unit < size; ++unit) {
        const auto value = static_cast<double>(x[unit]);
        const double above = value > 0 ? 1 : 0;
        sums[unit] += std::min(value, 0.0);
        sums[unit + size] += std::max(value, 0.0);
        counts[unit] += 1 - above;
        counts[unit + size] += above;
      }
    }
  });
  for (size_t i = 0; i < 2 * size; ++i) {
    levels_->values<float>()[i] = static_cast<float>(counts[i] > 0 ? sums[i] / counts[i]
                                                     : i < size    ? 0
                                                                   : 1);
  }
}

// Of signs the sum of products is the number of those that are equal less that of the others: bits,
// of which a word holds 64 rows.
void Hopfield::AddHebb(const RowBlock& block, Matrix* w) {
  constexpr int64_t kTile = 16;
  const auto different = cpu::FindLearnerKernels().CountDifferent;
  const int64_t words = (block.rows + 63) / 64;
  std::vector<uint64_t> bits(static_cast<size_t>(units_ * words));
  for (int64_t row = 0; row < block.rows; ++row) {
    const float* x = block.features + row * units_;
    uint64_t* to = bits.data() + row / 64;
    for (int64_t unit = 0; unit < units_; ++unit) {
      to[unit * words] |= static_cast<uint64_t>(x[unit] > 0 ? 1 : 0) << (row % 64);
    }
  }
  pool().ParallelFor((units_ + kTile - 1) / kTile, [&](int64_t tile) {
    for (int64_t i = tile * kTile; i < std::min(units_, (tile + 1) * kTile); ++i) {
      for (int64_t j = 0; j < i; ++j) {
        const int64_t apart = different(bits.data() + i * words, bits.data() + j * words, words);
        w->At(i, j) += static_cast<double>(block.rows - 2 * apart);
      }
    }
  });
}

// With h_ij = sum over k but i and j of w_ik x_k = h_i - w_ij x_j (w_ii is 0), which is of the
// couplings before this row:
// w_ij += (x_i x_j - x_i h_ji - h_ij x_j) / N.
void Hopfield::AddStorkey(const std::vector<double>& signs, int64_t rows, Matrix* w) {
  constexpr int64_t kTile = 16;
  const int64_t tiles = (units_ + kTile - 1) / kTile;
  std::vector<double> h(static_cast<size_t>(units_));
  const double share = 1 / static_cast<double>(units_);
  for (int64_t row = 0; row < rows; ++row) {
    const double* x = signs.data() + row * units_;
    pool().ParallelFor(tiles, [&](int64_t tile) {
      for (int64_t i = tile * kTile; i < std::min(units_, (tile + 1) * kTile); ++i) {
        double sum = 0;
        for (int64_t k = 0; k < units_; ++k) sum += w->At(i, k) * x[k];
        h[static_cast<size_t>(i)] = sum;
      }
    });
    pool().ParallelFor(tiles, [&](int64_t tile) {
      for (int64_t i = tile * kTile; i < std::min(units_, (tile + 1) * kTile); ++i) {
        double* own = w->Row(i);
        for (int64_t j = 0; j < units_; ++j) {
          if (j == i) continue;
          const double ij = h[static_cast<size_t>(i)] - own[j] * x[j];
          const double ji = h[static_cast<size_t>(j)] - own[j] * x[i];
          own[j] += share * (x[i] * x[j] - x[i] * ji - ij * x[j]);
        }
      }
    });
  }
}

// W = X^T Z with (X X^T) Z = X. Rows that others determine get a z of 0: the projection is the
// same.
void Hopfield::Project(Matrix* w) {
  const int64_t rows = training()->rows();
  Matrix x(rows, units_);
  int64_t row = 0;
  RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) {
    const std::vector<double> signs = SignsOf(block, units_);
    std::copy(signs.begin(), signs.end(), x.Row(row));
    row += block.rows;
  });
  Matrix turned(units_, rows);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < units_; ++k) turned.At(k, i) = x.At(i, k);
  }
  Matrix gram(rows, rows);
  AddGram(turned.values.data(), nullptr, units_, &gram, &pool());
  Matrix z = x;
  SolveSymmetric(&gram, &z, &pool());
  AddCross(x.values.data(), z.values.data(), nullptr, rows, w, &pool());
}

void Hopfield::Keep(const Matrix& w) {
  const double share = spec_.rule == HopfieldRule::kHebb ? 1 / static_cast<double>(units_) : 1;
  const std::span<float> couplings = couplings_->values<float>();
  for (int64_t i = 0; i < units_; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      const auto value = static_cast<float>(share * w.At(i, j));
      couplings[static_cast<size_t>(i * units_ + j)] = value;
      couplings[static_cast<size_t>(j * units_ + i)] = value;
    }
  }
}

ClassicLearner::StepResult Hopfield::Train(int64_t) {
  LearnLevels();
  Matrix w(units_, units_);
  if (spec_.rule == HopfieldRule::kPseudoInverse) {
    Project(&w);
  } else {
    RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) {
      if (spec_.rule == HopfieldRule::kHebb) {
        AddHebb(block, &w);
      } else {
        AddStorkey(SignsOf(block, units_), block.rows, &w);
      }
    });
  }
  Keep(w);
  StepResult result;
  // To let all rows fall takes longer than to store them.
  result.has_loss = false;
  result.examples = training()->rows();
  return result;
}

// What each unit gets from the others: [rows, units]. W is symmetric.
Matrix Hopfield::FieldsOf(const std::vector<double>& states, int64_t rows) {
  constexpr int64_t kColumns = 256;  // of the couplings, in double at once
  constexpr int64_t kTile = 32;
  Matrix fields(rows, units_);
  for (int64_t first = 0; first < units_; first += kColumns) {
    const int64_t width = std::min(kColumns, units_ - first);
    Matrix part(units_, width);
    const float* from = couplings_->values<float>().data() + first;
    for (int64_t i = 0; i < units_; ++i) std::copy_n(from + i * units_, width, part.Row(i));
    const Multiplier couplings(part);
    pool().ParallelFor((rows + kTile - 1) / kTile, [&](int64_t tile) {
      const int64_t row = tile * kTile;
      Matrix sums(std::min(kTile, rows - row), width);
      couplings.Add(states.data() + row * units_, nullptr, sums.rows, sums.values.data());
      for (int64_t i = 0; i < sums.rows; ++i) {
        std::copy_n(sums.Row(i), width, fields.Row(row + i) + first);
      }
    });
  }
  return fields;
}

// fields: of the state, and kept up to date.
void Hopfield::Fall(const std::vector<std::vector<int64_t>>& orders, std::span<double> fields,
                    std::span<double> state) const {
  const float* couplings = couplings_->values<float>().data();
  const auto add = [&](int64_t unit, double change) {
    const float* row = couplings + unit * units_;
    for (int64_t k = 0; k < units_; ++k) {
      fields[static_cast<size_t>(k)] += change * static_cast<double>(row[k]);
    }
  };
  for (const std::vector<int64_t>& order : orders) {
    bool changed = false;
    for (const int64_t unit : order) {
      double& x = state[static_cast<size_t>(unit)];
      // Fields that are zero but for rounding leave a unit as it is.
      if (fields[static_cast<size_t>(unit)] * x >= -1e-9) continue;
      add(unit, -2 * x);
      x = -x;
      changed = true;
    }
    if (!changed) return;
  }
}

void Hopfield::Infer(const RowBlock& block, const Inference& out) {
  std::vector<std::vector<int64_t>> orders;
  for (int64_t pass = 0; pass < spec_.max_passes; ++pass) {
    orders.push_back(
        Philox(spec_.seed, kOrderStream | static_cast<uint64_t>(pass)).Permutation(units_));
  }
  std::vector<double> states = SignsOf(block, units_);
  Matrix fields = FieldsOf(states, block.rows);
  const std::span<const float> levels = levels_->values<float>();
  pool().ParallelFor(block.rows, [&](int64_t row) {
    const std::span<double> state(states.data() + row * units_, static_cast<size_t>(units_));
    Fall(orders, {fields.Row(row), state.size()}, state);
    for (int64_t k = 0; k < units_; ++k) {
      const double x = state[static_cast<size_t>(k)];
      out.outputs[row * units_ + k] = levels[static_cast<size_t>(x > 0 ? units_ + k : k)];
      if (out.codes != nullptr) out.codes[row * units_ + k] = static_cast<float>(x);
    }
  });
}

int64_t Hopfield::WorkingBytes() const {
  const int64_t block = 16 * RowReader::kBlock * units_ + 8 * (spec_.max_passes + 2 * 256) * units_;
  if (training() == nullptr) return block;
  const int64_t rows = spec_.rule == HopfieldRule::kPseudoInverse ? training()->rows() : int64_t{0};
  return block + 8 * (units_ * units_ + rows * rows + 3 * rows * units_);
}

}  // namespace

std::unique_ptr<Learner> MakeHopfield(const HopfieldSpec& spec, const LearnerData& data) {
  return std::make_unique<Hopfield>(spec, data);
}

}  // namespace beamline::engine
