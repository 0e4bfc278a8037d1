// What is said about a run that has ended.
#pragma once

#include <string>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "beamline/v1/run.pb.h"
#include "clients/cli/roc_plot.h"
#include "clients/cli/terminal.h"

namespace beamline::cli {

// Points of the first evaluation among the tasks' results that has a curve; empty if none has.
std::vector<RocPoint> RocOf(const std::vector<v1::Task>& tasks);

// Where the metric lies: "0.71000 to 0.85000 (95%)"; empty if it is not known.
std::string IntervalText(const v1::Evaluation& evaluation, const std::string& metric);

// State, failure, what the searches found, tables of metrics over folds and of models, the picture
// of the curve, and the models with their digests.
std::string RunSummary(const v1::Run& run, const std::vector<v1::Task>& tasks,
                       const std::vector<v1::ListTrialsResponse>& searches,
                       const std::vector<v1::Model>& models, const TerminalTraits& traits);

}  // namespace beamline::cli
