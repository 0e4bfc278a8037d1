// The port: TLS, limits, health and reflection around the services.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "auth/certificate_authority.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace beamline::server::rpc {

// Thread-safe.
class Listener {
  struct Key {};

 public:
  struct Options {
    // "HOST:PORT"; port 0: any free one.
    std::string address = "127.0.0.1:7447";
    // Largest message that is taken. Default 4 MiB, gRPC's own default; uploads come in chunks of
    // 1 MiB. Unit: bytes. A larger one is answered RESOURCE_EXHAUSTED.
    int max_message_bytes = 4 << 20;
    // How long the other end of a connection may be silent before it is pinged, and how long it
    // then has to answer. Units: milliseconds.
    int keepalive_ms = 30'000;
    int keepalive_timeout_ms = 20'000;
  };

  // Serves `services` (not owned, they outlive this) with TLS: the server's certificate, and client
  // certificates verified if they are given. Health says NOT_SERVING until SetServing.
  // INVALID_ARGUMENT: the address is malformed. UNAVAILABLE: it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<Listener>> Start(
      const Options& options, const auth::CertificateAuthority& authority,
      const std::vector<grpc::Service*>& services);
  Listener(Key, std::string address, std::unique_ptr<grpc::Server> server);
  ~Listener();

  // "127.0.0.1:41123": what clients dial. The host as given in the options.
  const std::string& address() const { return address_; }

  // What grpc.health.v1 says, of the server and of each service.
  void SetServing(bool serving);

  // Takes no more calls, waits up to `grace` for those in progress, then cancels them and waits
  // until all have ended. Call once.
  void Shutdown(absl::Duration grace);

 private:
  const std::string address_;
  const std::unique_ptr<grpc::Server> server_;
};

}  // namespace beamline::server::rpc
