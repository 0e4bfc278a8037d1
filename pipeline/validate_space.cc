// The space of a search: values that each key may have, and when it is part of the search.
#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "pipeline/search/search.h"
#include "pipeline/text_value.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {

using search::kMaxTrials;

namespace {

// `grid`: the search needs a finite number of values.
void CheckInterval(Context& context, const std::string& path, const v1::Space& space, bool grid) {
  const bool logarithmic = space.has_log_uniform() || space.has_log_integer();
  const bool whole = space.has_integer() || space.has_log_integer();
  const v1::Interval& interval = space.has_uniform()       ? space.uniform()
                                 : space.has_log_uniform() ? space.log_uniform()
                                 : space.has_integer()     ? space.integer()
                                                           : space.log_integer();
  const double min = interval.min();
  const double max = interval.max();
  constexpr double kLargest = 1e15;
  if (!(std::abs(min) <= kLargest && std::abs(max) <= kLargest)) {
    context.errors.Add(path, "needs min and max between -1e15 and 1e15");
    return;
  }
  if (min >= max) {
    context.errors.Add(
        path, absl::StrCat("needs min < max, not ", NumberText(min), " and ", NumberText(max)));
    return;
  }
  if (space.has_log_uniform() && min <= 0) {
    context.errors.Add(path + ".min", "must be above 0 where the scale is logarithmic");
  }
  if (space.has_log_integer() && min < 1) context.errors.Add(path + ".min", "must be at least 1");
  if (whole && (min != std::floor(min) || max != std::floor(max))) {
    context.errors.Add(path, "needs whole numbers as min and max");
  }
  if (interval.step() != 0 && logarithmic) {
    context.errors.Add(path + ".step", "is not for logarithmic scales: use points");
  } else if (interval.step() < 0 || interval.step() > max - min) {
    context.errors.Add(path + ".step", "must be above 0, and at most max - min");
  } else if (whole && interval.step() != std::floor(interval.step())) {
    context.errors.Add(path + ".step", "must be a whole number");
  }
  if (interval.points() != 0 && (interval.points() < 2 || interval.points() > kMaxTrials)) {
    context.errors.Add(path + ".points", absl::StrCat("must be from 2 to ", kMaxTrials));
  } else if (interval.points() != 0 && interval.step() != 0) {
    context.errors.Add(path + ".points", "cannot be given with step");
  } else if (interval.points() != 0 && !grid) {
    context.errors.Add(path + ".points", "is for a grid: other searches draw any value");
  }
  if (grid && !space.has_integer() && interval.points() == 0 && interval.step() == 0) {
    context.errors.Add(path, absl::StrCat("a grid needs to know which values: give points",
                                          logarithmic ? "" : " or step"));
  }
}

}  // namespace

void CheckSpace(Context& context, const std::string& path, const v1::Space& space, bool grid) {
  switch (space.kind_case()) {
    case v1::Space::kChoice:
      if (space.choice().values().empty()) {
        context.errors.Add(path + ".choice", "is empty: list the values to be tried");
      } else if (space.choice().values_size() > kMaxTrials) {
        context.errors.Add(path + ".choice",
                           absl::StrCat("has ", space.choice().values_size(),
                                        " values: a search tries at most ", kMaxTrials));
      }
      return;
    case v1::Space::kUniform:
      return CheckInterval(context, path + ".uniform", space, grid);
    case v1::Space::kLogUniform:
      return CheckInterval(context, path + ".log_uniform", space, grid);
    case v1::Space::kInteger:
      return CheckInterval(context, path + ".integer", space, grid);
    case v1::Space::kLogInteger:
      return CheckInterval(context, path + ".log_integer", space, grid);
    case v1::Space::KIND_NOT_SET:
      context.errors.Add(path,
                         "does not say which values: give one of choice, uniform, log_uniform, "
                         "integer, log_integer");
  }
}

void CheckConditions(Context& context, const std::string& path, const v1::Search& search) {
  std::set<std::string> settled;
  const std::map<std::string, v1::Space> spaces(search.space().begin(), search.space().end());
  std::vector<std::string> keys;
  for (const auto& [key, space] : spaces) keys.push_back(key);
  bool known = true;
  for (const auto& [key, space] : spaces) {
    for (const auto& [other, values] : space.when()) {
      const std::string at = absl::StrCat(path, ".", key, ".when.", other);
      if (!spaces.contains(other)) {
        context.errors.Add(at, absl::StrCat("is no key of the space", Hint(other, keys)));
        known = false;
      } else if (values.values().empty()) {
        context.errors.Add(at, "is empty: list the values under which the condition holds");
      }
    }
  }
  for (bool progress = true; progress && known;) {
    progress = false;
    for (const auto& [key, space] : spaces) {
      if (settled.contains(key)) continue;
      const bool ready =
          std::all_of(space.when().begin(), space.when().end(),
                      [&](const auto& when) { return settled.contains(when.first); });
      if (!ready) continue;
      settled.insert(key);
      progress = true;
    }
  }
  for (const auto& [key, space] : spaces) {
    if (!known || settled.contains(key)) continue;
    context.errors.Add(absl::StrCat(path, ".", key, ".when"),
                       "depends on itself: conditions must not go in a circle");
    return;
  }
}

}  // namespace beamline::pipeline::validation
