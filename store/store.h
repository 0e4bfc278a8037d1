// The metadata of the service: one SQLite file, written by one thread, read by any number.
//
// Reading functions of this folder take a `const View&` (a Reader, or the Writer, which sees its
// own uncommitted changes); writing ones take a `Writer&`. So what can only read cannot write.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/connection.h"

namespace beamline::store {

class Store;

// Something that queries can be asked of. Not thread-safe.
class View {
 public:
  Connection& connection() const { return *connection_; }

 protected:
  explicit View(Connection* connection) : connection_(connection) {}
  Connection* connection_;
};

// One consistent snapshot of all that was committed when its first query ran. Keep it for a short
// time: the WAL cannot be trimmed meanwhile. Movable; not thread-safe; must not outlive its Store.
class Reader : public View {
 public:
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) = delete;
  ~Reader();

 private:
  friend class Store;
  Reader(Store* store, std::unique_ptr<Connection> connection);
  Store* store_;
  std::unique_ptr<Connection> owned_;
};

// The one writer: a batch of commands becomes durable with one commit. Belongs to one thread.
class Writer : public View {
 public:
  // Begins a transaction that no other process can interfere with.
  absl::Status BeginBatch();

  // Runs `command` inside the batch. If it fails, what it wrote is undone, and what other commands
  // of the batch wrote stays. Returns the command's status. When `broken()` is true afterwards, the
  // whole batch is lost and must be abandoned.
  absl::Status RunCommand(absl::FunctionRef<absl::Status()> command);

  // Makes the batch durable: when this returns OK, it survives a power failure. On failure nothing
  // of the batch is stored, and the writer is broken.
  absl::Status Commit();

  // Undoes the batch.
  void Abandon();

  // True once the database has failed in a way that leaves no transaction to go on with. No
  // command succeeds after that.
  bool broken() const { return broken_; }

 private:
  friend class Store;
  explicit Writer(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> owned_;
  bool broken_ = false;
};

// Opens the database and hands out the views. Read() is thread-safe.
class Store {
  struct Key {};

 public:
  // Creates `path` or opens it, and brings its schema up to date, one transaction per migration.
  // FailedPrecondition if the file belongs to another program or to a newer version of this one.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path);
  Store(Key, std::string path, std::unique_ptr<Connection> writer,
        std::unique_ptr<Connection> checkpointer);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // A snapshot to read from; connections are kept and used again. Fails only if a connection
  // cannot be opened.
  absl::StatusOr<Reader> Read();

  // For the coordinator's thread only.
  Writer& writer() { return writer_; }

  // Moves what was committed from the WAL into the database file, without holding up anybody. Call
  // it now and then from a thread that has time, and never from the writer's.
  void Checkpoint();

 private:
  friend class Reader;
  void GiveBack(std::unique_ptr<Connection> connection);

  const std::string path_;
  Writer writer_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::unique_ptr<Connection>> idle_readers_;
  const std::unique_ptr<Connection> checkpointer_;
};

}  // namespace beamline::store
