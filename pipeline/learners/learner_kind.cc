#include "pipeline/learners/learner_kind.h"

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "pipeline/text_value.h"

namespace beamline::pipeline {

void LearnerCheck::Add(std::string_view field, std::string_view description) {
  errors_.Add(absl::StrCat(path_, ".", A(field)), description);
}

void LearnerCheck::Range(std::string_view field, double value, double low, double high,
                         bool zero_is_default) {
  if (value >= low && value <= high) return;
  if (zero_is_default && value == 0) return;
  Add(field, absl::StrCat("must be from ", NumberText(low), " to ", NumberText(high), ", not ",
                          NumberText(value)));
}

void LearnerCheck::Count(std::string_view field, int64_t value, int64_t high, int64_t known,
                         std::string_view what) {
  if (value == 0) {
    Add(field, absl::StrCat("is missing: give 1 to ", high));
  } else if (value < 1 || value > high) {
    Add(field, absl::StrCat("must be from 1 to ", high, ", not ", value));
  } else if (known > 0 && value > known) {
    Add(field, absl::StrCat("is ", value, ", but there are only ", known, " ", A(what)));
  }
}

}  // namespace beamline::pipeline
