// How the values of a column are distributed in each class.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "beamline/v1/pipeline.pb.h"
#include "beamline/v1/run.pb.h"
#include "engine/data/table.h"

namespace beamline::pipeline {

inline constexpr int kDefaultBins = 50;
inline constexpr int kMostBins = 1000;
// Counts of all histograms of a step together: bins times twice the classes.
inline constexpr int64_t kMostCounts = 100'000;

// Rows and what is known of them; entry i of each belongs to the same row.
struct ClassifiedRows {
  const std::vector<int64_t>& rows;  // of the table
  std::span<const int32_t> labels;
  std::span<const int32_t> predicted;
  std::span<const float> weights;  // empty: each counts 1
};

// Adds a histogram for each request: for each class of `evaluation` a series of its rows, then
// for each one of the rows that are taken for it. Missing values and infinite ones do not count.
// Throws PlacedError below `path` for a column that does not exist or is no plain number, one
// without any value among the rows, and more than kMostCounts counts.
void AddHistograms(const engine::data::Table& table, const ClassifiedRows& rows,
                   const google::protobuf::RepeatedPtrField<v1::HistogramRequest>& requests,
                   const std::string& path, v1::Evaluation* evaluation);

}  // namespace beamline::pipeline
