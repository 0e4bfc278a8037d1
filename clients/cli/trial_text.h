// Trials and what was measured of them, in words.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "beamline/v1/run.pb.h"
#include "google/protobuf/struct.pb.h"

namespace beamline::cli {

// For each key the shortest end of it, in whole parts, that no other key has:
// "train.network.optimizer.adam.learning_rate" -> "learning_rate".
using ShortNames = std::map<std::string, std::string>;
ShortNames ShortNamesOf(const std::vector<std::string>& keys);

// Of all trials, each key once, ascending.
std::vector<std::string> KeysOf(const v1::ListTrialsResponse& response);

// A value that was tried: whole numbers whole, others with at most four digits; lists and mappings
// as JSON.
std::string ValueText(const google::protobuf::Value& value);

// "learning_rate=0.0032, units=64", by key; one that `names` does not know stands in full.
std::string ParametersText(
    const google::protobuf::Map<std::string, google::protobuf::Value>& values,
    const ShortNames& names);

// Five digits: "0.95120".
std::string ObjectiveText(double value);

// "0.95120 +- 0.00210": the error to the same decimal place, unless it would vanish there.
std::string UncertainText(double value, double standard_error);

// Which task an event concerns: "tune.3.f2", "train".
std::string TaskLabel(const v1::Event& event);

// "data.target: no such column"; empty if there is no failure.
std::string FailureText(const v1::Failure& failure);

}  // namespace beamline::cli
