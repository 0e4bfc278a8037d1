#include "store/workers.h"

#include "absl/strings/str_cat.h"
#include "store/rows.h"

namespace beamline::store {
namespace {

constexpr char kColumns[] = "id, certificate_digest, pool, session, draining, join_time, message";

absl::StatusOr<StoredWorker> ReadWorker(const Row& row) {
  StoredWorker worker{.id = std::string(row.Text(0)),
                      .certificate_digest = std::string(row.Text(1)),
                      .pool = std::string(row.Text(2)),
                      .session = std::string(row.Text(3)),
                      .draining = row.Int(4) != 0,
                      .join_time = absl::FromUnixMicros(row.Int(5)),
                      .message = {}};
  RETURN_IF_ERROR(ParseMessage(row.Text(6), worker.message));
  return worker;
}

}  // namespace

absl::StatusOr<StoredWorker> GetWorker(const View& view, std::string_view worker) {
  return One<StoredWorker>(view, absl::StrCat("worker ", A(worker)),
                           absl::StrCat("SELECT ", kColumns, " FROM workers WHERE id = ?1"),
                           ReadWorker, worker);
}

absl::StatusOr<std::vector<StoredWorker>> ListWorkers(const View& view) {
  return Many<StoredWorker>(view, absl::StrCat("SELECT ", kColumns, " FROM workers ORDER BY id"),
                            ReadWorker);
}

absl::Status InsertWorker(Writer& writer, const StoredWorker& worker) {
  return writer.connection()
      .Execute(
          absl::StrCat("INSERT INTO workers (", kColumns, ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
          worker.id, worker.certificate_digest, worker.pool, worker.session, worker.draining,
          absl::ToUnixMicros(worker.join_time), Bytes{worker.message.SerializeAsString()})
      .status();
}

absl::Status UpdateWorker(Writer& writer, const StoredWorker& worker) {
  return Changed(writer, absl::StrCat("worker ", worker.id),
                 "UPDATE workers SET session = ?2, draining = ?3, message = ?4 WHERE id = ?1",
                 worker.id, worker.session, worker.draining,
                 Bytes{worker.message.SerializeAsString()});
}

absl::Status SetWorkerCertificate(Writer& writer, std::string_view worker,
                                  std::string_view certificate_digest) {
  return Changed(writer, absl::StrCat("worker ", A(worker)),
                 "UPDATE workers SET certificate_digest = ?2 WHERE id = ?1", worker,
                 certificate_digest);
}

}  // namespace beamline::store
