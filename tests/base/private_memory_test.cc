#include "base/private_memory.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace beamline {
namespace {

// What `check` says in a process of its own after `act`: this one stays as it is.
int InChild(void (*act)(), int (*check)()) {
  const pid_t child = fork();
  if (child == 0) {
    act();
    _exit(check());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int CoreLimit() {
  rlimit limit;
  getrlimit(RLIMIT_CORE, &limit);
  return limit.rlim_cur == 0 && limit.rlim_max == 0 ? 0 : 1;
}
int Dumpable() { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }

TEST(PrivateMemoryTest, ForbidsCoreFiles) {
  EXPECT_EQ(InChild(ForbidCoreFiles, CoreLimit), 0);
  EXPECT_EQ(InChild(ForbidCoreFiles, Dumpable), 1);
  EXPECT_EQ(InChild(KeepMemoryPrivate, CoreLimit), 0);
}

TEST(PrivateMemoryTest, KeepsOthersOut) { EXPECT_EQ(InChild(KeepMemoryPrivate, Dumpable), 0); }

}  // namespace
}  // namespace beamline
