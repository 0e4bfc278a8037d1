// What a token may be limited to, and by whom it may be made.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "auth/principal.h"
#include "beamline/v1/project.pb.h"
#include "server/transaction.h"

namespace beamline::server {

// The limits of the token that is asked for.
struct TokenLimits {
  // Ids.
  std::set<std::string> projects;
  v1::Role max_role = v1::ROLE_UNSPECIFIED;
  absl::Time expire_time = absl::InfiniteFuture();
};

// Limits as the request names them; `expire_time` is the caller's. InvalidArgument if a field is
// wrong in itself.
absl::StatusOr<TokenLimits> ReadTokenLimits(const v1::CreateTokenRequest& request);

// Whether `caller` may make such a token for `user` (a bare id).
// PermissionDenied: the caller is a service account, or its own token is limited and the new one
// would reach further: to other projects, to a higher role, or to a later time.
// InvalidArgument: the user is no member of one of the projects.
absl::Status CheckTokenLimits(Transaction& transaction, const auth::Principal& caller,
                              const std::string& user, const TokenLimits& limits);

// ResourceExhausted if `user` (a bare id) has 1000 tokens that are neither revoked nor expired.
// Deletes those that are, if they expired 90 days ago, or are revoked and were neither used nor
// made in the last 90 days; and of the rest the oldest beyond 1000.
absl::Status MakeRoomForToken(Transaction& transaction, const std::string& user);

}  // namespace beamline::server
