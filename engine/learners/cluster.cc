#include "engine/learners/cluster.h"

#include <algorithm>
#include <limits>

#include "engine/core/error.h"
#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

constexpr int64_t kTile = 32;  // rows that one thread compares at once
// Streams of the seed: one a start.
constexpr uint64_t kDrawStream = uint64_t{0x6b2b2b} << 32;

double SquaredDistance(const float* row, const double* centre, int64_t size) {
  double lanes[4] = {};
  int64_t k = 0;
  for (; k + 4 <= size; k += 4) {
    for (int64_t lane = 0; lane < 4; ++lane) {
      const double difference = static_cast<double>(row[k + lane]) - centre[k + lane];
      lanes[lane] += difference * difference;
    }
  }
  for (; k < size; ++k) {
    const double difference = static_cast<double>(row[k]) - centre[k];
    lanes[0] += difference * difference;
  }
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

template <typename Body>
void ForTiles(int64_t count, ThreadPool* pool, const Body& body) {
  pool->ParallelFor((count + kTile - 1) / kTile, [&](int64_t tile) {
    for (int64_t row = tile * kTile; row < std::min(count, (tile + 1) * kTile); ++row) body(row);
  });
}

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

void CopyRow(const BatchSource& source, int64_t row, double* to) {
  std::vector<float> features(static_cast<size_t>(source.layout().features));
  source.Gather({&row, 1}, {.features = features.data()});
  std::copy(features.begin(), features.end(), to);
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

}  // namespace

void FindNearest(const float* rows, int64_t count, const Matrix& centres, int32_t* labels,
                 double* distances, ThreadPool* pool) {
  const int64_t size = centres.columns;
  ForTiles(count, pool, [&](int64_t row) {
    double least = std::numeric_limits<double>::infinity();
    int32_t label = 0;
    for (int64_t c = 0; c < centres.rows; ++c) {
      const double distance = SquaredDistance(rows + row * size, centres.Row(c), size);
      if (distance >= least) continue;
      least = distance;
      label = static_cast<int32_t>(c);
    }
    if (labels != nullptr) labels[row] = label;
    if (distances != nullptr) distances[row] = least;
  });
}

void FindDistances(const float* rows, int64_t count, const Matrix& centres, double* distances,
                   ThreadPool* pool) {
  const int64_t size = centres.columns;
  ForTiles(count, pool, [&](int64_t row) {
    for (int64_t c = 0; c < centres.rows; ++c) {
      distances[row * centres.rows + c] = SquaredDistance(rows + row * size, centres.Row(c), size);
    }
  });
}

Matrix DrawCentres(const BatchSource& source, int64_t clusters, uint64_t seed, uint64_t start,
                   ThreadPool* pool) {
  const Philox random(seed, kDrawStream | start);
  const auto draw = [&](int64_t c) {
    return static_cast<double>(random.Bits(static_cast<uint64_t>(c)) >> 11) * 0x1p-53;
  };
  Matrix centres(clusters, source.layout().features);
  const auto rows = static_cast<size_t>(source.rows());
  std::vector<double> weights(rows), shares(rows), nearest(rows), distances(RowReader::kBlock);
  RowReader reader(source, pool);
  reader.ForEach([&](const RowBlock& block) {
    for (int64_t i = 0; i < block.rows; ++i) {
      weights[static_cast<size_t>(block.index[static_cast<size_t>(i)])] = block.Weight(i);
    }
  });
  shares = weights;
  Matrix newest(1, centres.columns);
  for (int64_t c = 0; c < clusters; ++c) {
    const bool spread = std::any_of(shares.begin(), shares.end(), [](double s) { return s > 0; });
    CopyRow(source, DrawByShare(spread ? shares : weights, draw(c)), centres.Row(c));
    if (c + 1 == clusters) break;
    std::copy_n(centres.Row(c), centres.columns, newest.Row(0));
    reader.ForEach([&](const RowBlock& block) {
      FindNearest(block.features, block.rows, newest, nullptr, distances.data(), pool);
      for (int64_t i = 0; i < block.rows; ++i) {
        const auto row = static_cast<size_t>(block.index[static_cast<size_t>(i)]);
        const double distance = distances[static_cast<size_t>(i)];
        nearest[row] = c == 0 ? distance : std::min(nearest[row], distance);
        shares[row] = weights[row] * nearest[row];
      }
    });
  }
  return centres;
}

LloydPass DoLloydPass(const BatchSource& source, const Matrix& centres, ThreadPool* pool) {
  const int64_t clusters = centres.rows;
  const int64_t size = centres.columns;
  LloydPass pass{Matrix(clusters, size)};
  std::vector<double> masses(static_cast<size_t>(clusters));
  std::vector<int32_t> labels(RowReader::kBlock);
  std::vector<double> distances(RowReader::kBlock);
  std::vector<Far> farthest;
  RowReader(source, pool).ForEach([&](const RowBlock& block) {
    FindNearest(block.features, block.rows, centres, labels.data(), distances.data(), pool);
    for (int64_t i = 0; i < block.rows; ++i) {
      const double weight = block.Weight(i);
      const double distance = distances[static_cast<size_t>(i)];
      pass.weight += weight;
      pass.inertia += weight * distance;
      masses[static_cast<size_t>(labels[static_cast<size_t>(i)])] += weight;
      if (weight > 0) {
        KeepFarthest(distance, block.index[static_cast<size_t>(i)],
                     static_cast<size_t>(std::min<int64_t>(clusters, 64)), &farthest);
      }
    }
    // A cluster's rows are added in their order, whoever adds them.
    pool->ParallelFor(clusters, [&](int64_t c) {
      double* sum = pass.centres.Row(c);
      for (int64_t i = 0; i < block.rows; ++i) {
        if (labels[static_cast<size_t>(i)] != c) continue;
        const double weight = block.Weight(i);
        const float* row = block.features + i * size;
        for (int64_t k = 0; k < size; ++k) sum[k] += weight * static_cast<double>(row[k]);
      }
    });
  });
  if (!(pass.weight > 0)) Fail("all training rows weigh 0: there is nothing to learn from");
  size_t moved = 0;
  for (int64_t c = 0; c < clusters; ++c) {
    double* centre = pass.centres.Row(c);
    const double mass = masses[static_cast<size_t>(c)];
    if (mass > 0) {
      for (int64_t k = 0; k < size; ++k) centre[k] /= mass;
    } else if (moved < farthest.size() && farthest[moved].distance > 0) {
      CopyRow(source, farthest[moved++].row, centre);
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

double MeanVariance(const BatchSource& source, ThreadPool* pool) {
  const int64_t size = source.layout().features;
  std::vector<double> origin, sums(static_cast<size_t>(size)), squares(static_cast<size_t>(size));
  double weight = 0;
  RowReader(source, pool).ForEach([&](const RowBlock& block) {
    if (origin.empty()) origin.assign(block.features, block.features + size);
    for (int64_t i = 0; i < block.rows; ++i) {
      const double w = block.Weight(i);
      weight += w;
      for (int64_t k = 0; k < size; ++k) {
        const auto at = static_cast<size_t>(k);
        const double x = static_cast<double>(block.features[i * size + k]) - origin[at];
        sums[at] += w * x;
        squares[at] += w * x * x;
      }
    }
  });
  if (!(weight > 0)) return 0;
  double variance = 0;
  for (size_t k = 0; k < sums.size(); ++k) {
    variance += std::max(0.0, squares[k] / weight - sums[k] * sums[k] / (weight * weight));
  }
  return variance / static_cast<double>(size);
}

}  // namespace beamline::engine
