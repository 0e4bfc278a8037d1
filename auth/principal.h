// Who makes a call, as authentication found it.
#pragma once

#include <map>
#include <string>

#include "beamline/v1/project.pb.h"

namespace beamline::auth {

// A value; safe to copy between threads. Nothing here is secret.
struct Principal {
  enum Kind { kAnonymous, kUser, kWorker };

  Kind kind = kAnonymous;
  // "users/U" or "workers/W"; empty for kAnonymous.
  std::string name;
  // Operators manage users, workers and all projects.
  bool is_operator = false;
  // By project id (without "projects/"): the caller's role there. Users only.
  std::map<std::string, v1::Role> roles;
  // T of the "users/U/tokens/T" that was used. Users only.
  std::string token_id;
  // Address of the other end as the transport names it: "ipv4:127.0.0.1:40112".
  std::string peer;
};

}  // namespace beamline::auth
