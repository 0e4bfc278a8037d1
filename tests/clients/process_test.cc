#include "clients/cli/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "base/file.h"

namespace beamline::cli {
namespace {

class ProcessTest : public ::testing::Test {
 protected:
  absl::StatusOr<ChildProcess> Shell(const std::string& script) {
    return ChildProcess::Start({"/bin/sh", "-c", script}, log_);
  }

  TemporaryDirectory folder_;
  const std::string log_ = folder_.path() + "/log";
};

TEST_F(ProcessTest, TellsHowAProgramEnded) {
  auto child = Shell("echo one; echo two >&2; exit 3");
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_TRUE(child->WaitForEnd(10'000, 1'000));
  EXPECT_EQ(child->ending(), "exit code 3");
  EXPECT_EQ(ReadFile(log_).value(), "one\ntwo\n");
  EXPECT_EQ(LastLines(log_, 1), "two\n");
  EXPECT_EQ(LastLines(log_, 9), "one\ntwo\n");
}

TEST_F(ProcessTest, SignalsEndIt) {
  auto child = Shell("exec sleep 60");
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_TRUE(child->Running());
  EXPECT_FALSE(child->WaitForEnd(50, 1'000));
  child->Signal(SIGKILL);
  ASSERT_TRUE(child->WaitForEnd(10'000, 1'000));
  EXPECT_THAT(child->ending(), ::testing::HasSubstr("signal 9"));
}

TEST_F(ProcessTest, NothingOutlivesItsOwner) {
  pid_t pid = 0;
  {
    auto child = Shell("exec sleep 60");
    ASSERT_TRUE(child.ok()) << child.status();
    pid = child->pid();
  }
  EXPECT_NE(kill(pid, 0), 0);
}

TEST_F(ProcessTest, MissingProgramsAreNamed) {
  EXPECT_TRUE(absl::IsNotFound(ChildProcess::Start({"/nonexistent/x"}, log_).status()));
  EXPECT_THAT(std::string(SiblingProgram("no-such-program").status().message()),
              ::testing::HasSubstr("no-such-program"));
}

}  // namespace
}  // namespace beamline::cli
