#include <set>

#include "absl/strings/str_cat.h"
#include "tests/sim/ask.h"
#include "tests/sim/checks/checks.h"

namespace beamline::sim {

void CheckDurability(World& world, server::Server& server, const Client& client, size_t project) {
  std::set<std::string> acknowledged;
  for (const auto& run : client.runs()) {
    if (!acknowledged.insert(run->name).second) {
      world.Fail("durability", absl::StrCat("two requests were answered with ", run->name));
    }
  }
  v1::ListRunsRequest request;
  request.set_parent(absl::StrCat("projects/", std::string(kProjects[project])));
  request.set_page_size(1000);
  const auto listed =
      Ask(server, server.runs(), &server::RunApi::ListRuns, Member(project), request);
  if (!listed.ok()) return world.Fail("durability", listed.status().ToString());
  std::set<std::string> there;
  for (const v1::Run& run : listed->runs()) there.insert(run.name());
  for (const std::string& name : acknowledged) {
    if (!there.contains(name)) world.Fail("durability", absl::StrCat(name, " is lost"));
  }
  for (const std::string& name : there) {
    if (!acknowledged.contains(name)) {
      world.Fail("durability", absl::StrCat(name, " was not asked for, or twice"));
    }
  }
}

}  // namespace beamline::sim
