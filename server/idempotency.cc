#include "server/idempotency.h"

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/errors.h"
#include "store/requests.h"

namespace beamline::server {
namespace {

constexpr size_t kMaxRequestIdLength = 64;

// Maps have no order of their own; this gives equal requests equal bytes.
std::string DigestOf(const google::protobuf::Message& request) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream out(&bytes);
    google::protobuf::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&coded);
  }
  return Sha256Hex(bytes);
}

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
  if (stored->method != mutation.method || stored->digest != DigestOf(mutation.request)) {
    return absl::AlreadyExistsError(
        absl::StrCat("request_id \"", A(mutation.request_id),
                     "\" was used for another request: choose a new one for each call"));
  }
  if (!answer.ParseFromString(stored->response)) {
    return absl::DataLossError("the stored answer to this request is damaged");
  }
  return true;
}

absl::Status KeepAnswer(Transaction& transaction, const Mutation& mutation,
                        const google::protobuf::Message& answer) {
  RETURN_IF_ERROR(
      store::AppendAudit(transaction.store(), {.time = transaction.now(),
                                               .principal = mutation.caller.name,
                                               .method = std::string(mutation.method),
                                               .resource = std::string(mutation.resource),
                                               .code = absl::StatusCode::kOk,
                                               .peer = mutation.caller.peer}));
  if (mutation.request_id.empty()) return absl::OkStatus();
  return store::InsertRequest(transaction.store(), {.principal = mutation.caller.name,
                                                    .request_id = std::string(mutation.request_id),
                                                    .method = std::string(mutation.method),
                                                    .digest = DigestOf(mutation.request),
                                                    .response = answer.SerializeAsString(),
                                                    .create_time = transaction.now()});
}

}  // namespace beamline::server
