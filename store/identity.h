// Users, their tokens, projects and who is a member of them, and the join tokens of workers.
//
// Ids here are bare ("ada", not "users/ada"). Secrets are never stored: `secret_hash` is whatever
// the caller compares, kept as bytes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "beamline/v1/project.pb.h"
#include "store/store.h"

namespace beamline::store {

// A token with what must not leave the server.
struct StoredToken {
  // The part of the secret that is looked up: "bl_<id>_<secret>".
  std::string id;
  std::string user;
  std::string secret_hash;
  std::string description;
  absl::Time create_time;
  // absl::InfiniteFuture(): never.
  absl::Time expire_time = absl::InfiniteFuture();
  // absl::InfinitePast(): not used yet.
  absl::Time last_use_time = absl::InfinitePast();
  bool revoked = false;
  // Ids of the only projects that it is for; empty: all of its user's.
  std::vector<std::string> projects = {};
  // ROLE_UNSPECIFIED: its user's own.
  v1::Role max_role = v1::ROLE_UNSPECIFIED;
};

struct JoinToken {
  std::string id;
  std::string secret_hash;
  // How many more workers may join with it.
  int64_t uses_left = 1;
  absl::Time expire_time = absl::InfiniteFuture();
  std::string pool;
};

// What authentication needs about a user, in one look.
struct Identity {
  v1::User user;
  // Project id -> role.
  std::map<std::string, v1::Role> roles;
};

// All of these: NotFound if there is no such thing; other failures as Connection has them.
absl::StatusOr<v1::User> GetUser(const View& view, std::string_view user);
absl::StatusOr<Identity> GetIdentity(const View& view, std::string_view user);
absl::StatusOr<StoredToken> GetToken(const View& view, std::string_view token);
absl::StatusOr<JoinToken> GetJoinToken(const View& view, std::string_view join_token);
absl::StatusOr<v1::Project> GetProject(const View& view, std::string_view project);
// Operators who are not disabled.
absl::StatusOr<int64_t> CountOperators(const View& view);
// ROLE_UNSPECIFIED if the user is not a member.
absl::StatusOr<v1::Role> GetRole(const View& view, std::string_view project, std::string_view user);

// Lists are ordered by id, start behind `after` and hold at most `limit` entries.
absl::StatusOr<std::vector<v1::User>> ListUsers(const View& view, std::string_view after,
                                                int64_t limit);
absl::StatusOr<std::vector<StoredToken>> ListTokens(const View& view, std::string_view user);
// Only those that `member` belongs to, unless that is empty.
absl::StatusOr<std::vector<v1::Project>> ListProjects(const View& view, std::string_view member,
                                                      std::string_view after, int64_t limit);
absl::StatusOr<std::vector<v1::Member>> ListMembers(const View& view, std::string_view project);

// AlreadyExists if the id is taken.
absl::Status InsertUser(Writer& writer, std::string_view user, bool is_operator, absl::Time now,
                        bool service_account = false);
// Whether it is an operator, and disabled. NotFound if there is no such user.
absl::Status UpdateUser(Writer& writer, const v1::User& user);
absl::Status InsertProject(Writer& writer, const v1::Project& project, absl::Time now);
// FailedPrecondition if the user does not exist.
absl::Status InsertToken(Writer& writer, const StoredToken& token);
absl::Status InsertJoinToken(Writer& writer, const JoinToken& token);

// Replaces description and quota. NotFound if there is no such project.
absl::Status UpdateProject(Writer& writer, const v1::Project& project);
// Adds the member or changes its role. FailedPrecondition if there is no such project or user.
absl::Status PutMember(Writer& writer, std::string_view project, std::string_view user,
                       v1::Role role);
// NotFound if it was not a member.
absl::Status DeleteMember(Writer& writer, std::string_view project, std::string_view user);
// NotFound if there is no such token. Revoking twice succeeds.
absl::Status RevokeToken(Writer& writer, std::string_view token);
// Of a token that is good no more: nothing says then that it ever was, but the audit.
absl::Status DeleteToken(Writer& writer, std::string_view token);
// No effect on a token that is gone.
absl::Status TouchToken(Writer& writer, std::string_view token, absl::Time now);
// Takes one use of it. NotFound if it does not exist, has no use left or has expired by `now`.
absl::Status SpendJoinToken(Writer& writer, std::string_view join_token, absl::Time now);

// The name of a project or user without what stands before the last slash.
std::string_view IdOf(std::string_view name);

}  // namespace beamline::store
