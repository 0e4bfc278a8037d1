// What validation finds out about a train step, kept for those who plan it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "beamline/v1/dataset.pb.h"
#include "pipeline/learners/learner_kind.h"
#include "pipeline/network.h"

namespace beamline::pipeline {

struct TrainFacts {
  // Of a network; of an adversarial pair only `features` counts.
  NetworkFacts network;
  // Of a learner that is neither, and the bytes that it takes at the least beside its data.
  LearnerFacts learner;
  double learner_bytes = 0;
};

// What validation knew of the tables and the train steps of one definition.
struct Findings {
  // Inputs, and tables that steps make as far as their columns are known, by name. Without rows:
  // not made yet.
  std::map<std::string, v1::Dataset> tables;
  const v1::Dataset* Table(const std::string& name) const {
    const auto found = tables.find(name);
    return found == tables.end() ? nullptr : &found->second;
  }
  // By step; those whose widths depend on tables that are not made yet are missing.
  std::map<std::string, TrainFacts> trains;
};

}  // namespace beamline::pipeline
