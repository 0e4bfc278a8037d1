// What a search has found, for files.
#pragma once

#include <string>
#include <string_view>

#include "beamline/v1/run.pb.h"

namespace beamline::cli {

// A table (RFC 4180) of all trials in the order of the answer, with a header: "number", "state",
// "parameters.KEY" for each key, "value", "standard_error", "folds", "epochs" (empty: trained to
// the end), "seconds". Numbers are exact; a cell without a value is empty.
std::string TrialsCsv(const v1::ListTrialsResponse& search);

// A picture with the objective of each trial and the best so far, the objective against training
// time, the importance of the keys, and the objective against each of the six most important.
std::string TrialsSvg(const v1::ListTrialsResponse& search, std::string_view title);

}  // namespace beamline::cli
