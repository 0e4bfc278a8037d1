// Authentication's look-ups, answered by the server's store.
#pragma once

#include <optional>
#include <string>

#include "auth/directory.h"
#include "store/store.h"

namespace beamline::auth {

// Thread-safe.
class StoreDirectory : public Directory {
 public:
  // Does not own `store`, which outlives this.
  explicit StoreDirectory(store::Store& store) : store_(store) {}

  absl::StatusOr<std::optional<TokenRecord>> FindToken(const std::string& token_id) override;
  absl::StatusOr<std::optional<UserRecord>> FindUser(const std::string& user) override;
  absl::StatusOr<bool> IsWorker(const std::string& worker) override;

 private:
  store::Store& store_;
};

}  // namespace beamline::auth
