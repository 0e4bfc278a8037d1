// What a program says while it runs: JSON lines that it appends to metrics.jsonl (docs/command.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "beamline/v1/event.pb.h"

namespace beamline::pipeline {

// One line, understood.
struct ProgramWord {
  enum Kind { kMetric, kProgress, kCheckpoint, kWrong };
  Kind kind = kWrong;
  v1::MetricValue metric;  // of kMetric
  double progress = 0;     // of kProgress, from 0 to 1
  std::string activity;    // of kProgress; may be empty
  int64_t step = 0;        // of kCheckpoint
  std::string why;         // of kWrong: what is wrong with the line
};

// Never throws. A line of more than kMaxMetricLineBytes is wrong.
inline constexpr size_t kMaxMetricLineBytes = 4 << 10;
ProgramWord ParseMetricLine(std::string_view line);

// Follows the file as it grows. Not thread-safe.
class MetricFile {
 public:
  // No more is read of all that it ever held. Unit: bytes.
  static constexpr int64_t kMaxBytes = int64_t{8} << 20;

  // Makes the file, empty. Throws engine::Error if that is not possible.
  explicit MetricFile(const std::string& path);
  // What was appended since the last time, up to `most_bytes`, as whole lines. `last`: no more will
  // come, so a line without its end counts too.
  std::vector<ProgramWord> Read(int64_t most_bytes, bool last);
  // Whether the file has more than will be read of it.
  bool TooLong() const;

 private:
  UniqueFd fd_;
  int64_t offset_ = 0;
  int64_t read_ = 0;
  std::string partial_;
};

}  // namespace beamline::pipeline
