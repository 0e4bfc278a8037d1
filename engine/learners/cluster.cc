#include "engine/learners/cluster.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/row_blocks.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;

// Blocks of rows that one thread compares at once.
constexpr int64_t kTile = 4;
// Parts whose sums are made apart: numbers that depend on the problem alone.
constexpr int64_t kMaxParts = 64;
constexpr int64_t kLeastPart = 128;              // blocks
constexpr int64_t kMostSums = int64_t{1} << 22;  // numbers, of all parts
// Streams of the seed: one a start.
constexpr uint64_t kDrawStream = uint64_t{0x6b2b2b} << 32;

// The row at which the running sum of `shares` first exceeds u times their sum.
int64_t DrawByShare(const std::vector<double>& shares, double u) {
  double total = 0;
  for (const double share : shares) total += share;
  double sum = 0;
  int64_t last = 0;
  for (size_t row = 0; row < shares.size(); ++row) {
    if (shares[row] > 0) last = static_cast<int64_t>(row);
    sum += shares[row];
    if (sum > u * total) return last;
  }
  return last;
}

void CopyRow(const ClusterRows& rows, int64_t row, double* to) {
  for (int64_t k = 0; k < rows.features(); ++k) to[k] = static_cast<double>(rows.At(row, k));
}

// Rows that are farthest from their centres, and how far; ties go to the first.
struct Far {
  double distance;
  int64_t row;
};
void KeepFarthest(double distance, int64_t row, size_t most, std::vector<Far>* farthest) {
  if (farthest->size() == most && distance <= farthest->back().distance) return;
  const auto place = std::find_if(farthest->begin(), farthest->end(),
                                  [&](const Far& far) { return far.distance < distance; });
  farthest->insert(place, {distance, row});
  if (farthest->size() > most) farthest->pop_back();
}

// Calls body(first row, squares) with the squared distances, [clusters, kLanes], of each block.
template <typename Body>
void ForBlocks(const float* rows, int64_t count, const Matrix& centres, ThreadPool* pool,
               const Body& body) {
  const auto distances = cpu::FindLearnerKernels().SquaredDistancesOfDoubles;
  const int64_t size = centres.columns;
  constexpr int64_t kRows = kTile * kLanes;
  pool->ParallelFor((count + kRows - 1) / kRows, [&](int64_t tile) {
    std::vector<float> block(static_cast<size_t>(size * kLanes));
    std::vector<double> squares(static_cast<size_t>(centres.rows * kLanes));
    for (int64_t first = tile * kRows; first < std::min(count, (tile + 1) * kRows);
         first += kLanes) {
      TransposeRows(rows + first * size, std::min(kLanes, count - first), size, block.data());
      distances(centres.values.data(), centres.rows, size, block.data(), squares.data());
      body(first, squares.data());
    }
  });
}

int64_t PartsOf(int64_t blocks, int64_t clusters, int64_t size) {
  return std::clamp<int64_t>(
      std::min(blocks / kLeastPart, kMostSums / std::max<int64_t>(1, clusters * size)), 1,
      kMaxParts);
}

// What a part of the rows adds to a pass.
struct PartSums {
  Matrix sums;
  std::vector<double> masses;
  double inertia = 0;
  double weight = 0;
  std::vector<Far> farthest;
};

void AddPart(const ClusterRows& rows, const Matrix& centres, int64_t first, int64_t last,
             PartSums* part) {
  const cpu::LearnerKernels& kernels = cpu::FindLearnerKernels();
  const int64_t size = centres.columns;
  const auto most = static_cast<size_t>(std::min<int64_t>(centres.rows, 64));
  part->sums = Matrix(centres.rows, size);
  part->masses.assign(static_cast<size_t>(centres.rows), 0);
  std::vector<double> squares(static_cast<size_t>(centres.rows * kLanes));
  for (int64_t block = first; block < last; ++block) {
    const float* values = rows.Block(block);
    kernels.SquaredDistancesOfDoubles(centres.values.data(), centres.rows, size, values,
                                      squares.data());
    double least[kLanes], which[kLanes];
    kernels.Least(squares.data(), centres.rows, least, which);
    for (int64_t lane = 0; lane < std::min(kLanes, rows.rows() - block * kLanes); ++lane) {
      const int64_t row = block * kLanes + lane;
      const double weight = rows.weights()[static_cast<size_t>(row)];
      const auto label = static_cast<int64_t>(which[lane]);
      part->weight += weight;
      part->inertia += weight * least[lane];
      part->masses[static_cast<size_t>(label)] += weight;
      double* sum = part->sums.Row(label);
      for (int64_t k = 0; k < size; ++k) {
        sum[k] += weight * static_cast<double>(values[k * kLanes + lane]);
      }
      if (weight > 0) KeepFarthest(least[lane], row, most, &part->farthest);
    }
  }
}

}  // namespace

ClusterRows::ClusterRows(const BatchSource& source, ThreadPool* pool)
    : features_(source.layout().features),
      values_(static_cast<size_t>((source.rows() + kLanes - 1) / kLanes * kLanes * features_)),
      weights_(static_cast<size_t>(source.rows())) {
  static_assert(RowReader::kBlock % kLanes == 0);
  RowReader(source, pool).ForEach([&](const RowBlock& block) {
    const int64_t first = block.index.front();
    for (int64_t i = 0; i < block.rows; ++i) {
      weights_[static_cast<size_t>(first + i)] = block.Weight(i);
    }
    pool->ParallelFor((block.rows + kLanes - 1) / kLanes, [&](int64_t tile) {
      const int64_t at = tile * kLanes;
      TransposeRows(block.features + at * features_, std::min(kLanes, block.rows - at), features_,
                    values_.data() + (first + at) * features_);
    });
  });
}

int64_t ClusterRows::blocks() const { return (rows() + kLanes - 1) / kLanes; }
const float* ClusterRows::Block(int64_t block) const {
  return values_.data() + block * kLanes * features_;
}
float ClusterRows::At(int64_t row, int64_t feature) const {
  return Block(row / kLanes)[feature * kLanes + row % kLanes];
}

void FindNearest(const float* rows, int64_t count, const Matrix& centres, int32_t* labels,
                 double* distances, ThreadPool* pool) {
  const auto find = cpu::FindLearnerKernels().Least;
  ForBlocks(rows, count, centres, pool, [&](int64_t first, const double* squares) {
    double least[kLanes], which[kLanes];
    find(squares, centres.rows, least, which);
    for (int64_t lane = 0; lane < std::min(kLanes, count - first); ++lane) {
      if (labels != nullptr) labels[first + lane] = static_cast<int32_t>(which[lane]);
      if (distances != nullptr) distances[first + lane] = least[lane];
    }
  });
}

void FindDistances(const float* rows, int64_t count, const Matrix& centres, double* distances,
                   ThreadPool* pool) {
  ForBlocks(rows, count, centres, pool, [&](int64_t first, const double* squares) {
    for (int64_t lane = 0; lane < std::min(kLanes, count - first); ++lane) {
      double* to = distances + (first + lane) * centres.rows;
      for (int64_t c = 0; c < centres.rows; ++c) to[c] = squares[c * kLanes + lane];
    }
  });
}

Matrix DrawCentres(const ClusterRows& rows, int64_t clusters, uint64_t seed, uint64_t start,
                   ThreadPool* pool) {
  const auto find = cpu::FindLearnerKernels().SquaredDistancesOfDoubles;
  const Philox random(seed, kDrawStream | start);
  const auto draw = [&](int64_t c) {
    return static_cast<double>(random.Bits(static_cast<uint64_t>(c)) >> 11) * 0x1p-53;
  };
  Matrix centres(clusters, rows.features());
  const std::vector<double>& weights = rows.weights();
  std::vector<double> shares = weights, nearest(weights.size());
  for (int64_t c = 0; c < clusters; ++c) {
    const bool spread = std::any_of(shares.begin(), shares.end(), [](double s) { return s > 0; });
    CopyRow(rows, DrawByShare(spread ? shares : weights, draw(c)), centres.Row(c));
    if (c + 1 == clusters) break;
    constexpr int64_t kBlocks = 64;
    pool->ParallelFor((rows.blocks() + kBlocks - 1) / kBlocks, [&](int64_t tile) {
      double squares[kLanes];
      for (int64_t block = tile * kBlocks; block < std::min(rows.blocks(), (tile + 1) * kBlocks);
           ++block) {
        find(centres.Row(c), 1, rows.features(), rows.Block(block), squares);
        for (int64_t lane = 0; lane < std::min(kLanes, rows.rows() - block * kLanes); ++lane) {
          const auto row = static_cast<size_t>(block * kLanes + lane);
          nearest[row] = c == 0 ? squares[lane] : std::min(nearest[row], squares[lane]);
          shares[row] = weights[row] * nearest[row];
        }
      }
    });
  }
  return centres;
}

LloydPass DoLloydPass(const ClusterRows& rows, const Matrix& centres, ThreadPool* pool) {
  const int64_t clusters = centres.rows;
  const int64_t size = centres.columns;
  const int64_t parts = PartsOf(rows.blocks(), clusters, size);
  std::vector<PartSums> sums(static_cast<size_t>(parts));
  pool->ParallelFor(parts, [&](int64_t part) {
    AddPart(rows, centres, rows.blocks() * part / parts, rows.blocks() * (part + 1) / parts,
            &sums[static_cast<size_t>(part)]);
  });
  LloydPass pass{Matrix(clusters, size)};
  std::vector<double> masses(static_cast<size_t>(clusters));
  std::vector<Far> farthest;
  for (const PartSums& part : sums) {
    pass.weight += part.weight;
    pass.inertia += part.inertia;
    for (size_t c = 0; c < masses.size(); ++c) masses[c] += part.masses[c];
    for (size_t i = 0; i < part.sums.values.size(); ++i) {
      pass.centres.values[i] += part.sums.values[i];
    }
    for (const Far& far : part.farthest) {
      KeepFarthest(far.distance, far.row, static_cast<size_t>(std::min<int64_t>(clusters, 64)),
                   &farthest);
    }
  }
  if (!(pass.weight > 0)) Fail("all training rows weigh 0: there is nothing to learn from");
  size_t moved = 0;
  for (int64_t c = 0; c < clusters; ++c) {
    double* centre = pass.centres.Row(c);
    const double mass = masses[static_cast<size_t>(c)];
    if (mass > 0) {
      for (int64_t k = 0; k < size; ++k) centre[k] /= mass;
    } else if (moved < farthest.size() && farthest[moved].distance > 0) {
      CopyRow(rows, farthest[moved++].row, centre);
    } else {
      std::copy_n(centres.Row(c), size, centre);
    }
    for (int64_t k = 0; k < size; ++k) {
      const double move = centre[k] - centres.At(c, k);
      pass.shift += move * move;
    }
  }
  return pass;
}

int64_t LloydBytes(int64_t rows, int64_t clusters, int64_t features) {
  return rows * (4 * features + 3 * 8) +
         8 * PartsOf(rows / kLanes, clusters, features) * clusters * features;
}

double MeanVariance(const ClusterRows& rows) {
  double weight = 0;
  for (const double w : rows.weights()) weight += w;
  if (!(weight > 0)) return 0;
  double variance = 0;
  for (int64_t k = 0; k < rows.features(); ++k) {
    const auto origin = static_cast<double>(rows.At(0, k));
    double sum = 0, squares = 0;
    for (int64_t row = 0; row < rows.rows(); ++row) {
      const double w = rows.weights()[static_cast<size_t>(row)];
      const double x = static_cast<double>(rows.At(row, k)) - origin;
      sum += w * x;
      squares += w * x * x;
    }
    variance += std::max(0.0, squares / weight - sum * sum / (weight * weight));
  }
  return variance / static_cast<double>(rows.features());
}

}  // namespace beamline::engine
