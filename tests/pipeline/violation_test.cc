#include "pipeline/violation.h"

#include <gtest/gtest.h>

#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"

namespace beamline::pipeline {
namespace {

TEST(Violations, TakeThePositionOfTheNearestFieldAround) {
  const Positions positions = {{"steps.train", {4, 3}}, {"steps.train.train.data", {5, 7}}};
  Violations violations(&positions);
  violations.Add("steps.train.train.data.target", "missing");
  violations.Add("steps.train.after", "unknown");
  violations.Add("name", "missing");
  EXPECT_EQ(FormatViolations(violations.list(), "p.yaml"),
            "p.yaml:5:7: steps.train.train.data.target: missing\n"
            "p.yaml:4:3: steps.train.after: unknown\n"
            "p.yaml: name: missing\n");
}

TEST(Violations, TravelAsStatusPayload) {
  Violations violations;
  violations.AddAt("name", "is missing", {2, 1});
  violations.Add("steps", "are missing");
  const absl::Status status = ToInvalidArgument(violations.list());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "2:1: name: is missing\nsteps: are missing");
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  ASSERT_TRUE(payload.has_value());
  google::rpc::BadRequest details;
  ASSERT_TRUE(details.ParseFromString(std::string(*payload)));
  ASSERT_EQ(details.field_violations_size(), 2);
  EXPECT_EQ(details.field_violations(0).description(), "line 2, column 1: is missing");
  EXPECT_TRUE(ToUnimplemented({}).ok());
}

TEST(Hint, NamesTheNearestOnly) {
  EXPECT_EQ(Hint("lables", {"label", "labels", "weight"}), " (did you mean \"labels\"?)");
  EXPECT_EQ(Hint("xyzzy", {"label"}), "");
}

}  // namespace
}  // namespace beamline::pipeline
