// One SQLite connection and the two calls with which everything in this folder uses it. Nothing
// outside this folder includes SQLite or writes SQL.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace beamline::store {

// A value that is bound as BLOB rather than as text. Refers to the caller's bytes.
struct Bytes {
  std::string_view value;
};

// The current row of a query. Views are valid until the callback returns.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  // Columns count from 0. A NULL reads as 0 or as empty text.
  int64_t Int(int column) const;
  double Real(int column) const;
  std::string_view Text(int column) const;
  bool IsNull(int column) const;

 private:
  sqlite3_stmt* statement_;
};

// A connection with its prepared statements, each compiled once. Not thread-safe.
//
// Failures: AlreadyExists for a broken unique constraint, FailedPrecondition for another broken
// constraint, ResourceExhausted for a full disk, DataLoss for a damaged file, Unavailable when the
// database is locked for longer than five seconds, Internal otherwise.
class Connection {
  struct Key {};

 public:
  enum class Mode { kReadWrite, kReadOnly };

  // Opens (kReadWrite: creates) the database file at `path`, with WAL, synchronous=FULL and
  // foreign keys.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, Mode mode);
  Connection(Key, sqlite3* handle) : handle_(handle) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs several statements without parameters; for migrations.
  absl::Status Script(const std::string& sql);

  // Runs one statement that returns no rows. `args` bind to ?1, ?2, ...: integers, numbers, bool,
  // text, Bytes, std::optional of those. Returns the number of rows changed.
  template <class... Args>
  absl::StatusOr<int64_t> Execute(std::string_view sql, const Args&... args) {
    return Run(sql, nullptr, [&](Binder& binder) { (Bind(binder, args), ...); });
  }

  // Runs one query and calls `each` with every row. `each` must not use this statement again.
  template <class... Args>
  absl::Status Query(std::string_view sql, absl::FunctionRef<void(const Row&)> each,
                     const Args&... args) {
    const auto always = [&](const Row& row) {
      each(row);
      return true;
    };
    return QueryWhile(sql, always, args...);
  }

  // As Query, until `each` returns false.
  template <class... Args>
  absl::Status QueryWhile(std::string_view sql, absl::FunctionRef<bool(const Row&)> each,
                          const Args&... args) {
    return Run(sql, &each, [&](Binder& binder) { (Bind(binder, args), ...); }).status();
  }

  // False after SQLite has ended the transaction by itself, as it does when the disk is full.
  bool InTransaction() const;

  // Copies what the WAL holds into the database file as far as no reader needs it; never waits.
  void CheckpointPassively();

 private:
  struct Binder {
    sqlite3_stmt* statement;
    int next = 1;
    int result = 0;
  };

  absl::StatusOr<int64_t> Run(std::string_view sql, absl::FunctionRef<bool(const Row&)>* each,
                              absl::FunctionRef<void(Binder&)> bind);
  absl::StatusOr<sqlite3_stmt*> Prepare(std::string_view sql);
  absl::Status Error(int code, std::string_view doing) const;

  static void BindInt(Binder& binder, int64_t value);
  static void BindReal(Binder& binder, double value);
  static void BindText(Binder& binder, std::string_view value);
  static void BindBytes(Binder& binder, std::string_view value);
  static void BindNull(Binder& binder);
  static void Bind(Binder& binder, int64_t value) { BindInt(binder, value); }
  static void Bind(Binder& binder, int value) { BindInt(binder, value); }
  static void Bind(Binder& binder, double value) { BindReal(binder, value); }
  static void Bind(Binder& binder, bool value) { BindInt(binder, value ? 1 : 0); }
  static void Bind(Binder& binder, std::string_view value) { BindText(binder, value); }
  static void Bind(Binder& binder, const std::string& value) { BindText(binder, value); }
  static void Bind(Binder& binder, const char* value) { BindText(binder, value); }
  static void Bind(Binder& binder, Bytes value) { BindBytes(binder, value.value); }
  template <class T>
  static void Bind(Binder& binder, const std::optional<T>& value) {
    value.has_value() ? Bind(binder, *value) : BindNull(binder);
  }

  sqlite3* handle_;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace beamline::store
