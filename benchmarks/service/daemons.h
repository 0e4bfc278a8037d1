// A server and a worker of their own, started as a user would, in a temporary folder.
#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"

namespace beamline::bench {

// A child process that is told to stop (SIGTERM) and waited for when the object goes.
class Daemon {
 public:
  Daemon() = default;
  Daemon(const std::vector<std::string>& arguments, const std::string& log);
  Daemon(Daemon&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Daemon& operator=(Daemon&& other) noexcept;
  ~Daemon() { Stop(); }
  void Stop();
  // Resident memory. Unit: bytes.
  long ResidentBytes() const;

 private:
  pid_t pid_ = -1;
};

// Ends the program with a message if anything fails: a benchmark has nobody to report to.
class Cluster {
 public:
  // `bin`: the folder with the programs.
  explicit Cluster(const std::string& bin);

  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  // Another connection, for as long as this lives: gRPC 1.51 does not survive that the last channel
  // with asynchronous calls goes while their threads end.
  std::shared_ptr<grpc::Channel> NewChannel() const;
  // A context with the admin's token.
  std::unique_ptr<grpc::ClientContext> Context() const;
  Daemon& server() { return server_; }
  Daemon& worker() { return worker_; }
  const std::string& folder() const { return folder_.path(); }

 private:
  TemporaryDirectory folder_;
  Daemon server_;
  Daemon worker_;
  std::string address_;
  std::string authority_;
  std::string token_;
  mutable std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::shared_ptr<grpc::Channel> channel_;
};

// Prints the message and exits with status 2.
[[noreturn]] void Die(const std::string& message);

}  // namespace beamline::bench
