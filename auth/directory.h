// What authentication has to look up. The server implements it over its store.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "beamline/v1/project.pb.h"

namespace beamline::auth {

// A token as stored.
struct TokenRecord {
  // "users/U".
  std::string user;
  // SHA-256 of the secret part, as MakeSecret gives it.
  std::string hash;
  std::optional<absl::Time> expire_time;
  bool revoked = false;
  // Ids of the only projects that it is for; empty: all of its user's.
  std::set<std::string> projects = {};
  // ROLE_UNSPECIFIED: its user's own.
  v1::Role max_role = v1::ROLE_UNSPECIFIED;
};

// What a user may do.
struct UserRecord {
  bool is_operator = false;
  // By project id.
  std::map<std::string, v1::Role> roles;
  // None of its tokens is accepted.
  bool disabled = false;
};

// Implementations are thread-safe and may block on disk. A thing that does not exist is an empty
// optional; an error means that it could not be found out, and the call is then refused with it.
class Directory {
 public:
  virtual ~Directory() = default;
  virtual absl::StatusOr<std::optional<TokenRecord>> FindToken(const std::string& token_id) = 0;
  // `user`: "users/U".
  virtual absl::StatusOr<std::optional<UserRecord>> FindUser(const std::string& user) = 0;
  // Whether `worker` ("workers/W") has joined and was not removed.
  virtual absl::StatusOr<bool> IsWorker(const std::string& worker) = 0;
};

}  // namespace beamline::auth
