#include "server/rpc/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace beamline::server::rpc {
namespace {

using testing::HasSubstr;

std::string Refusal(const std::vector<std::string>& args) {
  const absl::StatusOr<Flags> flags = ParseFlags(args);
  EXPECT_EQ(flags.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(flags.status().message());
}

TEST(Flags, DefaultsAreWhatTheHelpSays) {
  const absl::StatusOr<Flags> flags = ParseFlags({});
  ASSERT_TRUE(flags.ok());
  EXPECT_THAT(HelpText(), HasSubstr("Default: " + flags->state));
  EXPECT_THAT(HelpText(), HasSubstr("Default: " + flags->listen));
  EXPECT_FALSE(flags->help || flags->version);
}

TEST(Flags, BothFormsOfValues) {
  const absl::StatusOr<Flags> flags =
      ParseFlags({"--state", "/s", "--listen=[::1]:0", "--name", "a", "--name=b", "--ready-file",
                  "r=1", "--init-admin=i", "--print-join-token=j", "--log-level", "debug"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->state, "/s");
  EXPECT_EQ(flags->listen, "[::1]:0");
  EXPECT_THAT(flags->names, testing::ElementsAre("a", "b"));
  EXPECT_EQ(flags->ready_file, "r=1");
  EXPECT_EQ(flags->init_admin, "i");
  EXPECT_EQ(flags->print_join_token, "j");
  EXPECT_EQ(flags->log_level, log::Level::kDebug);
}

TEST(Flags, MistakesAreNamed) {
  EXPECT_EQ(Refusal({"--sate", "x"}), "unknown argument \"--sate\": did you mean --state?");
  EXPECT_THAT(Refusal({"serve"}), HasSubstr("see --help"));
  EXPECT_EQ(Refusal({"--state"}), "--state needs a value: DIR");
  EXPECT_EQ(Refusal({"--state="}), "--state must not be empty");
  EXPECT_EQ(Refusal({"--help=yes"}), "--help takes no value");
  EXPECT_THAT(Refusal({"--log-level=loud"}), HasSubstr("not \"loud\""));
  EXPECT_THAT(Refusal({std::string(1 << 16, 'x')}), HasSubstr("see --help"));
}

TEST(Flags, TheAuditIsVerifiedInPlaceOfServing) {
  const absl::StatusOr<Flags> flags =
      ParseFlags({"audit", "verify", "--state", "/s", "--head=abc"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->command, "audit verify");
  EXPECT_EQ(flags->state, "/s");
  EXPECT_EQ(flags->head, "abc");
  EXPECT_THAT(Refusal({"audit"}), HasSubstr("unknown argument"));
  EXPECT_THAT(Refusal({"audit", "list"}), HasSubstr("unknown argument"));
}

TEST(Flags, CertificatesOfWorkersHaveALife) {
  EXPECT_EQ(ParseFlags({})->worker_certificate, 30 * 86'400);
  EXPECT_EQ(ParseFlags({"--worker-certificate=3600"})->worker_certificate, 3'600);
  EXPECT_THAT(Refusal({"--worker-certificate=2"}), HasSubstr("at least 3 seconds"));
  EXPECT_THAT(Refusal({"--worker-certificate=2592001"}), HasSubstr("at most 30 days"));
}

TEST(Flags, HelpNamesEveryFlag) {
  for (const char* name : {"--state", "--listen", "--name", "--ready-file", "--init-admin",
                           "--print-join-token", "--log-level", "--help", "--version"}) {
    EXPECT_THAT(HelpText(), HasSubstr(std::string("  ") + name));
  }
}

}  // namespace
}  // namespace beamline::server::rpc
