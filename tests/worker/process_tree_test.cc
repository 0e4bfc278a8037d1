#include "worker/process_tree.h"
#include "absl/cleanup/cleanup.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace beamline::worker {
namespace {

// Pauses for ever, in two threads of it and of a child.
[[noreturn]] void PauseInThreads() {
  fork();
  std::thread second([] {
    while (true) pause();
  });
  while (true) pause();
}

bool WaitFor(bool stopped) {
  constexpr int kTries = 2'000;
  for (int i = 0; i < kTries; ++i) {
    if (AllStoppedBelow(std::to_string(getpid())) == stopped) return true;
    poll(nullptr, 0, 5);
  }
  return false;
}

TEST(ProcessTree, KnowsWhenNothingRunsAnyMore) {
  EXPECT_TRUE(WaitFor(true)) << "there is nothing yet";
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    PauseInThreads();
  }
  setpgid(child, child);
  const absl::Cleanup end = [child] { kill(-child, SIGKILL); };
  EXPECT_TRUE(WaitFor(false));
  for (int i = 0; i < 2000 && UseBelow(std::to_string(getpid()), 10, 10).threads < 4; ++i) {
    poll(nullptr, 0, 5);
  }
  ASSERT_GE(UseBelow(std::to_string(getpid()), 10, 10).threads, 4);
  // Of two processes one that runs is enough.
  kill(child, SIGSTOP);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  EXPECT_FALSE(AllStoppedBelow(std::to_string(getpid())));
  kill(-child, SIGSTOP);
  EXPECT_TRUE(WaitFor(true));
  kill(-child, SIGCONT);
  EXPECT_TRUE(WaitFor(false));
  kill(-child, SIGKILL);
  EXPECT_TRUE(WaitFor(true)) << "what has ended does not run";
  EXPECT_EQ(waitpid(child, &status, 0), child);
}

}  // namespace
}  // namespace beamline::worker
