// The real table of commands, and a server that is not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "clients/cli/arguments.h"
#include "clients/cli/connection.h"
#include "clients/cli/help.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Commands, AreComplete) {
  std::set<std::string> paths;
  for (const Command& command : AllCommands()) {
    EXPECT_TRUE(paths.insert(command.path).second) << command.path << " is there twice";
    EXPECT_NE(command.run, nullptr) << command.path;
    EXPECT_FALSE(command.summary.empty()) << command.path;
    EXPECT_FALSE(command.summary.ends_with('.')) << command.path;
    std::set<std::string> flags;
    for (const Flag& flag : GlobalFlags()) flags.insert(flag.name);
    for (const Flag& flag : command.flags) {
      EXPECT_TRUE(flags.insert(flag.name).second) << command.path << " --" << flag.name;
      EXPECT_FALSE(flag.help.empty()) << command.path << " --" << flag.name;
    }
  }
}

TEST(Commands, EachIsFoundByItsOwnName) {
  for (const Command& command : AllCommands()) {
    std::vector<std::string> words;
    size_t start = 0;
    for (size_t space; (space = command.path.find(' ', start)) != std::string::npos;) {
      words.push_back(command.path.substr(start, space - start));
      start = space + 1;
    }
    words.push_back(command.path.substr(start));
    words.push_back("--help");
    const auto line = ParseLine(AllCommands(), words);
    ASSERT_TRUE(line.ok()) << command.path << ": " << line.status();
    ASSERT_NE(line->command, nullptr) << command.path;
    EXPECT_EQ(line->command->path, command.path);
  }
}

TEST(Commands, HelpFitsATerminal) {
  std::string text = Overview(AllCommands());
  for (const Command& command : AllCommands()) text += HelpFor(command);
  size_t start = 0;
  for (size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    EXPECT_LE(end - start, 110u) << text.substr(start, end - start);
  }
}

TEST(Connection, NamesAnAddressThatDoesNotAnswer) {
  auto server = Connect({"127.0.0.1:1", "", "bl_a_b", "default"});
  ASSERT_TRUE(server.ok()) << server.status();
  const auto answer = (*server)->Call(kGetServerInfo, {}, 5'000);
  EXPECT_TRUE(absl::IsUnavailable(answer.status())) << answer.status();
  EXPECT_THAT(std::string(answer.status().message()),
              AllOf(HasSubstr("127.0.0.1:1"), HasSubstr("beamline dev")));
}

TEST(Connection, RefusesAnAddressWithoutPortAndAMissingAuthority) {
  EXPECT_THAT(std::string(Connect({"lab", "", "", "default"}).status().message()),
              HasSubstr("HOST:PORT"));
  EXPECT_THAT(
      std::string(Connect({"lab:7447", "/nonexistent/ca.pem", "", "default"}).status().message()),
      HasSubstr("/nonexistent/ca.pem"));
}

}  // namespace
}  // namespace beamline::cli
