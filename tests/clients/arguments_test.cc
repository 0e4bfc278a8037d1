#include "clients/cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/cli/help.h"

namespace beamline::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<Command> Commands() {
  return {
      {.path = "run create",
       .summary = "Run a pipeline",
       .positionals = {{.name = "PIPELINE.yaml", .completion = Completion::kFile}},
       .flags = {{"watch", "", "Follow it"},
                 {"set", "PATH=VALUE", "Override", {}, true},
                 {"priority", "N", "Priority"}},
       .details = "More."},
      {.path = "run list", .summary = "List runs", .positionals = {}, .flags = {}, .details = ""},
      {.path = "dataset upload",
       .summary = "Upload",
       .positionals = {{.name = "FILE", .repeated = true}},
       .flags = {},
       .details = ""},
      {.path = "status", .summary = "Status", .positionals = {}, .flags = {}, .details = ""},
  };
}

absl::StatusOr<ParsedLine> Parse(const std::vector<std::string>& words) {
  static const std::vector<Command> commands = Commands();
  return ParseLine(commands, words);
}

std::string ErrorOf(const std::vector<std::string>& words) {
  const auto line = Parse(words);
  EXPECT_FALSE(line.ok());
  EXPECT_EQ(ExitCodeOf(line.status()), ExitCode::kUsage);
  return std::string(line.status().message());
}

TEST(ParseLine, FindsCommandFlagsAndArguments) {
  const auto line = Parse({"--project", "p", "run", "create", "--watch", "a.yaml", "--set", "x=1",
                           "--set=y=2", "--priority=-3"});
  ASSERT_TRUE(line.ok()) << line.status();
  ASSERT_NE(line->command, nullptr);
  EXPECT_EQ(line->command->path, "run create");
  EXPECT_THAT(line->arguments.positionals(), ElementsAre("a.yaml"));
  EXPECT_TRUE(line->arguments.Has("watch"));
  EXPECT_FALSE(line->arguments.Has("json"));
  EXPECT_EQ(line->arguments.Get("project"), "p");
  EXPECT_THAT(line->arguments.All("set"), ElementsAre("x=1", "y=2"));
  EXPECT_EQ(line->arguments.Integer("priority", 0, -100, 100).value(), -3);
}

TEST(ParseLine, TwoDashesEndFlags) {
  const auto line = Parse({"dataset", "upload", "--json", "--", "--odd", "-x"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_THAT(line->arguments.positionals(), ElementsAre("--odd", "-x"));
  EXPECT_TRUE(line->arguments.Has("json"));
}

TEST(ParseLine, SuggestsCommands) {
  EXPECT_THAT(ErrorOf({"statsu"}), HasSubstr("did you mean \"beamline status\"?"));
  EXPECT_THAT(ErrorOf({"run", "craete"}), HasSubstr("did you mean \"beamline run create\"?"));
  EXPECT_THAT(ErrorOf({"run", "zzz"}), HasSubstr("see: beamline help run"));
  EXPECT_THAT(ErrorOf({"zzzzzz"}), HasSubstr("see: beamline help"));
}

TEST(ParseLine, SuggestsFlags) {
  EXPECT_THAT(ErrorOf({"run", "create", "--wacth", "x"}), HasSubstr("did you mean --watch?"));
  EXPECT_THAT(ErrorOf({"run", "list", "--prject", "x"}), HasSubstr("did you mean --project?"));
}

TEST(ParseLine, RefusesWrongCounts) {
  EXPECT_THAT(ErrorOf({"run", "create"}), HasSubstr("PIPELINE.yaml is missing"));
  EXPECT_THAT(ErrorOf({"run", "list", "x"}), HasSubstr("\"x\" is one argument too many"));
  EXPECT_THAT(ErrorOf({"run", "create", "a", "--set"}), HasSubstr("--set needs a value"));
  EXPECT_THAT(ErrorOf({"run", "create", "a", "--watch=1"}), HasSubstr("--watch takes no value"));
  EXPECT_THAT(ErrorOf({"run", "create", "a", "--priority=1", "--priority=2"}),
              HasSubstr("given twice"));
  EXPECT_THAT(ErrorOf({"run", "list", "-q"}), HasSubstr("flags are written --name"));
}

TEST(ParseLine, GroupsAndHelpNeedNoArguments) {
  const auto group = Parse({"run"});
  ASSERT_TRUE(group.ok());
  EXPECT_EQ(group->command, nullptr);
  EXPECT_EQ(group->group, "run");
  const auto help = Parse({"run", "create", "--help"});
  ASSERT_TRUE(help.ok()) << help.status();
  EXPECT_EQ(help->command->path, "run create");
  const auto nothing = Parse({});
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing->command, nullptr);
}

TEST(Arguments, IntegerNamesItsRange) {
  const auto line = Parse({"run", "create", "a", "--priority", "101"});
  ASSERT_TRUE(line.ok());
  const auto value = line->arguments.Integer("priority", 0, -100, 100);
  EXPECT_THAT(std::string(value.status().message()),
              HasSubstr("--priority is \"101\"; give a whole number from -100 to 100"));
  EXPECT_EQ(line->arguments.Integer("absent", 7, 0, 9).value(), 7);
}

TEST(Help, TellsEverythingInTheTable) {
  const std::string overview = Overview(Commands());
  for (const Command& command : Commands()) EXPECT_THAT(overview, HasSubstr(command.path));
  for (const ExitCodeInfo& info : ExitCodes()) {
    EXPECT_THAT(overview, HasSubstr(std::string(info.meaning)));
  }
  const std::string help = HelpFor(Commands()[0]);
  EXPECT_THAT(help, HasSubstr("usage: beamline run create PIPELINE.yaml [flags]"));
  EXPECT_THAT(help, HasSubstr("--set PATH=VALUE"));
  EXPECT_THAT(help, HasSubstr("--json"));
  EXPECT_EQ(Synopsis(Commands()[2]), "beamline dataset upload FILE...");
}

TEST(Completion, ListsCommandsAndFlags) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = CompletionScript(Commands(), shell);
    ASSERT_TRUE(script.ok());
    for (const char* word : {"dataset", "upload", "watch", "priority", "project"}) {
      EXPECT_THAT(*script, HasSubstr(word)) << shell;
    }
  }
  EXPECT_EQ(ExitCodeOf(CompletionScript(Commands(), "csh").status()), ExitCode::kUsage);
}

TEST(ExitCodes, TellFailuresApart) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(UsageError("x")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("x")), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("x")), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(absl::UnauthenticatedError("x")), ExitCode::kDenied);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("x")), ExitCode::kUnreachable);
  EXPECT_EQ(ExitCodeOf(absl::ResourceExhaustedError("x")), ExitCode::kBusy);
  EXPECT_EQ(ExitCodeOf(absl::UnimplementedError("x")), ExitCode::kUnimplemented);
  EXPECT_EQ(ExitCodeOf(absl::CancelledError("x")), ExitCode::kInterrupted);
}

}  // namespace
}  // namespace beamline::cli
