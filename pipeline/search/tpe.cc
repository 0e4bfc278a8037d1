#include "pipeline/search/tpe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "pipeline/search/numbers.h"
#include "pipeline/search/parzen.h"
#include "pipeline/search/ranking.h"

namespace beamline::pipeline::search {
namespace {

constexpr int kCandidates = 24;
constexpr size_t kMostGood = 25;

// A tenth, rounded up.
size_t GoodOnes(size_t trials) { return std::min((trials + 9) / 10, kMostGood); }

Place PlaceOf(const SearchSpace& space, const Values& values) {
  Place place(space.dimensions().size());
  for (size_t d = 0; d < place.size(); ++d) {
    const auto value = values.find(space.dimensions()[d].key());
    if (value != values.end()) place[d] = space.dimensions()[d].CellOf(value->second);
  }
  return place;
}

// Indices of `known`, the best first.
std::vector<size_t> Ranking(const std::vector<const Outcome*>& known, bool maximize) {
  const auto rank = [&](size_t i) {
    const Outcome& outcome = *known[i];
    return std::make_tuple(!Succeeded(outcome),
                           Succeeded(outcome) ? Loss(outcome.value, maximize) : 0.0,
                           outcome.number);
  };
  std::vector<size_t> order(known.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return rank(a) < rank(b); });
  return order;
}

}  // namespace

Values TpeValues(const SearchSpace& space, const Setting& setting,
                 const std::vector<const Outcome*>& known, int number) {
  std::vector<Place> places;
  for (const Outcome* outcome : known) places.push_back(PlaceOf(space, outcome->values));
  std::vector<size_t> order = Ranking(known, setting.maximize);
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(GoodOnes(order.size()));
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  std::vector<const Place*> good;
  std::vector<const Place*> others;
  for (auto i = order.begin(); i != order.end(); ++i) {
    (i < middle ? good : others).push_back(&places[*i]);
  }
  std::vector<Draws> draws;
  for (const Dimension& dimension : space.dimensions()) {
    draws.emplace_back(setting.seed, dimension.key());
  }
  const Draws kernels(setting.seed, "");
  const Parzen likely(space, space.order(), good);
  const Parzen unlikely(space, space.order(), others);
  Values best;
  double best_score = -std::numeric_limits<double>::infinity();
  for (int candidate = 0; candidate < kCandidates; ++candidate) {
    const size_t kernel = likely.Kernel(kernels.Uniform(number, candidate));
    Values values = space.ValuesAt(
        [&](size_t d) { return likely.Draw(kernel, d, draws[d].Uniform(number, 1 + candidate)); });
    const Place place = PlaceOf(space, values);
    const double score = likely.LogDensity(place) - unlikely.LogDensity(place);
    if (score > best_score || candidate == 0) {
      best_score = score;
      best = std::move(values);
    }
  }
  return best;
}

}  // namespace beamline::pipeline::search
