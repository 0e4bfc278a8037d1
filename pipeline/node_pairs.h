// Pairs of nodes as examples: link prediction.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "pipeline/examples.h"
#include "pipeline/node_graph.h"

namespace beamline::pipeline {

bool LearnsPairs(const v1::TrainingData& data);

// By their label.
inline constexpr std::array<const char*, 2> kPairClasses = {"absent", "present"};

struct SplitPairs {
  // Each part has as many pairs without an arc as pairs with one; Examples::labels says which.
  SplitExamples examples;
  // The arcs that layers may see: those of the training part.
  Arcs seen;
};

// Splits the arcs, and draws pairs that no arc joins from all that the whole table leaves. Depends
// on the arguments only. Throws engine::Error as ReadArcs
// does, as data::MakeSplit does, or if there are more arcs than pairs without one.
SplitPairs MakePairs(const engine::data::Table& nodes, const engine::data::Table& arcs,
                     const v1::TrainingData& data, uint64_t seed);

}  // namespace beamline::pipeline
