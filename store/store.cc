#include "store/store.h"

#include <utility>

#include "base/status_macros.h"
#include "store/migrations.h"

namespace beamline::store {
namespace {

// Connections kept for later readers; more are opened when more read at once, and closed again.
constexpr size_t kIdleReaders = 8;

}  // namespace

Reader::Reader(Store* store, std::unique_ptr<Connection> connection)
    : View(connection.get()), store_(store), owned_(std::move(connection)) {}

Reader::Reader(Reader&& other) noexcept
    : View(other.connection_), store_(other.store_), owned_(std::move(other.owned_)) {}

Reader::~Reader() {
  if (owned_ != nullptr) store_->GiveBack(std::move(owned_));
}

Writer::Writer(std::unique_ptr<Connection> connection)
    : View(connection.get()), owned_(std::move(connection)) {}

absl::Status Writer::BeginBatch() {
  if (broken_) return absl::InternalError("the database has failed");
  return connection_->Execute("BEGIN IMMEDIATE").status();
}

absl::Status Writer::RunCommand(absl::FunctionRef<absl::Status()> command) {
  if (broken_) return absl::InternalError("the database has failed");
  RETURN_IF_ERROR(connection_->Execute("SAVEPOINT command").status());
  absl::Status status = command();
  if (!connection_->InTransaction()) {
    broken_ = true;
    return status.ok() ? absl::InternalError("the database has ended the transaction") : status;
  }
  if (!status.ok() && !connection_->Execute("ROLLBACK TO command").ok()) broken_ = true;
  if (absl::Status released = connection_->Execute("RELEASE command").status(); !released.ok()) {
    broken_ = true;
    if (status.ok()) status = std::move(released);
  }
  return status;
}

absl::Status Writer::Commit() {
  if (broken_) return absl::InternalError("the database has failed");
  absl::Status status = connection_->Execute("COMMIT").status();
  if (!status.ok()) {
    broken_ = true;
    Abandon();
  }
  return status;
}

void Writer::Abandon() {
  if (connection_->InTransaction()) connection_->Execute("ROLLBACK").IgnoreError();
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path) {
  ASSIGN_OR_RETURN(auto connection, Connection::Open(path, Connection::Mode::kReadWrite));
  RETURN_IF_ERROR(Migrate(*connection, Migrations()));
  ASSIGN_OR_RETURN(auto checkpointer, Connection::Open(path, Connection::Mode::kReadWrite));
  return std::make_unique<Store>(Key(), path, std::move(connection), std::move(checkpointer));
}

Store::Store(Key, std::string path, std::unique_ptr<Connection> writer,
             std::unique_ptr<Connection> checkpointer)
    : path_(std::move(path)), writer_(std::move(writer)), checkpointer_(std::move(checkpointer)) {}

Store::~Store() = default;

absl::StatusOr<Reader> Store::Read() {
  std::unique_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_readers_.empty()) {
      connection = std::move(idle_readers_.back());
      idle_readers_.pop_back();
    }
  }
  if (connection == nullptr) {
    ASSIGN_OR_RETURN(connection, Connection::Open(path_, Connection::Mode::kReadOnly));
  }
  RETURN_IF_ERROR(connection->Execute("BEGIN").status());
  return Reader(this, std::move(connection));
}

void Store::GiveBack(std::unique_ptr<Connection> connection) {
  if (!connection->Execute("COMMIT").ok()) return;
  const std::lock_guard lock(mutex_);
  if (idle_readers_.size() < kIdleReaders) idle_readers_.push_back(std::move(connection));
}

void Store::Checkpoint() {
  const std::lock_guard lock(mutex_);
  checkpointer_->CheckpointPassively();
}

}  // namespace beamline::store
