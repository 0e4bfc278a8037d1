// The real table of commands, and a server that is not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "clients/cli/arguments.h"
#include "clients/cli/connection.h"
#include "clients/cli/help.h"
#include "clients/cli/interrupt.h"
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

// Calls a server that takes connections and never answers, after Ctrl-C. Exits with 0 if the call
// was interrupted.
void CallAfterAnInterrupt() {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener.get(), 8) != 0 ||
      getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    _exit(2);
  }
  CatchInterrupts();
  raise(SIGINT);
  auto server =
      Connect({absl::StrCat("127.0.0.1:", ntohs(address.sin_port)), "", "bl_a_b", "default"});
  _exit(absl::IsCancelled((*server)->Call(kGetServerInfo, {}, 10'000).status()) ? 0 : 1);
}

TEST(ConnectionDeathTest, AnInterruptBetweenCallsEndsTheNext) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(CallAfterAnInterrupt(), ::testing::ExitedWithCode(0), "");
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
