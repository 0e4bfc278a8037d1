#include "store/identity.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "store/rows.h"
#include "store/time.h"

namespace beamline::store {
namespace {

absl::Time TimeOr(const Row& row, int column, absl::Time null) {
  return row.IsNull(column) ? null : absl::FromUnixMicros(row.Int(column));
}

v1::User ReadUser(const Row& row) {
  v1::User user;
  user.set_name(absl::StrCat("users/", A(row.Text(0))));
  user.set_operator_(row.Int(1) != 0);
  *user.mutable_create_time() = ToProto(absl::FromUnixMicros(row.Int(2)));
  user.set_service_account(row.Int(3) != 0);
  user.set_disabled(row.Int(4) != 0);
  return user;
}

constexpr char kUserColumns[] = "id, is_operator, create_time, service_account, disabled";

constexpr char kTokenColumns[] =
    "id, user, secret_hash, description, create_time, expire_time, last_use_time, revoked, "
    "projects, max_role";

StoredToken ReadToken(const Row& row) {
  return {.id = std::string(row.Text(0)),
          .user = std::string(row.Text(1)),
          .secret_hash = std::string(row.Text(2)),
          .description = std::string(row.Text(3)),
          .create_time = absl::FromUnixMicros(row.Int(4)),
          .expire_time = TimeOr(row, 5, absl::InfiniteFuture()),
          .last_use_time = TimeOr(row, 6, absl::InfinitePast()),
          .revoked = row.Int(7) != 0,
          .projects = absl::StrSplit(A(row.Text(8)), ' ', absl::SkipEmpty()),
          .max_role = static_cast<v1::Role>(row.Int(9))};
}

}  // namespace

std::string_view IdOf(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

absl::StatusOr<v1::User> GetUser(const View& view, std::string_view user) {
  return One<v1::User>(view, absl::StrCat("user ", A(user)),
                       absl::StrCat("SELECT ", kUserColumns, " FROM users WHERE id = ?1"), ReadUser,
                       user);
}

absl::StatusOr<Identity> GetIdentity(const View& view, std::string_view user) {
  Identity identity;
  ASSIGN_OR_RETURN(identity.user, GetUser(view, user));
  RETURN_IF_ERROR(view.connection().Query(
      "SELECT project, role FROM members WHERE user = ?1",
      [&](const Row& row) {
        identity.roles[std::string(row.Text(0))] = static_cast<v1::Role>(row.Int(1));
      },
      user));
  return identity;
}

absl::StatusOr<StoredToken> GetToken(const View& view, std::string_view token) {
  return One<StoredToken>(view, "token",
                          absl::StrCat("SELECT ", kTokenColumns, " FROM tokens WHERE id = ?1"),
                          ReadToken, token);
}

absl::StatusOr<JoinToken> GetJoinToken(const View& view, std::string_view join_token) {
  return One<JoinToken>(
      view, "join token",
      "SELECT id, secret_hash, uses_left, expire_time, pool FROM join_tokens WHERE id = ?1",
      [](const Row& row) {
        return JoinToken{.id = std::string(row.Text(0)),
                         .secret_hash = std::string(row.Text(1)),
                         .uses_left = row.Int(2),
                         .expire_time = TimeOr(row, 3, absl::InfiniteFuture()),
                         .pool = std::string(row.Text(4))};
      },
      join_token);
}

absl::StatusOr<v1::Project> GetProject(const View& view, std::string_view project) {
  return OneMessage<v1::Project>(view, absl::StrCat("project ", A(project)),
                                 "SELECT message FROM projects WHERE id = ?1", project);
}

absl::StatusOr<int64_t> CountOperators(const View& view) {
  int64_t count = 0;
  RETURN_IF_ERROR(
      view.connection().Query("SELECT count(*) FROM users WHERE is_operator = 1 AND disabled = 0",
                              [&](const Row& row) { count = row.Int(0); }));
  return count;
}

absl::StatusOr<v1::Role> GetRole(const View& view, std::string_view project,
                                 std::string_view user) {
  v1::Role role = v1::ROLE_UNSPECIFIED;
  RETURN_IF_ERROR(view.connection().Query(
      "SELECT role FROM members WHERE project = ?1 AND user = ?2",
      [&](const Row& row) { role = static_cast<v1::Role>(row.Int(0)); }, project, user));
  return role;
}

absl::StatusOr<std::vector<v1::User>> ListUsers(const View& view, std::string_view after,
                                                int64_t limit) {
  return Many<v1::User>(
      view, absl::StrCat("SELECT ", kUserColumns, " FROM users WHERE id > ?1 ORDER BY id LIMIT ?2"),
      ReadUser, after, limit);
}

absl::StatusOr<std::vector<StoredToken>> ListTokens(const View& view, std::string_view user) {
  return Many<StoredToken>(
      view, absl::StrCat("SELECT ", kTokenColumns, " FROM tokens WHERE user = ?1 ORDER BY id"),
      ReadToken, user);
}

absl::StatusOr<std::vector<v1::Project>> ListProjects(const View& view, std::string_view member,
                                                      std::string_view after, int64_t limit) {
  if (member.empty()) {
    return ManyMessages<v1::Project>(
        view, "SELECT message FROM projects WHERE id > ?1 ORDER BY id LIMIT ?2", after, limit);
  }
  return ManyMessages<v1::Project>(
      view,
      "SELECT p.message FROM members m JOIN projects p ON p.id = m.project "
      "WHERE m.user = ?1 AND p.id > ?2 ORDER BY p.id LIMIT ?3",
      member, after, limit);
}

absl::StatusOr<std::vector<v1::Member>> ListMembers(const View& view, std::string_view project) {
  return Many<v1::Member>(
      view, "SELECT user, role FROM members WHERE project = ?1 ORDER BY user",
      [](const Row& row) {
        v1::Member member;
        member.set_principal(absl::StrCat("users/", A(row.Text(0))));
        member.set_role(static_cast<v1::Role>(row.Int(1)));
        return member;
      },
      project);
}

absl::Status InsertUser(Writer& writer, std::string_view user, bool is_operator, absl::Time now,
                        bool service_account) {
  return writer.connection()
      .Execute(
          "INSERT INTO users (id, is_operator, create_time, service_account) "
          "VALUES (?1, ?2, ?3, ?4)",
          user, is_operator, absl::ToUnixMicros(now), service_account)
      .status();
}

absl::Status UpdateUser(Writer& writer, const v1::User& user) {
  const std::string_view id = IdOf(user.name());
  return Changed(writer, absl::StrCat("user ", A(id)),
                 "UPDATE users SET is_operator = ?2, disabled = ?3 WHERE id = ?1", id,
                 user.operator_(), user.disabled());
}

absl::Status InsertProject(Writer& writer, const v1::Project& project, absl::Time now) {
  v1::Project stored = project;
  *stored.mutable_create_time() = ToProto(now);
  return writer.connection()
      .Execute("INSERT INTO projects (id, create_time, message) VALUES (?1, ?2, ?3)",
               IdOf(project.name()), absl::ToUnixMicros(now), Bytes{stored.SerializeAsString()})
      .status();
}

absl::Status InsertToken(Writer& writer, const StoredToken& token) {
  return writer.connection()
      .Execute(
          "INSERT INTO tokens (id, user, secret_hash, description, create_time, expire_time, "
          "last_use_time, revoked, projects, max_role) "
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
          token.id, token.user, Bytes{token.secret_hash}, token.description,
          absl::ToUnixMicros(token.create_time), ToMicros(token.expire_time),
          ToMicros(token.last_use_time), token.revoked, absl::StrJoin(token.projects, " "),
          static_cast<int64_t>(token.max_role))
      .status();
}

absl::Status InsertJoinToken(Writer& writer, const JoinToken& token) {
  return writer.connection()
      .Execute(
          "INSERT INTO join_tokens (id, secret_hash, uses_left, expire_time, pool) "
          "VALUES (?1, ?2, ?3, ?4, ?5)",
          token.id, Bytes{token.secret_hash}, token.uses_left, ToMicros(token.expire_time),
          token.pool)
      .status();
}

absl::Status UpdateProject(Writer& writer, const v1::Project& project) {
  const std::string_view id = IdOf(project.name());
  return Changed(writer, absl::StrCat("project ", A(id)),
                 "UPDATE projects SET message = ?2 WHERE id = ?1", id,
                 Bytes{project.SerializeAsString()});
}

absl::Status PutMember(Writer& writer, std::string_view project, std::string_view user,
                       v1::Role role) {
  return writer.connection()
      .Execute(
          "INSERT INTO members (project, user, role) VALUES (?1, ?2, ?3) "
          "ON CONFLICT (project, user) DO UPDATE SET role = excluded.role",
          project, user, static_cast<int64_t>(role))
      .status();
}

absl::Status DeleteMember(Writer& writer, std::string_view project, std::string_view user) {
  return Changed(writer, absl::StrCat("member ", A(user)),
                 "DELETE FROM members WHERE project = ?1 AND user = ?2", project, user);
}

absl::Status RevokeToken(Writer& writer, std::string_view token) {
  return Changed(writer, "token", "UPDATE tokens SET revoked = 1 WHERE id = ?1", token);
}

absl::Status DeleteToken(Writer& writer, std::string_view token) {
  return Changed(writer, "token", "DELETE FROM tokens WHERE id = ?1", token);
}

absl::Status TouchToken(Writer& writer, std::string_view token, absl::Time now) {
  return writer.connection()
      .Execute("UPDATE tokens SET last_use_time = ?2 WHERE id = ?1", token, absl::ToUnixMicros(now))
      .status();
}

absl::Status SpendJoinToken(Writer& writer, std::string_view join_token, absl::Time now) {
  return Changed(writer, "join token",
                 "UPDATE join_tokens SET uses_left = uses_left - 1 WHERE id = ?1 AND "
                 "uses_left > 0 AND (expire_time IS NULL OR expire_time > ?2)",
                 join_token, absl::ToUnixMicros(now));
}

}  // namespace beamline::store
