// Who makes a call, as authentication found it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "beamline/v1/project.pb.h"

namespace beamline::auth {

struct Principal;

// By project id.
using Roles = std::map<std::string, v1::Role>;

// What remains of a user's roles under a token that is for `projects` only (empty: for all) and has
// no higher role than `max_role` (ROLE_UNSPECIFIED: any).
Roles Limit(Roles roles, const std::set<std::string>& projects, v1::Role max_role);

// A call under way that the audit is to have. Thread-safe.
class AuditedCall {
 public:
  virtual ~AuditedCall() = default;
  // Its entry is part of the transaction of what it changes.
  virtual void Written() = 0;
  // It was answered so. If it was OK and no entry was written, it changed nothing.
  virtual void End(const Principal& caller, const absl::Status& outcome) = 0;
};

// Who vouches for a caller that has no token of this server.
struct Outside {
  // The claims "iss" and "sub" of its token.
  std::string issuer;
  std::string subject;
  absl::Time expire_time;
};

// A value; safe to copy between threads. Nothing here is secret.
struct Principal {
  enum Kind { kAnonymous, kUser, kWorker };

  Kind kind = kAnonymous;
  // "users/U" or "workers/W"; empty for kAnonymous.
  std::string name;
  // Operators manage users, workers and all projects.
  bool is_operator = false;
  // By project id (without "projects/"): the caller's role there, as far as its token goes. Users
  // only.
  Roles roles;
  // Its token may less than its user: no rights of operators, and what follows.
  bool limited = false;
  // Of a limited token: the only projects that it is for (empty: not limited so), and the highest
  // role that it has there (ROLE_UNSPECIFIED: not limited so).
  std::set<std::string> token_projects;
  v1::Role token_max_role = v1::ROLE_UNSPECIFIED;
  // T of the "users/U/tokens/T" that was used. Users only.
  std::string token_id;
  // Null: it has a token of this server, or none. Otherwise it is no user that the server keeps:
  // its roles and rights are here only, and it has no tokens.
  std::shared_ptr<const Outside> outside;
  // Address of the other end as the transport names it: "ipv4:127.0.0.1:40112".
  std::string peer;
  // Null: the audit does not have this call, or not through the gate.
  std::shared_ptr<AuditedCall> call;
};

}  // namespace beamline::auth
