// Pictures of what a run found, for the terminal and for files.
#pragma once

#include <string>
#include <vector>

#include "beamline/v1/run.pb.h"
#include "clients/cli/terminal.h"

namespace beamline::cli {

// One picture, and the numbers in it.
struct Figure {
  // "roc", "precision_recall", "calibration", "confusion", "importance", "histogram.COLUMN",
  // "learning.METRIC", those of studies (scaling.h): letters, digits, '_', '-' and '.' only, so
  // that it can name a file.
  std::string name;
  std::string title = {};
  // With a header; numbers are exact.
  std::string csv = {};
  // A complete document; empty if there is too much to be seen (a confusion matrix of more than 200
  // classes).
  std::string svg = {};
  // Lines; empty if it does not fit.
  std::string text = {};
};

// All that the evaluation has, in the order above.
std::vector<Figure> EvaluationFigures(const v1::Evaluation& evaluation,
                                      const TerminalTraits& traits);

// One figure for each metric over the epochs (or steps, where there is one epoch), that of the
// training rows beside that of the validation rows. `events` with metrics, of one task, in order.
std::vector<Figure> LearningCurves(const std::vector<v1::Event>& events,
                                   const TerminalTraits& traits);

// "metric,value,low,high": with the ends of the interval, where there is one.
std::string MetricsCsv(const v1::Evaluation& evaluation);

}  // namespace beamline::cli
