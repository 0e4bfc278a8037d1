#include "auth/principal.h"

#include <algorithm>

namespace beamline::auth {

Roles Limit(Roles roles, const std::set<std::string>& projects, v1::Role max_role) {
  if (!projects.empty()) {
    std::erase_if(roles, [&](const auto& entry) { return !projects.contains(entry.first); });
  }
  if (max_role != v1::ROLE_UNSPECIFIED) {
    for (auto& [project, role] : roles) role = std::min(role, max_role);
  }
  return roles;
}

}  // namespace beamline::auth
