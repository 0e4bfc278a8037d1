#include "server/idempotency.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "server/audit_entry.h"
#include "server/errors.h"
#include "store/audit.h"
#include "store/requests.h"
#include "store/time.h"

namespace beamline::server {
namespace {

constexpr size_t kMaxRequestIdLength = 64;

}  // namespace

absl::Status CheckRequestId(std::string_view request_id) {
  if (request_id.size() <= kMaxRequestIdLength) return absl::OkStatus();
  return BadField("request_id", "must have at most 64 characters");
}

absl::StatusOr<bool> FindAnswer(Transaction& transaction, const Mutation& mutation,
                                google::protobuf::Message& answer) {
  if (mutation.request_id.empty()) return false;
  RETURN_IF_ERROR(CheckRequestId(mutation.request_id));
  const auto stored =
      store::GetRequest(transaction.store(), mutation.caller.name, mutation.request_id);
  if (absl::IsNotFound(stored.status())) return false;
  RETURN_IF_ERROR(stored.status());
  if (stored->method != mutation.method || stored->digest != RequestDigest(mutation.request)) {
    return absl::AlreadyExistsError(
        absl::StrCat("request_id \"", A(mutation.request_id),
                     "\" was used for another request: choose a new one for each call"));
  }
  if (!answer.ParseFromString(stored->response)) {
    return absl::DataLossError("the stored answer to this request is damaged");
  }
  return true;
}

absl::Status Audit(Transaction& transaction, const Mutation& mutation) {
  v1::AuditEntry entry = MakeAuditEntry(mutation.caller, mutation.method, mutation.request);
  entry.set_resource(std::string(mutation.resource));
  *entry.mutable_time() = store::ToProto(transaction.now());
  RETURN_IF_ERROR(store::AppendAudit(transaction.store(), std::move(entry)));
  if (mutation.caller.call != nullptr) mutation.caller.call->Written();
  return absl::OkStatus();
}

absl::Status KeepAnswer(Transaction& transaction, const Mutation& mutation,
                        const google::protobuf::Message& answer) {
  RETURN_IF_ERROR(Audit(transaction, mutation));
  if (mutation.request_id.empty()) return absl::OkStatus();
  return store::InsertRequest(transaction.store(), {.principal = mutation.caller.name,
                                                    .request_id = std::string(mutation.request_id),
                                                    .method = std::string(mutation.method),
                                                    .digest = RequestDigest(mutation.request),
                                                    .response = answer.SerializeAsString(),
                                                    .create_time = transaction.now()});
}

}  // namespace beamline::server
