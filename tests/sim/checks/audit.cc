#include "store/audit.h"
#include "tests/sim/checks/checks.h"

namespace beamline::sim {

void CheckAuditChain(World& world, const std::string& database) {
  const auto head = store::CheckAudit(database, "");
  if (!head.ok()) return world.Fail("audit", head.status().ToString());
  if (head->sequence == 0) world.Fail("audit", "nothing is in it");
}

}  // namespace beamline::sim
