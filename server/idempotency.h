// request_id: the same caller repeating the same id gets the first answer, and nothing happens
// twice.
#pragma once

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "google/protobuf/message.h"
#include "server/transaction.h"

namespace beamline::server {

// A call that changes something, as idempotency and the audit see it.
struct Mutation {
  const auth::Principal& caller;
  // "RunService.CreateRun".
  std::string_view method;
  // What it acts on: a resource name.
  std::string_view resource;
  // Empty: repeating the call does it again.
  std::string_view request_id;
  const google::protobuf::Message& request;
};

// InvalidArgument if `request_id` is longer than 64 characters.
absl::Status CheckRequestId(std::string_view request_id);

// The stored answer, parsed into `answer`, if this call was made before: true. False if it is new.
// AlreadyExists if the id was used for another request.
absl::StatusOr<bool> FindAnswer(Transaction& transaction, const Mutation& mutation,
                                google::protobuf::Message& answer);

// Appends the call to the audit, as one that was answered OK: in the transaction of what it
// changes, so that whatever is acknowledged is there.
absl::Status Audit(Transaction& transaction, const Mutation& mutation);

// Records the answer (if there is a request_id) and the call in the audit.
absl::Status KeepAnswer(Transaction& transaction, const Mutation& mutation,
                        const google::protobuf::Message& answer);

// Runs `act`, unless this very call was made before; returns its answer, or the first one.
template <class R>
absl::StatusOr<R> Once(Transaction& transaction, const Mutation& mutation,
                       absl::FunctionRef<absl::StatusOr<R>()> act) {
  R answer;
  absl::StatusOr<bool> found = FindAnswer(transaction, mutation, answer);
  if (!found.ok()) return found.status();
  if (*found) return answer;
  absl::StatusOr<R> result = act();
  if (!result.ok()) return result;
  if (absl::Status kept = KeepAnswer(transaction, mutation, *result); !kept.ok()) return kept;
  return result;
}

}  // namespace beamline::server
