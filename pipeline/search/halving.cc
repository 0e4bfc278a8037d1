#include "pipeline/search/halving.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "pipeline/search/ranking.h"

namespace beamline::pipeline::search {
namespace {

constexpr int kDefaultReduction = 3;

// Of one trial with fixed rounds, the later ones continue the earlier ones.
int64_t EpochsOf(const std::vector<Round>& rounds) {
  int64_t sum = 0;
  int before = 0;
  for (const Round& round : rounds) {
    sum += int64_t{round.trials} * (round.epochs - before);
    before = round.epochs;
  }
  return sum;
}

// How often step_epochs can be divided by `reduction` and leave at least `least`.
int Divisions(int step_epochs, int reduction, int least) {
  int divisions = 0;
  for (int64_t power = reduction; least * power <= step_epochs; power *= reduction) ++divisions;
  return divisions;
}

// Brackets as they are made one behind the other, within what is left.
class Builder {
 public:
  Builder(const Setting& setting, int most_trials)
      : most_trials_(most_trials),
        epochs_left_(setting.search.max_epochs() > 0 ? setting.search.max_epochs() : INT64_MAX) {}

  void Add(int64_t trials, int reduction, int min_epochs, int step_epochs) {
    const auto rounds = [&](int n) { return HalvingRounds(n, reduction, min_epochs, step_epochs); };
    int most = static_cast<int>(std::min<int64_t>(trials, most_trials_ - (next_ - 1)));
    while (most > 0 && EpochsOf(rounds(most)) > epochs_left_) --most;
    if (most <= 0) return;
    brackets_.push_back({next_, rounds(most)});
    next_ += most;
    epochs_left_ -= EpochsOf(brackets_.back().rounds);
  }

  std::vector<Bracket> Take() { return std::move(brackets_); }

 private:
  int most_trials_;
  int64_t epochs_left_;
  int next_ = 1;
  std::vector<Bracket> brackets_;
};

// What is known of the trials of one round.
struct Standing {
  // Of those that succeeded, loss and number: the best first.
  std::vector<std::pair<double, int>> best;
  int ended = 0;
  int failed = 0;
};

class Planner {
 public:
  Planner(const Setting& setting, const std::vector<Outcome>& outcomes,
          const std::function<Values(int)>& draw)
      : setting_(setting), draw_(draw) {
    for (const Outcome& outcome : outcomes) {
      known_[{outcome.number, search::EpochsOf(outcome.epochs, setting)}] = &outcome;
    }
  }

  void Add(const Bracket& bracket) {
    std::vector<int> members(static_cast<size_t>(bracket.rounds[0].trials));
    for (size_t i = 0; i < members.size(); ++i) members[i] = bracket.first + static_cast<int>(i);
    // Members that the round can still come to have.
    int expected = bracket.rounds[0].trials;
    for (size_t i = 0; i < bracket.rounds.size(); ++i) {
      const Standing standing = Look(bracket, i, members);
      plan_.planned += expected;
      ended_ += standing.ended;
      if (i + 1 == bracket.rounds.size()) break;
      const int places = bracket.rounds[i + 1].trials;
      const int missing = expected - standing.ended;
      // Each missing result may be better than all that are known.
      const int certain = std::clamp(places - missing, 0, static_cast<int>(standing.best.size()));
      members.clear();
      for (int k = 0; k < certain; ++k) members.push_back(standing.best[k].second);
      std::sort(members.begin(), members.end());
      expected = std::min(places, expected - standing.failed);
    }
  }

  // Trials that go on come first, the farthest in front.
  Plan Take(int limit) {
    std::stable_sort(plan_.due.begin(), plan_.due.end(), [](const auto& a, const auto& b) {
      return a.after_epochs != b.after_epochs ? a.after_epochs > b.after_epochs
                                              : a.number < b.number;
    });
    if (plan_.due.size() > static_cast<size_t>(std::max(limit, 0))) {
      plan_.due.resize(static_cast<size_t>(std::max(limit, 0)));
    }
    plan_.complete = ended_ == plan_.planned;
    return std::move(plan_);
  }

 private:
  Standing Look(const Bracket& bracket, size_t round, const std::vector<int>& members) {
    Standing standing;
    const int epochs = bracket.rounds[round].epochs;
    const int before = round > 0 ? bracket.rounds[round - 1].epochs : 0;
    for (const int number : members) {
      const auto known = known_.find({number, epochs});
      if (known == known_.end()) {
        const bool last = epochs == setting_.step_epochs;
        plan_.due.push_back({number, last ? 0 : epochs, before, ValuesOf(number, before)});
        continue;
      }
      const Outcome& outcome = *known->second;
      if (!Ended(outcome)) continue;
      ++standing.ended;
      if (Succeeded(outcome)) {
        standing.best.emplace_back(Loss(outcome.value, setting_.maximize), number);
      } else {
        ++standing.failed;
      }
    }
    std::sort(standing.best.begin(), standing.best.end());
    return standing;
  }

  // A trial keeps the values with which it began.
  Values ValuesOf(int number, int before) const {
    const auto known = known_.find({number, before});
    return known == known_.end() ? draw_(number) : known->second->values;
  }

  const Setting& setting_;
  const std::function<Values(int)>& draw_;
  std::map<std::pair<int, int>, const Outcome*> known_;
  Plan plan_;
  int ended_ = 0;
};

}  // namespace

std::vector<Round> HalvingRounds(int trials, int reduction, int min_epochs, int step_epochs) {
  const int last = Divisions(step_epochs, reduction, std::max(1, min_epochs));
  std::vector<Round> rounds(static_cast<size_t>(last) + 1);
  int64_t power = 1;
  for (int i = 0; i <= last; ++i) {
    rounds[last - i].epochs = static_cast<int>(step_epochs / power);
    rounds[i].trials = std::max<int>(1, static_cast<int>(trials / power));
    power *= reduction;
  }
  return rounds;
}

std::vector<Bracket> Brackets(const Setting& setting, int most_trials) {
  Builder builder(setting, most_trials);
  const int step_epochs = std::max(1, setting.step_epochs);
  if (setting.search.has_successive_halving()) {
    const v1::SuccessiveHalving& halving = setting.search.successive_halving();
    const int reduction =
        halving.reduction_factor() > 1 ? halving.reduction_factor() : kDefaultReduction;
    builder.Add(halving.trials(), reduction, halving.min_epochs(), step_epochs);
    return builder.Take();
  }
  const v1::Hyperband& hyperband = setting.search.hyperband();
  const int reduction =
      hyperband.reduction_factor() > 1 ? hyperband.reduction_factor() : kDefaultReduction;
  const int most = Divisions(step_epochs, reduction, std::max(1, hyperband.min_epochs()));
  int64_t power = 1;
  for (int i = 0; i < most; ++i) power *= reduction;
  for (int s = most; s >= 0; --s) {
    const int64_t trials = ((most + 1) * power + s) / (s + 1);  // rounded up
    const int first_epochs = static_cast<int>(step_epochs / power);
    builder.Add(trials, reduction, first_epochs, step_epochs);
    power /= reduction;
  }
  return builder.Take();
}

Plan PlanBrackets(const Setting& setting, const std::vector<Bracket>& brackets,
                  const std::vector<Outcome>& outcomes, int limit,
                  const std::function<Values(int number)>& draw) {
  Planner planner(setting, outcomes, draw);
  for (const Bracket& bracket : brackets) planner.Add(bracket);
  return planner.Take(limit);
}

}  // namespace beamline::pipeline::search
