// What of a definition may change while a network trains.
#pragma once

#include <string>

#include "beamline/v1/pipeline.pb.h"

namespace beamline::pipeline {

// The first field in which the two differ and that says more than how fast, how regular or by which
// penalties a network learns: with the state of one training the other cannot go on. Empty: there
// is none. Below a train step: "network.batch_size".
std::string FixedDifference(const v1::TrainStep& a, const v1::TrainStep& b);

}  // namespace beamline::pipeline
