// Population-based training.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "pipeline/changeable.h"
#include "pipeline/learners/registry.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

// The draws of a trial have a place for each.
constexpr int kMaxGenerations = 1000;

}  // namespace

void CheckPopulation(Context& context, const std::string& path, const v1::Step& step) {
  const v1::PopulationSearch& population = step.search().population();
  if (!step.train().has_network()) {
    context.errors.Add(path, absl::StrCat("a ", LearnerField(step.train()),
                                          " cannot go on with other values than it began with, "
                                          "only a network can: use hyperband or tpe"));
    return;
  }
  if (step.has_cross_validation()) {
    context.errors.Add(path,
                       "finds a course of values, which belongs to one training, and not values "
                       "that folds could share: leave cross_validation out, or use hyperband or "
                       "tpe");
  }
  if (step.train().network().has_early_stopping()) {
    context.errors.Add(path,
                       "goes on with trainings that early_stopping would end: leave "
                       "train.network.early_stopping out");
  }
  const int most = std::min(kMaxGenerations, EpochsOf(step.train()));
  if (population.generations() < 2 || population.generations() > most) {
    context.errors.Add(path + ".generations",
                       absl::StrCat("must be from 2 to ", most, ", the epochs of the step (",
                                    kMaxGenerations, " at most), not ", population.generations()));
  }
  if (!(population.replaced() >= 0 && population.replaced() <= 0.5)) {
    context.errors.Add(path + ".replaced", "must be above 0 and at most 0.5");
  }
  if (!(population.resample() >= 0 && population.resample() <= 1)) {
    context.errors.Add(path + ".resample", "must be from 0 to 1");
  }
}

bool CheckCourse(Context& context, const std::string& path, const std::string& with,
                 const v1::TrainStep& before, const v1::TrainStep& after) {
  const std::string fixed = FixedDifference(before, after);
  if (fixed.empty()) return true;
  context.errors.Add(path, absl::StrCat(with, "train.", fixed,
                                        " is not as before, and cannot change while a network "
                                        "trains: a population searches for rates, penalties and "
                                        "the like; use hyperband or tpe for the rest"));
  return false;
}

}  // namespace beamline::pipeline::validation
