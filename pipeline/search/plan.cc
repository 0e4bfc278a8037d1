#include <algorithm>
#include <functional>
#include <map>

#include "pipeline/search/grid.h"
#include "pipeline/search/halving.h"
#include "pipeline/search/numbers.h"
#include "pipeline/search/population.h"
#include "pipeline/search/ranking.h"
#include "pipeline/search/search.h"
#include "pipeline/search/sobol.h"
#include "pipeline/search/space.h"
#include "pipeline/search/tpe.h"

namespace beamline::pipeline::search {
namespace {

constexpr int kDefaultStartupTrials = 10;
constexpr int kDefaultLag = 4;

using DrawValues = std::function<Values(int number)>;

Values RandomValues(const SearchSpace& space, uint64_t seed, int number) {
  return space.ValuesAt(
      [&](size_t d) { return Draws(seed, space.dimensions()[d].key()).Uniform(number, 0); });
}

// A digital shift, the same for all points: they stay as even as they are, and each is uniform.
Values SobolValues(const SearchSpace& space, uint64_t seed, int number) {
  const auto point =
      SobolPoint(static_cast<uint32_t>(number - 1), static_cast<int>(space.dimensions().size()));
  return space.ValuesAt([&](size_t d) {
    const uint32_t shift = Draws(seed, space.dimensions()[d].key()).Word(0, 0);
    return static_cast<double>(point[d] ^ shift) * 0x1p-32;
  });
}

int WantedTrials(const v1::Search& search) {
  switch (search.algorithm_case()) {
    case v1::Search::kGrid:
      return GridSize(search);
    case v1::Search::kRandom:
      return search.random().trials();
    case v1::Search::kSobol:
      return search.sobol().trials();
    case v1::Search::kTpe:
      return search.tpe().trials();
    case v1::Search::kPopulation:
      return search.population().population();
    default:
      return 0;
  }
}

// Of an algorithm whose trials all train to the end: as many as it has epochs for.
int FullTrials(const Setting& setting) {
  const int wanted = std::clamp(WantedTrials(setting.search), 0, kMaxTrials + 1);
  const int64_t most = setting.search.max_epochs();
  if (most <= 0) return wanted;
  return static_cast<int>(std::min<int64_t>(wanted, most / std::max(1, setting.step_epochs)));
}

// Outcomes of a search whose trials all train to the end, by number.
class FullTrainings {
 public:
  FullTrainings(const Setting& setting, const std::vector<Outcome>& outcomes)
      : trials_(std::min(FullTrials(setting), kMaxTrials)) {
    by_number_.assign(static_cast<size_t>(trials_) + 1, nullptr);
    for (const Outcome& outcome : outcomes) {
      if (outcome.number < 1 || outcome.number > trials_) continue;
      by_number_[static_cast<size_t>(outcome.number)] = &outcome;
    }
  }

  // Null: not among the outcomes.
  const Outcome* At(int number) const { return by_number_[static_cast<size_t>(number)]; }

  // Numbers 1 .. last, of which all have ended.
  int EndedTo() const {
    int last = 0;
    while (last < trials_ && EndedAt(last + 1)) ++last;
    return last;
  }

  std::vector<const Outcome*> First(int count) const {
    return {by_number_.begin() + 1, by_number_.begin() + 1 + count};
  }

  // Trials up to `last` may start.
  Plan Make(int last, int limit, const DrawValues& draw) const {
    Plan plan;
    plan.planned = trials_;
    plan.complete = EndedTo() == trials_;
    for (int number = 1; number <= std::min(last, trials_); ++number) {
      if (static_cast<int>(plan.due.size()) >= limit) break;
      if (!At(number)) plan.due.push_back({number, 0, 0, draw(number)});
    }
    return plan;
  }

 private:
  bool EndedAt(int number) const { return At(number) && Ended(*At(number)); }

  int trials_;
  std::vector<const Outcome*> by_number_;
};

Plan PlanTpe(const Setting& setting, const SearchSpace& space, const FullTrainings& trainings,
             int limit) {
  const v1::TpeSearch& tpe = setting.search.tpe();
  const int startup = tpe.startup_trials() > 0 ? tpe.startup_trials() : kDefaultStartupTrials;
  const int lag = tpe.lag() > 0 ? tpe.lag() : kDefaultLag;
  // Of trials whose results trial `number` does not know. They are made before it.
  std::map<int, Values> made;
  const auto running = [&](int number) {
    std::vector<const Values*> values;
    for (int n = number - lag + 1; n < number; ++n) {
      const Outcome* outcome = trainings.At(n);
      values.push_back(outcome ? &outcome->values : &made.at(n));
    }
    return values;
  };
  const auto draw = [&](int number) {
    const bool random = number <= startup || number <= lag;
    return made[number] = random ? RandomValues(space, setting.seed, number)
                                 : TpeValues(space, setting, trainings.First(number - lag),
                                             running(number), number);
  };
  return trainings.Make(std::max(startup, trainings.EndedTo() + lag), limit, draw);
}

}  // namespace

Plan MakePlan(const Setting& setting, const std::vector<Outcome>& outcomes, int limit) {
  const SearchSpace space(setting.search);
  const auto random = [&](int number) { return RandomValues(space, setting.seed, number); };
  const FullTrainings trainings(setting, outcomes);
  switch (setting.search.algorithm_case()) {
    case v1::Search::kGrid: {
      const std::vector<Values> grid = GridCombinations(space, kMaxTrials);
      return trainings.Make(kMaxTrials, limit,
                            [&](int number) { return grid[static_cast<size_t>(number) - 1]; });
    }
    case v1::Search::kSobol:
      return trainings.Make(kMaxTrials, limit,
                            [&](int number) { return SobolValues(space, setting.seed, number); });
    case v1::Search::kTpe:
      return PlanTpe(setting, space, trainings, limit);
    case v1::Search::kSuccessiveHalving:
    case v1::Search::kHyperband:
      return PlanBrackets(setting, Brackets(setting), outcomes, limit, random);
    case v1::Search::kPopulation:
      return PlanPopulation(setting, std::min(FullTrials(setting), kMaxTrials), outcomes, limit,
                            random);
    case v1::Search::kRandom:
    case v1::Search::ALGORITHM_NOT_SET:
      break;
  }
  return trainings.Make(kMaxTrials, limit, random);
}

int BestTrial(const Setting& setting, const std::vector<Outcome>& outcomes) {
  const Outcome* best = nullptr;
  const auto before = [&](const Outcome& a, const Outcome& b) {
    const int epochs_a = EpochsOf(a.epochs, setting);
    const int epochs_b = EpochsOf(b.epochs, setting);
    if (epochs_a != epochs_b) return epochs_a > epochs_b;
    const double loss_a = Loss(a.value, setting.maximize);
    const double loss_b = Loss(b.value, setting.maximize);
    return loss_a != loss_b ? loss_a < loss_b : a.number < b.number;
  };
  for (const Outcome& outcome : outcomes) {
    if (Succeeded(outcome) && (!best || before(outcome, *best))) best = &outcome;
  }
  return best ? best->number : 0;
}

int TrialCount(const Setting& setting) {
  if (!setting.search.has_successive_halving() && !setting.search.has_hyperband()) {
    return FullTrials(setting);
  }
  int trials = 0;
  for (const Bracket& bracket : Brackets(setting, kMaxTrials + 1)) {
    trials += bracket.rounds[0].trials;
  }
  return trials;
}

int GridSize(const v1::Search& search) {
  return static_cast<int>(GridCombinations(SearchSpace(search), kMaxTrials + 1).size());
}

}  // namespace beamline::pipeline::search
