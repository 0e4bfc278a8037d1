// The database's schema, as the list of steps that lead to it.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "store/connection.h"

namespace beamline::store {

// Marks the file as ours: "blmn".
inline constexpr int64_t kApplicationId = 0x626c6d6e;

// A step from version N-1 to N, where N is its place in the list, from 1. Never changed once it
// has been released: later changes are further steps.
struct Migration {
  const char* sql;
  // What SQL cannot do, after it and in the same transaction; null: nothing.
  absl::Status (*then)(Connection& connection) = nullptr;
};

// All of them, oldest first.
std::span<const Migration> Migrations();

// Brings the database to the last version of `migrations`, each in a transaction of its own: when
// one fails or the process dies, the database is as the one before left it.
// FailedPrecondition if the file is another program's, or newer than `migrations`.
absl::Status Migrate(Connection& connection, std::span<const Migration> migrations);

}  // namespace beamline::store
