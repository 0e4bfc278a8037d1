#include "base/private_memory.h"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace beamline {

void ForbidCoreFiles() {
  const rlimit none = {.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &none);
}

void KeepMemoryPrivate() {
  ForbidCoreFiles();
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

}  // namespace beamline
