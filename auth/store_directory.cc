#include "auth/store_directory.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/identity.h"
#include "store/workers.h"

namespace beamline::auth {

absl::StatusOr<std::optional<TokenRecord>> StoreDirectory::FindToken(const std::string& token_id) {
  ASSIGN_OR_RETURN(const store::Reader reader, store_.Read());
  const absl::StatusOr<store::StoredToken> stored = store::GetToken(reader, token_id);
  if (absl::IsNotFound(stored.status())) return std::optional<TokenRecord>();
  RETURN_IF_ERROR(stored.status());
  TokenRecord record;
  record.user = absl::StrCat("users/", stored->user);
  record.hash = stored->secret_hash;
  if (stored->expire_time != absl::InfiniteFuture()) record.expire_time = stored->expire_time;
  record.revoked = stored->revoked;
  record.projects = {stored->projects.begin(), stored->projects.end()};
  record.max_role = stored->max_role;
  return std::optional<TokenRecord>(record);
}

absl::StatusOr<std::optional<UserRecord>> StoreDirectory::FindUser(const std::string& user) {
  ASSIGN_OR_RETURN(const store::Reader reader, store_.Read());
  absl::StatusOr<store::Identity> stored = store::GetIdentity(reader, store::IdOf(user));
  if (absl::IsNotFound(stored.status())) return std::optional<UserRecord>();
  RETURN_IF_ERROR(stored.status());
  return std::optional<UserRecord>(
      {stored->user.operator_(), std::move(stored->roles), stored->user.disabled()});
}

absl::StatusOr<bool> StoreDirectory::IsWorker(const std::string& worker) {
  ASSIGN_OR_RETURN(const store::Reader reader, store_.Read());
  const absl::Status found = store::GetWorker(reader, store::IdOf(worker)).status();
  if (absl::IsNotFound(found)) return false;
  RETURN_IF_ERROR(found);
  return true;
}

}  // namespace beamline::auth
