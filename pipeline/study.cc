#include "pipeline/study.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "pipeline/trial.h"

namespace beamline::pipeline {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Value;
using Point = v1::ScalingStudy::Point;

// Checkpoints are taken no more often: never.
constexpr double kNoCheckpointSeconds = 1e9;

int RepeatsOf(const v1::ScalingStudyStep& study) { return std::max(1, study.repeats()); }

int PointOf(const v1::ScalingStudyStep& study, const v1::Trial& trial) {
  return (trial.number() - 1) / RepeatsOf(study);
}

// For each key, ascending, the place of its value among those that are listed.
std::map<std::string, int> PlacesOf(const v1::ScalingStudyStep& study, int point) {
  const std::map<std::string, ListValue> vary(study.vary().begin(), study.vary().end());
  std::map<std::string, int> places;
  for (auto key = vary.rbegin(); key != vary.rend(); ++key) {
    places[key->first] = point % key->second.values_size();
    point /= key->second.values_size();
  }
  return places;
}

int PointAt(const v1::ScalingStudyStep& study, const std::map<std::string, int>& places) {
  int point = 0;
  for (const auto& [key, place] : places) {
    point = point * study.vary().at(key).values_size() + place;
  }
  return point;
}

const Value& ValueAt(const v1::ScalingStudyStep& study, const std::string& key, int place) {
  return study.vary().at(key).values(place);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The point without speed-ups.
Point PointFrom(const v1::ScalingStudyStep& study, int index,
                const std::vector<const EndedTraining*>& repeats) {
  Point point;
  std::vector<double> seconds;
  for (const EndedTraining* training : repeats) {
    if (training->failed) {
      point.Clear();
      *point.mutable_failure() = training->failure;
      break;
    }
    if (seconds.empty()) point = training->measured;
    seconds.push_back(training->measured.seconds());
  }
  for (const auto& [key, place] : PlacesOf(study, index)) {
    (*point.mutable_values())[key] = ValueAt(study, key, place);
  }
  if (point.has_failure()) return point;
  point.set_seconds(Median(seconds));
  point.mutable_repeats()->Assign(seconds.begin(), seconds.end());
  const double examples = static_cast<double>(point.examples()) * point.epochs();
  point.set_examples_per_second(point.seconds() > 0 ? examples / point.seconds() : 0);
  return point;
}

void AddSpeedUps(const v1::ScalingStudyStep& study, v1::ScalingStudy& table) {
  for (int i = 0; i < table.points_size(); ++i) {
    Point& point = *table.mutable_points(i);
    if (point.has_failure()) continue;
    const std::map<std::string, int> places = PlacesOf(study, i);
    for (const auto& [key, place] : places) {
      std::map<std::string, int> first = places;
      first[key] = 0;
      const Point& base = table.points(PointAt(study, first));
      if (base.has_failure() || base.examples_per_second() <= 0) continue;
      const double speed_up = point.examples_per_second() / base.examples_per_second();
      (*point.mutable_speed_up())[key] = speed_up;
      if (key != kThreadsKey) continue;
      point.set_efficiency(speed_up * ValueAt(study, key, 0).number_value() /
                           ValueAt(study, key, place).number_value());
    }
  }
}

}  // namespace

int CountPoints(const v1::ScalingStudyStep& study) {
  int64_t points = study.vary().empty() ? 0 : 1;
  for (const auto& [key, values] : study.vary()) {
    points = std::min<int64_t>(points * values.values_size(), kMaxStudyPoints + 1);
  }
  return static_cast<int>(points);
}

v1::Trial NextTraining(const v1::ScalingStudyStep& study, const std::map<int, bool>& failed) {
  v1::Trial trial;
  const int points = CountPoints(study);
  for (int point = 0; point < points; ++point) {
    for (int repeat = 0; repeat < RepeatsOf(study); ++repeat) {
      const int number = point * RepeatsOf(study) + repeat + 1;
      const auto known = failed.find(number);
      if (known != failed.end() && known->second) break;
      if (known != failed.end()) continue;
      trial.set_number(number);
      for (const auto& [key, place] : PlacesOf(study, point)) {
        (*trial.mutable_parameters())[key] = ValueAt(study, key, place);
      }
      return trial;
    }
  }
  return trial;
}

bool IsStudied(const v1::Step& step, const v1::Trial& trial) {
  return step.has_train() && !step.has_search() && trial.number() > 0;
}

v1::Step TrainingOf(const v1::PipelineDefinition& definition, const v1::Step& study) {
  v1::Step training;
  const v1::Step* studied = FindStep(definition, study.scaling_study().step());
  if (studied != nullptr && studied->has_train()) {
    training = *studied;
    training.clear_search();
    training.clear_cross_validation();
    v1::CheckpointPolicy& policy = *training.mutable_train()->mutable_checkpoint();
    policy.set_every_seconds(kNoCheckpointSeconds);
    policy.clear_every_steps();
  }
  training.set_name(study.name());
  training.mutable_after()->MergeFrom(study.after());
  return training;
}

std::string StudyPath(const v1::PipelineDefinition& definition, const v1::Step& study,
                      const std::string& key) {
  const std::string place = absl::StrCat("steps.", study.name(), ".");
  if (key == kRowsKey) return place + "train.data.limit";
  if (key == kThreadsKey) return place + "resources.cpus";
  const std::string& studied = study.scaling_study().step();
  const std::string path = SpacePath(definition, studied, key);
  for (int i = 0; i < definition.steps_size(); ++i) {
    if (definition.steps(i).name() != studied) continue;
    for (const std::string& prefix :
         {absl::StrCat("steps.", studied, "."), absl::StrCat("steps.", i, ".")}) {
      if (absl::StartsWith(path, prefix)) return place + path.substr(prefix.size());
    }
  }
  return path;
}

StudySummary Summarize(const v1::ScalingStudyStep& study,
                       const std::vector<EndedTraining>& trainings) {
  StudySummary summary;
  const std::map<std::string, ListValue> vary(study.vary().begin(), study.vary().end());
  for (const auto& [key, values] : vary) summary.table.add_keys(key);
  std::map<int, std::vector<const EndedTraining*>> by_point;
  // By the point that has the first number of threads, the model of the first that was trained.
  std::map<int, std::string> models;
  for (const EndedTraining& training : trainings) {
    const int point = PointOf(study, training.trial);
    by_point[point].push_back(&training);
    if (training.failed || training.digest.empty()) continue;
    std::map<std::string, int> places = PlacesOf(study, point);
    if (places.contains(kThreadsKey)) places[kThreadsKey] = 0;
    const auto [model, first] = models.emplace(PointAt(study, places), training.digest);
    summary.compared_models += first ? 0 : 1;
    summary.different_models += model->second != training.digest ? 1 : 0;
  }
  for (const auto& [point, repeats] : by_point) {
    *summary.table.add_points() = PointFrom(study, point, repeats);
    summary.failed_points += summary.table.points().rbegin()->has_failure() ? 1 : 0;
  }
  AddSpeedUps(study, summary.table);
  return summary;
}

}  // namespace beamline::pipeline
