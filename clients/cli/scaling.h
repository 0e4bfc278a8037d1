// What a scaling study has found, for the terminal and for files.
#pragma once

#include <string>
#include <vector>

#include "beamline/v1/run.pb.h"
#include "clients/cli/figures.h"
#include "clients/cli/terminal.h"

namespace beamline::cli {

// A line for each combination: values, time, speed, how it scales, and what was measured on the
// validation rows; below it what failed, and whether models that must be the same are. Nothing if
// the task has no study.
std::string StudyTable(const v1::Task& task);

// "scaling" (the table with all numbers, exact, and no picture), then for each key "time.KEY",
// "speed_up.KEY" (of threads with the ideal line), of threads "efficiency.KEY", and
// "quality.KEY.METRIC" of the loss and of the best known other metric: a line for each combination
// of the other keys' values.
std::vector<Figure> StudyFigures(const v1::ScalingStudy& study, const TerminalTraits& traits);

}  // namespace beamline::cli
