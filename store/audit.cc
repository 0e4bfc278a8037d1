#include "store/audit.h"

#include <sys/stat.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "base/hash_chain.h"
#include "base/status_macros.h"
#include "store/rows.h"
#include "store/time.h"

namespace beamline::store {
namespace {

int64_t MicrosOf(const v1::AuditEntry& entry) {
  return absl::ToUnixMicros(FromProto(entry.time()));
}

absl::StatusOr<AuditHead> Head(Connection& connection) {
  AuditHead head;
  RETURN_IF_ERROR(connection.Query("SELECT sequence, hash FROM audit_head", [&](const Row& row) {
    head = {.sequence = row.Int(0), .hash = std::string(row.Text(1))};
  }));
  if (head.hash.empty()) {
    return absl::DataLossError("the head of the audit was taken out of the database");
  }
  return head;
}

absl::Status Append(Connection& connection, v1::AuditEntry entry) {
  ASSIGN_OR_RETURN(const AuditHead head, Head(connection));
  entry.set_sequence(head.sequence + 1);
  if (entry.count() == 0) entry.set_count(1);
  const std::string record = entry.SerializeAsString();
  const std::string hash = HashChain::Hash(head.hash, record);
  RETURN_IF_ERROR(
      connection
          .Execute("INSERT INTO audit (sequence, time, project, principal, record, hash) "
                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   entry.sequence(), MicrosOf(entry), ProjectOfResource(entry.resource()),
                   entry.principal(), Bytes{record}, hash)
          .status());
  return connection
      .Execute("UPDATE audit_head SET sequence = ?1, hash = ?2", entry.sequence(), hash)
      .status();
}

constexpr char kRows[] = "SELECT sequence, time, project, principal, record, hash FROM audit ";

// That the columns by which the row is found say what its record says.
absl::Status CheckColumns(const Row& row) {
  v1::AuditEntry entry;
  const std::string_view record = row.Text(4);
  const bool readable = entry.ParseFromArray(record.data(), static_cast<int>(record.size()));
  if (readable && entry.sequence() == row.Int(0) && MicrosOf(entry) == row.Int(1) &&
      ProjectOfResource(entry.resource()) == row.Text(2) && entry.principal() == row.Text(3)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("entry ", row.Int(0),
                   " is filed under a number, time, project or caller that is not its own"));
}

// The same, after its place in the chain.
absl::Status CheckRow(const Row& row, HashChain& chain) {
  RETURN_IF_ERROR(chain.Take(row.Int(0), row.Text(4), row.Text(5)));
  return CheckColumns(row);
}

}  // namespace

std::string_view ProjectOfResource(std::string_view resource) {
  constexpr std::string_view kPrefix = "projects/";
  if (!resource.starts_with(kPrefix)) return {};
  resource.remove_prefix(kPrefix.size());
  return resource.substr(0, resource.find('/'));
}

absl::Status AppendAudit(Writer& writer, v1::AuditEntry entry) {
  return Append(writer.connection(), std::move(entry));
}

absl::StatusOr<AuditHead> GetAuditHead(const View& view) { return Head(view.connection()); }

absl::StatusOr<std::vector<v1::AuditEntry>> ListAudit(const View& view, const AuditFilter& filter,
                                                      int64_t before, int64_t limit) {
  const int64_t since = ToMicros(filter.since).value_or(std::numeric_limits<int64_t>::min());
  if (!filter.project.empty()) {
    return ManyMessages<v1::AuditEntry>(
        view,
        "SELECT record FROM audit WHERE project = ?1 AND sequence < ?2 AND time >= ?3 AND "
        "(?4 = '' OR principal = ?4) ORDER BY sequence DESC LIMIT ?5",
        filter.project, before, since, filter.principal, limit);
  }
  return ManyMessages<v1::AuditEntry>(
      view,
      "SELECT record FROM audit WHERE sequence < ?1 AND time >= ?2 AND "
      "(?3 = '' OR principal = ?3) ORDER BY sequence DESC LIMIT ?4",
      before, since, filter.principal, limit);
}

absl::StatusOr<std::vector<v1::AuditLink>> ReadAuditChain(const View& view, int64_t after,
                                                          int64_t limit) {
  std::vector<v1::AuditLink> links;
  absl::Status wrong;
  RETURN_IF_ERROR(view.connection().QueryWhile(
      absl::StrCat(kRows, "WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"),
      [&](const Row& row) {
        wrong = CheckColumns(row);
        if (!wrong.ok()) return false;
        v1::AuditLink& link = links.emplace_back();
        link.set_record(std::string(row.Text(4)));
        link.set_hash(std::string(row.Text(5)));
        return true;
      },
      after, limit));
  // What comes before is whole for all that is known here, and is looked at first.
  if (links.empty()) RETURN_IF_ERROR(wrong);
  return links;
}

absl::StatusOr<AuditHead> CheckAudit(const std::string& path, std::string_view known) {
  struct stat unused;
  if (stat(path.c_str(), &unused) != 0) {
    return absl::NotFoundError(absl::StrCat(path, " does not exist"));
  }
  ASSIGN_OR_RETURN(const auto connection, Connection::Open(path, Connection::Mode::kReadOnly));
  int64_t version = 0;
  RETURN_IF_ERROR(
      connection->Query("PRAGMA user_version", [&](const Row& row) { version = row.Int(0); }));
  if (version < 5) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " has schema version ", version, ", whose audit is no chain: start the server once"));
  }
  // One snapshot of both tables.
  RETURN_IF_ERROR(connection->Execute("BEGIN").status());
  ASSIGN_OR_RETURN(AuditHead head, Head(*connection));
  HashChain chain{std::string(known)};
  absl::Status wrong;
  RETURN_IF_ERROR(
      connection->QueryWhile(absl::StrCat(kRows, "ORDER BY sequence"), [&](const Row& row) {
        wrong = CheckRow(row, chain);
        return wrong.ok();
      }));
  RETURN_IF_ERROR(wrong);
  RETURN_IF_ERROR(chain.End(head.sequence, head.hash));
  return head;
}

absl::Status ChainOldAudit(Connection& connection) {
  std::vector<v1::AuditEntry> entries;
  RETURN_IF_ERROR(connection.Query(
      "SELECT time, principal, method, resource, code, peer FROM audit_without_chain "
      "ORDER BY serial",
      [&](const Row& row) {
        v1::AuditEntry& entry = entries.emplace_back();
        *entry.mutable_time() = ToProto(absl::FromUnixMicros(row.Int(0)));
        entry.set_principal(std::string(row.Text(1)));
        entry.set_method(std::string(row.Text(2)));
        entry.set_resource(std::string(row.Text(3)));
        entry.set_code(static_cast<int32_t>(row.Int(4)));
        entry.set_peer(std::string(row.Text(5)));
      }));
  for (v1::AuditEntry& entry : entries) RETURN_IF_ERROR(Append(connection, std::move(entry)));
  return connection.Script("DROP TABLE audit_without_chain");
}

}  // namespace beamline::store
