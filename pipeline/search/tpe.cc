#include "pipeline/search/tpe.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <tuple>
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

// Keys under the same conditions, which a trial has all or none of.
struct Group {
  std::vector<size_t> indices;
  std::vector<const Dimension*> dimensions;
};

bool SameConditions(const Dimension& a, const Dimension& b) {
  const auto is_in = [](const Dimension::Condition& condition, const Dimension& dimension) {
    return std::any_of(dimension.conditions().begin(), dimension.conditions().end(),
                       [&](const Dimension::Condition& other) {
                         return other.on == condition.on &&
                                SameValues(*other.values, *condition.values);
                       });
  };
  return a.conditions().size() == b.conditions().size() &&
         std::all_of(a.conditions().begin(), a.conditions().end(),
                     [&](const Dimension::Condition& condition) { return is_in(condition, b); });
}

// In an order in which conditions come first.
std::vector<Group> GroupsOf(const SearchSpace& space) {
  std::vector<Group> groups;
  for (const size_t d : space.order()) {
    const Dimension& dimension = space.dimensions()[d];
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& g) {
      return SameConditions(*g.dimensions[0], dimension);
    });
    if (group == groups.end()) group = groups.insert(groups.end(), Group{});
    group->indices.push_back(d);
    group->dimensions.push_back(&dimension);
  }
  return groups;
}

// Nothing if the trial lacks a key.
std::optional<Place> PlaceOf(const Group& group, const Values& values) {
  Place place;
  for (const Dimension* dimension : group.dimensions) {
    const auto value = values.find(dimension->key());
    if (value == values.end()) return std::nullopt;
    const std::optional<Cell> cell = dimension->CellOf(value->second);
    if (!cell) return std::nullopt;
    place.push_back(*cell);
  }
  return place;
}

// Trials that have the keys of a group, in the order of their numbers.
struct Trials {
  std::vector<Place> places;
  std::vector<const Place*> good;
  std::vector<const Place*> others;
};

Trials TrialsOf(const Group& group, const std::vector<const Outcome*>& known,
                const std::vector<const Values*>& running, bool maximize) {
  Trials trials;
  // Whether it failed, loss, index.
  std::vector<std::tuple<bool, double, size_t>> ranking;
  for (size_t i = 0; i < known.size(); ++i) {
    const double loss = Succeeded(*known[i]) ? Loss(known[i]->value, maximize) : 0;
    ranking.emplace_back(!Succeeded(*known[i]), loss, i);
  }
  std::sort(ranking.begin(), ranking.end());
  std::vector<bool> is_good(ranking.size(), false);
  for (size_t i = 0; i < GoodOnes(ranking.size()); ++i) is_good[std::get<2>(ranking[i])] = true;
  trials.places.reserve(known.size() + running.size());
  for (size_t i = 0; i < known.size(); ++i) {
    std::optional<Place> place = PlaceOf(group, known[i]->values);
    if (!place) continue;
    trials.places.push_back(*std::move(place));
    (is_good[i] ? trials.good : trials.others).push_back(&trials.places.back());
  }
  for (const Values* values : running) {
    std::optional<Place> place = PlaceOf(group, *values);
    if (!place) continue;
    trials.places.push_back(*std::move(place));
    trials.others.push_back(&trials.places.back());
  }
  return trials;
}

// Of the candidates the one with the highest quotient of both densities, as numbers on the scales.
std::vector<double> BestCandidate(const Group& group, const Trials& trials, uint64_t seed,
                                  int number) {
  const Parzen likely(group.dimensions, trials.good);
  const Parzen unlikely(group.dimensions, trials.others);
  std::vector<Draws> draws;
  for (const Dimension* dimension : group.dimensions) draws.emplace_back(seed, dimension->key());
  std::vector<double> best;
  double best_score = 0;
  for (int candidate = 0; candidate < kCandidates; ++candidate) {
    // A kernel is drawn for all keys of the group, by the first's name.
    const size_t kernel = likely.Kernel(draws[0].Uniform(number, 2 * candidate));
    std::vector<double> units;
    Place place;
    for (size_t d = 0; d < draws.size(); ++d) {
      units.push_back(likely.Draw(kernel, d, draws[d].Uniform(number, 2 * candidate + 1)));
      const Dimension& dimension = *group.dimensions[d];
      place.push_back(*dimension.CellOf(dimension.ValueAt(units.back())));
    }
    const double score = likely.LogDensity(place) - unlikely.LogDensity(place);
    if (candidate == 0 || score > best_score) {
      best_score = score;
      best = std::move(units);
    }
  }
  return best;
}

}  // namespace

Values TpeValues(const SearchSpace& space, const Setting& setting,
                 const std::vector<const Outcome*>& known,
                 const std::vector<const Values*>& running, int number) {
  Values values;
  for (const Group& group : GroupsOf(space)) {
    if (!space.Active(group.indices[0], values)) continue;
    const Trials trials = TrialsOf(group, known, running, setting.maximize);
    const std::vector<double> units = BestCandidate(group, trials, setting.seed, number);
    for (size_t d = 0; d < units.size(); ++d) {
      values[group.dimensions[d]->key()] = group.dimensions[d]->ValueAt(units[d]);
    }
  }
  return values;
}

}  // namespace beamline::pipeline::search
