#include "pipeline/search/population.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "pipeline/search/numbers.h"
#include "pipeline/search/ranking.h"
#include "pipeline/search/space.h"

namespace beamline::pipeline::search {
namespace {

constexpr double kDefaultReplaced = 0.2;
constexpr double kDefaultResample = 0.25;

// What is drawn for a key of a trial that is replaced, and for the trial itself.
enum DrawPurpose { kWhether, kAnew, kDirection, kSource, kPurposes };

class Population {
 public:
  Population(const Setting& setting, int size, const std::vector<Outcome>& outcomes)
      : setting_(setting),
        settings_(setting.search.population()),
        size_(size),
        space_(setting.search),
        ends_(GenerationEnds(settings_.generations(), setting.step_epochs)) {
    for (const Outcome& outcome : outcomes) {
      known_[{outcome.number, EpochsOf(outcome.epochs, setting_)}] = &outcome;
    }
  }

  Plan Make(int limit, const std::function<Values(int)>& draw) const {
    Plan plan;
    const auto most = static_cast<size_t>(std::max(limit, 0));
    plan.planned = size_ * static_cast<int>(ends_.size());
    for (size_t generation = 0; generation < ends_.size(); ++generation) {
      std::map<int, Suggestion> parts;
      if (generation == 0) {
        for (int n = 1; n <= size_; ++n) parts[n] = {n, 0, 0, draw(n)};
      } else {
        parts = Successors(generation);
      }
      if (parts.empty()) {  // Nobody is left.
        plan.planned = size_ * static_cast<int>(generation);
        break;
      }
      bool ended = true;
      for (auto& [number, part] : parts) {
        const Outcome* outcome = Find(number, generation);
        ended = ended && outcome != nullptr && Ended(*outcome);
        if (outcome != nullptr || plan.due.size() >= most) continue;
        part.epochs = generation + 1 < ends_.size() ? ends_[generation] : 0;
        plan.due.push_back(std::move(part));
      }
      if (!ended) return plan;
    }
    plan.complete = true;
    return plan;
  }

 private:
  const Outcome* Find(int number, size_t generation) const {
    const auto known = known_.find({number, ends_[generation]});
    return known == known_.end() ? nullptr : known->second;
  }

  // Who goes on in `generation`, and from where. Empty if all trials of the one before failed.
  std::map<int, Suggestion> Successors(size_t generation) const {
    std::vector<std::pair<double, int>> ranks;
    std::vector<int> failed;
    for (int number = 1; number <= size_; ++number) {
      const Outcome* outcome = Find(number, generation - 1);
      if (outcome == nullptr || !Succeeded(*outcome)) {
        failed.push_back(number);
      } else {
        ranks.emplace_back(Loss(outcome->value, setting_.maximize), number);
      }
    }
    if (ranks.empty()) return {};
    std::sort(ranks.begin(), ranks.end());
    const auto size = static_cast<size_t>(size_);
    const double share = settings_.replaced() > 0 ? settings_.replaced() : kDefaultReplaced;
    const size_t wanted =
        std::clamp<size_t>(static_cast<size_t>(share * size_), size_ > 1 ? 1 : 0, size / 2);
    const size_t stay = std::min(ranks.size(), size - wanted);
    const size_t sources = std::clamp<size_t>(wanted, 1, stay);

    const int after = ends_[generation - 1];
    std::map<int, Suggestion> parts;
    const auto replace = [&](int number) {
      const double unit = Draws(setting_.seed, "").Uniform(number, DrawIndex(generation, kSource));
      const auto place = static_cast<size_t>(unit * static_cast<double>(sources));
      const int source = ranks[std::min(place, sources - 1)].second;
      parts[number] = {number, 0, after, Explore(number, source, generation), source};
    };
    for (size_t rank = 0; rank < ranks.size(); ++rank) {
      const int number = ranks[rank].second;
      if (rank >= stay) {
        replace(number);
      } else {
        parts[number] = {number, 0, after, Find(number, generation - 1)->values};
      }
    }
    for (const int number : failed) replace(number);
    return parts;
  }

  // Values near those of `source`, for trial `number`.
  Values Explore(int number, int source, size_t generation) const {
    const Values& from = Find(source, generation - 1)->values;
    const double resample = settings_.has_resample() ? settings_.resample() : kDefaultResample;
    Values values;
    for (const size_t d : space_.order()) {
      if (!space_.Active(d, values)) continue;
      const Dimension& dimension = space_.dimensions()[d];
      const Draws draws(setting_.seed, dimension.key());
      const auto uniform = [&](DrawPurpose purpose) {
        return draws.Uniform(number, DrawIndex(generation, purpose));
      };
      std::optional<google::protobuf::Value> value;
      if (const auto held = from.find(dimension.key());
          held != from.end() && uniform(kWhether) >= resample) {
        value = dimension.Near(held->second, uniform(kDirection) < 0.5);
      }
      values[dimension.key()] =
          value.has_value() ? *std::move(value) : dimension.ValueAt(uniform(kAnew));
    }
    return values;
  }

  // Generation 0 draws as random search does, at index 0.
  static int DrawIndex(size_t generation, DrawPurpose purpose) {
    return static_cast<int>(generation) * kPurposes + purpose;
  }

  const Setting& setting_;
  const v1::PopulationSearch& settings_;
  const int size_;
  const SearchSpace space_;
  const std::vector<int> ends_;
  std::map<std::pair<int, int>, const Outcome*> known_;
};

}  // namespace

std::vector<int> GenerationEnds(int generations, int step_epochs) {
  std::vector<int> ends;
  for (int64_t i = 1; i <= generations; ++i) {
    ends.push_back(static_cast<int>(i * step_epochs / generations));
  }
  return ends;
}

Plan PlanPopulation(const Setting& setting, int size, const std::vector<Outcome>& outcomes,
                    int limit, const std::function<Values(int number)>& draw) {
  return Population(setting, size, outcomes).Make(limit, draw);
}

}  // namespace beamline::pipeline::search
