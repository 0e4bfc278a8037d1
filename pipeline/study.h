// Scaling studies: a train step is trained again and again with other values, each training a task
// of its own (pipeline/trial.h). All are pure functions of the definition and of what has ended:
// nothing is kept between calls.
//
// Trainings are numbered from 1: those of the first combination of values, then those of the
// second; so a number says which combination it is, and which repeat.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "beamline/v1/pipeline.pb.h"
#include "beamline/v1/run.pb.h"
#include "beamline/v1/search.pb.h"

namespace beamline::pipeline {

// Combinations that one study has at most, and how often each is trained.
inline constexpr int kMaxStudyPoints = 200;
inline constexpr int kMaxStudyRepeats = 20;

// Keys that are no parameters and no paths. The last is known, and not built yet.
inline constexpr char kRowsKey[] = "rows";
inline constexpr char kThreadsKey[] = "threads";
inline constexpr char kWorkersKey[] = "workers";

// Combinations of the values; saturates above kMaxStudyPoints. 0 if nothing is varied.
int CountPoints(const v1::ScalingStudyStep& study);

// The next training, if all before it have ended; number 0: there is none. `failed`: by the number
// of each training that was made, whether it failed. What failed once is not repeated.
v1::Trial NextTraining(const v1::ScalingStudyStep& study, const std::map<int, bool>& failed);

// Whether a task that trains is one of a study.
bool IsStudied(const v1::Step& step, const v1::Trial& trial);

// The train step that takes the place of `study` for a training: the studied one under the name of
// the study, without search and cross-validation, and without checkpoints, which would take time.
// It has no kind if there is no such train step.
v1::Step TrainingOf(const v1::PipelineDefinition& definition, const v1::Step& study);

// Where a key of `study` leads once its training has taken its place: a path from the top.
std::string StudyPath(const v1::PipelineDefinition& definition, const v1::Step& study,
                      const std::string& key);

// A training that has ended.
struct EndedTraining {
  v1::Trial trial;
  // As its task measured it; without meaning if it failed.
  v1::ScalingStudy::Point measured;
  // Of its model: SHA-256.
  std::string digest;
  bool failed = false;
  v1::Failure failure;
};

struct StudySummary {
  v1::ScalingStudy table;
  int failed_points = 0;
  // Trainings that must give the model of another one, since they differ in threads or repeat
  // alone, and how many of them do not, bit for bit.
  int compared_models = 0;
  int different_models = 0;
};

// `trainings` in the order of their numbers, all of them.
StudySummary Summarize(const v1::ScalingStudyStep& study,
                       const std::vector<EndedTraining>& trainings);

}  // namespace beamline::pipeline
