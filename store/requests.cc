#include "store/requests.h"

#include "store/rows.h"

namespace beamline::store {

absl::StatusOr<StoredRequest> GetRequest(const View& view, std::string_view principal,
                                         std::string_view request_id) {
  return One<StoredRequest>(
      view, "request",
      "SELECT principal, request_id, method, digest, response, create_time FROM requests "
      "WHERE principal = ?1 AND request_id = ?2",
      [](const Row& row) {
        return StoredRequest{.principal = std::string(row.Text(0)),
                             .request_id = std::string(row.Text(1)),
                             .method = std::string(row.Text(2)),
                             .digest = std::string(row.Text(3)),
                             .response = std::string(row.Text(4)),
                             .create_time = absl::FromUnixMicros(row.Int(5))};
      },
      principal, request_id);
}

absl::Status InsertRequest(Writer& writer, const StoredRequest& request) {
  return writer.connection()
      .Execute(
          "INSERT INTO requests (principal, request_id, method, digest, response, create_time) "
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
          request.principal, request.request_id, request.method, request.digest,
          Bytes{request.response}, absl::ToUnixMicros(request.create_time))
      .status();
}

absl::StatusOr<int64_t> DeleteRequestsBefore(Writer& writer, absl::Time before) {
  return writer.connection().Execute(
      "DELETE FROM requests WHERE (principal, request_id) IN (SELECT principal, request_id FROM "
      "requests WHERE create_time < ?1 LIMIT 1000)",
      absl::ToUnixMicros(before));
}

}  // namespace beamline::store
