#include "clients/cli/error_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/cord.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/json.h"
#include "google/protobuf/struct.pb.h"
#include "google/rpc/error_details.pb.h"

namespace beamline::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

absl::Status Refused() {
  google::rpc::BadRequest details;
  auto* first = details.add_field_violations();
  first->set_field("steps.train.train.data.target");
  first->set_description("the input has no column \"y\"");
  auto* second = details.add_field_violations();
  second->set_field("steps.train.resources.cpus");
  second->set_description("must not be negative");
  absl::Status status = absl::InvalidArgumentError("the definition has 2 errors");
  status.SetPayload("type.googleapis.com/google.rpc.BadRequest",
                    absl::Cord(details.SerializeAsString()));
  return status;
}

TEST(ErrorText, ShowsEveryViolation) {
  EXPECT_EQ(ErrorText(Refused()),
            "error: the definition has 2 errors\n"
            "  steps.train.train.data.target: the input has no column \"y\"\n"
            "  steps.train.resources.cpus: must not be negative\n");
}

TEST(ErrorText, TakesThePositionFromTheDescription) {
  google::rpc::BadRequest details;
  auto* violation = details.add_field_violations();
  violation->set_field("seed");
  violation->set_description("line 2, column 7: is no number");
  absl::Status status = absl::InvalidArgumentError("x");
  status.SetPayload("type.googleapis.com/google.rpc.BadRequest",
                    absl::Cord(details.SerializeAsString()));
  const std::vector<v1::Violation> violations = ViolationsOf(status);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(ViolationLine("p.yaml", violations[0]), "p.yaml:2:7: seed: is no number");
}

TEST(ErrorText, SaysWhenToTryAgain) {
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(3);
  absl::Status status = absl::ResourceExhaustedError("too many queued runs");
  status.SetPayload("type.googleapis.com/google.rpc.RetryInfo",
                    absl::Cord(info.SerializeAsString()));
  EXPECT_THAT(ErrorText(status), HasSubstr("try again in 3.0 s"));
  EXPECT_THAT(ErrorJson(status), HasSubstr("\"retry_after_ms\":3000"));
}

TEST(ErrorText, MalformedDetailsAreNoDetails) {
  absl::Status status = absl::InvalidArgumentError("x");
  status.SetPayload("type.googleapis.com/google.rpc.BadRequest", absl::Cord("\xff\xff"));
  EXPECT_EQ(ErrorText(status), "error: x\n");
}

TEST(ErrorText, JsonIsOneDocument) {
  google::protobuf::Struct root;
  ASSERT_TRUE(ParseJson(ErrorJson(Refused()), &root).ok());
  const auto& error = root.fields().at("error").struct_value().fields();
  EXPECT_EQ(error.at("code").string_value(), "INVALID_ARGUMENT");
  EXPECT_EQ(error.at("violations").list_value().values_size(), 2);
  EXPECT_THAT(ErrorJson(UsageError("x")), HasSubstr("\"code\":\"USAGE\""));
}

TEST(ViolationLine, NamesThePlace) {
  v1::Violation violation;
  violation.set_field("steps.0.name");
  violation.set_description("is empty");
  EXPECT_EQ(ViolationLine("p.yaml", violation), "p.yaml: steps.0.name: is empty");
  violation.set_line(3);
  violation.set_column(7);
  EXPECT_EQ(ViolationLine("p.yaml", violation), "p.yaml:3:7: steps.0.name: is empty");
  violation.set_description("a\x1b[2J");
  EXPECT_THAT(ViolationLine("p.yaml", violation), Not(HasSubstr("\x1b")));
}

TEST(Json, ValuesOfParameters) {
  EXPECT_DOUBLE_EQ(ValueOf("0.01").number_value(), 0.01);
  EXPECT_DOUBLE_EQ(ValueOf("-1e-3").number_value(), -1e-3);
  EXPECT_TRUE(ValueOf("true").bool_value());
  EXPECT_EQ(ValueOf("relu").string_value(), "relu");
  EXPECT_EQ(ValueOf("512 MiB").string_value(), "512 MiB");
  EXPECT_EQ(ValueOf("\"3\"").string_value(), "3");
  EXPECT_EQ(ValueOf("[1, 2]").list_value().values_size(), 2);
  EXPECT_EQ(ValueOf("").string_value(), "");
  EXPECT_EQ(ValueOf("null").kind_case(), google::protobuf::Value::kNullValue);
}

TEST(Json, EnumWords) {
  EXPECT_EQ(EnumWord("RUN_STATE_SUCCEEDED", "RUN_STATE_"), "succeeded");
  EXPECT_EQ(EnumWord("FAILURE_KIND_OUT_OF_MEMORY", "FAILURE_KIND_"), "out of memory");
}

}  // namespace
}  // namespace beamline::cli
