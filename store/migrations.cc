#include "store/migrations.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/audit.h"
#include "store/schema_v1.h"
#include "store/schema_v2.h"
#include "store/schema_v3.h"
#include "store/schema_v4.h"
#include "store/schema_v5.h"
#include "store/schema_v6.h"

namespace beamline::store {
namespace {

constexpr Migration kMigrations[] = {
    {kSchemaV1}, {kSchemaV2}, {kSchemaV3}, {kSchemaV4}, {kSchemaV5, ChainOldAudit}, {kSchemaV6}};

absl::StatusOr<int64_t> Pragma(Connection& connection, const char* name) {
  int64_t value = 0;
  RETURN_IF_ERROR(
      connection.Query(absl::StrCat("PRAGMA ", name), [&](const Row& row) { value = row.Int(0); }));
  return value;
}

absl::Status Take(Connection& connection, const Migration& migration, int64_t version) {
  RETURN_IF_ERROR(connection.Script(absl::StrCat("BEGIN IMMEDIATE;", migration.sql)));
  if (migration.then != nullptr) RETURN_IF_ERROR(migration.then(connection));
  return connection.Script(absl::StrCat("PRAGMA application_id = ", kApplicationId,
                                        ";PRAGMA user_version = ", version, ";COMMIT;"));
}

}  // namespace

std::span<const Migration> Migrations() { return kMigrations; }

absl::Status Migrate(Connection& connection, std::span<const Migration> migrations) {
  ASSIGN_OR_RETURN(const int64_t application, Pragma(connection, "application_id"));
  ASSIGN_OR_RETURN(const int64_t version, Pragma(connection, "user_version"));
  ASSIGN_OR_RETURN(const int64_t tables, [&]() -> absl::StatusOr<int64_t> {
    int64_t count = 0;
    RETURN_IF_ERROR(connection.Query("SELECT count(*) FROM sqlite_schema",
                                     [&](const Row& row) { count = row.Int(0); }));
    return count;
  }());
  if (application != kApplicationId && (application != 0 || version != 0 || tables != 0)) {
    return absl::FailedPreconditionError(
        "the database file belongs to another program: choose another state folder");
  }
  const auto newest = static_cast<int64_t>(migrations.size());
  if (version > newest) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the database has schema version ", version, ", and this program knows versions up to ",
        newest, ": start the newer version of the server that wrote it"));
  }
  for (int64_t next = version + 1; next <= newest; ++next) {
    const absl::Status status = Take(connection, migrations[static_cast<size_t>(next - 1)], next);
    if (!status.ok()) {
      if (connection.InTransaction()) RETURN_IF_ERROR(connection.Script("ROLLBACK;"));
      return absl::Status(status.code(), absl::StrCat("migration of the database to version ", next,
                                                      " failed: ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace beamline::store
