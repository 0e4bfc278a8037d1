#include "store/connection.h"

#include <sqlite3.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace beamline::store {
namespace {

constexpr int kBusyTimeoutMs = 5'000;
// The WAL is copied into the database file by the checkpointer; this is only a bound should it lag.
constexpr int kAutoCheckpointPages = 10'000;

absl::StatusCode CodeOf(int extended) {
  switch (extended & 0xff) {
    case SQLITE_CONSTRAINT:
      return extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY
                 ? absl::StatusCode::kAlreadyExists
                 : absl::StatusCode::kFailedPrecondition;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

int64_t Row::Int(int column) const { return sqlite3_column_int64(statement_, column); }

double Row::Real(int column) const { return sqlite3_column_double(statement_, column); }

std::string_view Row::Text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string_view()
                         : std::string_view(static_cast<const char*>(data), size);
}

bool Row::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path, Mode mode) {
  const int access =
      mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &handle, access | SQLITE_OPEN_NOMUTEX, nullptr);
  auto connection = std::make_unique<Connection>(Key(), handle);
  if (result != SQLITE_OK) return connection->Error(result, absl::StrCat("open ", path));
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  RETURN_IF_ERROR(connection->Script("PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"));
  if (mode == Mode::kReadWrite) {
    RETURN_IF_ERROR(
        connection->Script(absl::StrCat("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                        "PRAGMA wal_autocheckpoint = ",
                                        kAutoCheckpointPages, ";")));
  }
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

absl::Status Connection::Script(const std::string& sql) {
  const int result = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : Error(result, "run a script");
}

bool Connection::InTransaction() const { return sqlite3_get_autocommit(handle_) == 0; }

void Connection::CheckpointPassively() {
  sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
}

absl::StatusOr<int64_t> Connection::Run(std::string_view sql,
                                        absl::FunctionRef<bool(const Row&)>* each,
                                        absl::FunctionRef<void(Binder&)> bind) {
  ASSIGN_OR_RETURN(sqlite3_stmt * statement, Prepare(sql));
  Binder binder{.statement = statement};
  bind(binder);
  int result = binder.result;
  // SQLite would take a forgotten argument for NULL.
  if (binder.next - 1 != sqlite3_bind_parameter_count(statement)) result = SQLITE_MISUSE;
  if (result == SQLITE_OK) {
    const Row row(statement);
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
      if (each != nullptr && !(*each)(row)) {
        result = SQLITE_DONE;
        break;
      }
    }
  }
  absl::StatusOr<int64_t> outcome = int64_t{sqlite3_changes(handle_)};
  if (result != SQLITE_DONE) outcome = Error(result, sql);
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return outcome;
}

absl::StatusOr<sqlite3_stmt*> Connection::Prepare(std::string_view sql) {
  auto [entry, added] = statements_.try_emplace(std::string(sql), nullptr);
  if (added) {
    const int result = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                          SQLITE_PREPARE_PERSISTENT, &entry->second, nullptr);
    if (result != SQLITE_OK) {
      statements_.erase(entry);
      return Error(result, sql);
    }
  }
  return entry->second;
}

absl::Status Connection::Error(int code, std::string_view doing) const {
  const std::string reason = handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
  const int extended = handle_ == nullptr ? code : sqlite3_extended_errcode(handle_);
  return {CodeOf((extended & 0xff) == (code & 0xff) ? extended : code),
          A(absl::StrCat("database: ", reason, " (", A(doing.substr(0, 200)), ")"))};
}

void Connection::BindInt(Binder& binder, int64_t value) {
  binder.result |= sqlite3_bind_int64(binder.statement, binder.next++, value);
}

void Connection::BindReal(Binder& binder, double value) {
  binder.result |= sqlite3_bind_double(binder.statement, binder.next++, value);
}

// The caller's bytes outlive the step, so SQLite need not copy them. An empty view has no address,
// which SQLite would take for NULL.
void Connection::BindText(Binder& binder, std::string_view value) {
  binder.result |=
      sqlite3_bind_text64(binder.statement, binder.next++, value.empty() ? "" : value.data(),
                          value.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void Connection::BindBytes(Binder& binder, std::string_view value) {
  binder.result |=
      sqlite3_bind_blob64(binder.statement, binder.next++, value.empty() ? "" : value.data(),
                          value.size(), SQLITE_STATIC);
}

void Connection::BindNull(Binder& binder) {
  binder.result |= sqlite3_bind_null(binder.statement, binder.next++);
}

}  // namespace beamline::store
