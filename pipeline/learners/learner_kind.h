// What the pipeline has to know of a learner that is no network: what it can do, which values its
// fields may have, and how the engine's learner is made from them. See docs/learners.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "beamline/v1/learners.pb.h"
#include "engine/learners/learner.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {

// What is asked of a learner: the target, or the objective in place of one.
enum class LearnerTask { kClasses, kNumbers, kReconstruct, kForecast, kNextToken, kEmbed };

// What the data says. Numbers that are not known yet (at submission) are 0.
struct LearnerFacts {
  LearnerTask task = LearnerTask::kClasses;
  int64_t classes = 0;
  // Numbers to be predicted of an example.
  int64_t targets = 0;
  // Numbers that an example has; of windows and sequences those of all steps.
  int64_t features = 0;
  // Categories of each code column of a row.
  std::vector<int64_t> code_sizes;
  // Rows of an example; 0: it is a row of its own. With `has_lengths` at the most so many.
  int64_t steps = 0;
  bool has_lengths = false;
  // Training examples; at submission an upper bound.
  int64_t rows = 0;
  // There are rows to validate on.
  bool validates = false;
};

struct LearnerAbilities {
  bool classes = false;
  bool numbers = false;
  bool reconstruct = false;
  bool forecast = false;
  bool next_token = false;
  // Makes vectors of tokens.
  bool embed = false;
  // Examples of several rows: of equal length, and of any.
  bool windows = false;
  bool sequences = false;
  // Takes codes (ordinal) beside numbers; next_token and embed imply it.
  bool codes = false;
  // Takes event weights in training.
  bool weights = true;
  // Field with the number of epochs, which searches may deal out; empty: there is one.
  std::string_view epochs = {};
};

// Collects what is wrong with a learner's own fields. Only during a validation.
class LearnerCheck {
 public:
  // `path`: field path of the learner.
  LearnerCheck(const LearnerFacts& facts, std::string path, Violations* errors)
      : facts_(facts), path_(std::move(path)), errors_(*errors) {}

  const LearnerFacts& facts() const { return facts_; }
  void Add(std::string_view field, std::string_view description);
  // Adds an error unless low <= value <= high, or value is 0 and stands for the default.
  void Range(std::string_view field, double value, double low, double high,
             bool zero_is_default = true);
  // The same for a count that must be given, and at most `known` where that is not 0.
  void Count(std::string_view field, int64_t value, int64_t high, int64_t known,
             std::string_view what);

 private:
  const LearnerFacts& facts_;
  std::string path_;
  Violations& errors_;
};

// What an engine's learner is made from, beside its fields.
struct LearnerSetting {
  LearnerFacts facts;
  engine::LearnerData data;
  uint64_t seed = 0;
  int threads = 1;
};

struct LearnerKind {
  // The field in v1.TrainStep and v1.Learner: "linear". Their numbers are the same.
  std::string name;
  int field = 0;
  LearnerAbilities abilities;
  std::function<void(const google::protobuf::Message& fields, LearnerCheck& check)> check;
  // Fills in what is left out. Facts that are not known leave what depends on them open.
  std::function<void(const LearnerFacts& facts, google::protobuf::Message* fields)> complete;
  // Bytes of a training beside the data's own, from complete fields.
  std::function<double(const google::protobuf::Message& fields, const LearnerFacts& facts)> bytes;
  // From complete fields. Throws engine::Error.
  std::function<std::unique_ptr<engine::Learner>(const google::protobuf::Message& fields,
                                                 const LearnerSetting& setting)>
      make;
};

}  // namespace beamline::pipeline
