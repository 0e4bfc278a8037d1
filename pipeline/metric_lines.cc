#include "pipeline/metric_lines.h"

#include <fcntl.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "pipeline/utf8.h"

namespace beamline::pipeline {
namespace {

constexpr size_t kMaxNameBytes = 100;
constexpr double kLargest = 9e15;  // a whole number that a double holds

using google::protobuf::Value;

ProgramWord Wrong(std::string why) {
  ProgramWord word;
  word.why = std::move(why);
  return word;
}

// The beginning of a text that is no longer than a name, whole characters only.
std::string Shortened(const std::string& text) {
  std::string start = text.substr(0, kMaxNameBytes);
  return start.substr(0, FirstInvalidUtf8(start));
}

// A number among the fields of a line, from `low` to `high`; false if it is something else. Absent
// ones stay as they are.
bool TakeNumber(const google::protobuf::Struct& line, const char* name, double low, double high,
                double* number) {
  const auto found = line.fields().find(name);
  if (found == line.fields().end()) return true;
  if (found->second.kind_case() != Value::kNumberValue) return false;
  *number = found->second.number_value();
  return std::isfinite(*number) && *number >= low && *number <= high;
}

ProgramWord ParseMetric(const google::protobuf::Struct& line, const Value& name) {
  ProgramWord word;
  double value = NAN;
  double step = 0;
  double epoch = 0;
  if (name.kind_case() != Value::kStringValue || name.string_value().empty() ||
      name.string_value().size() > kMaxNameBytes ||
      FirstInvalidUtf8(name.string_value()) != std::string_view::npos) {
    return Wrong("\"metric\" is a name of 1 to 100 bytes");
  }
  if (!TakeNumber(line, "value", -HUGE_VAL, HUGE_VAL, &value) || std::isnan(value)) {
    return Wrong("\"value\" of a metric is a number");
  }
  if (!TakeNumber(line, "step", 0, kLargest, &step) ||
      !TakeNumber(line, "epoch", 0, INT32_MAX, &epoch)) {
    return Wrong("\"step\" and \"epoch\" of a metric are whole numbers from 0");
  }
  word.kind = ProgramWord::kMetric;
  word.metric.set_name(name.string_value());
  word.metric.set_value(value);
  word.metric.set_step(static_cast<int64_t>(step));
  word.metric.set_epoch(static_cast<int32_t>(epoch));
  return word;
}

}  // namespace

ProgramWord ParseMetricLine(std::string_view text) {
  if (text.size() > kMaxMetricLineBytes) return Wrong("it is longer than 4096 bytes");
  google::protobuf::Struct line;
  if (!google::protobuf::util::JsonStringToMessage({text.data(), text.size()}, &line).ok()) {
    return Wrong("it is no JSON object");
  }
  const auto& fields = line.fields();
  if (const auto found = fields.find("metric"); found != fields.end()) {
    return ParseMetric(line, found->second);
  }
  ProgramWord word;
  double number = 0;
  if (fields.contains("progress")) {
    if (!TakeNumber(line, "progress", 0, 1, &word.progress)) {
      return Wrong("\"progress\" is a number from 0 to 1");
    }
    if (const auto found = fields.find("activity"); found != fields.end()) {
      word.activity = Shortened(found->second.string_value());
    }
    word.kind = ProgramWord::kProgress;
    return word;
  }
  if (fields.contains("checkpoint")) {
    if (!TakeNumber(line, "checkpoint", 0, kLargest, &number)) {
      return Wrong("\"checkpoint\" is the number of a step, from 0");
    }
    word.kind = ProgramWord::kCheckpoint;
    word.step = static_cast<int64_t>(number);
    return word;
  }
  return Wrong("it has none of \"metric\", \"progress\" and \"checkpoint\"");
}

MetricFile::MetricFile(const std::string& path)
    : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) {
  if (!fd_) engine::Fail("cannot make ", path, ": ", std::strerror(errno));
}

std::vector<ProgramWord> MetricFile::Read(int64_t most_bytes, bool last) {
  std::vector<ProgramWord> words;
  std::string bytes(static_cast<size_t>(std::clamp<int64_t>(kMaxBytes - read_, 0, most_bytes)),
                    '\0');
  struct stat info;
  // One that was opened anew to be written begins again.
  if (fstat(fd_.get(), &info) == 0 && info.st_size < offset_) {
    offset_ = 0;
    partial_.clear();
  }
  const ssize_t got = pread(fd_.get(), bytes.data(), bytes.size(), offset_);
  if (got > 0) {
    offset_ += got;
    read_ += got;
    partial_.append(bytes, 0, static_cast<size_t>(got));
  }
  size_t begin = 0;
  for (size_t end; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (end > begin) words.push_back(ParseMetricLine({partial_.data() + begin, end - begin}));
  }
  partial_.erase(0, begin);
  // So that a line without an end is not kept whole.
  if (partial_.size() > 2 * kMaxMetricLineBytes) partial_.resize(2 * kMaxMetricLineBytes);
  if (last && !partial_.empty()) words.push_back(ParseMetricLine(std::exchange(partial_, {})));
  return words;
}

bool MetricFile::TooLong() const {
  struct stat info;
  return fstat(fd_.get(), &info) == 0 && info.st_size - offset_ > kMaxBytes - read_;
}

}  // namespace beamline::pipeline
