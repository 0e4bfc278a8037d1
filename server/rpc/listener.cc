#include "server/rpc/listener.h"

#include <chrono>
#include <mutex>

#include <google/protobuf/descriptor.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "auth/policy.h"
#include "base/strings.h"

namespace beamline::server::rpc {
namespace {

// Both must be on before the first server is built, once in a process.
void EnableHealthAndReflection() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

// The part before the last colon of "HOST:PORT".
absl::StatusOr<std::string> HostOf(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == 0 || colon == std::string::npos ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is no HOST:PORT: write for example 127.0.0.1:7447"));
  }
  return address.substr(0, colon);
}

std::shared_ptr<grpc::ServerCredentials> Credentials(const auth::CertificateAuthority& authority) {
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = authority.root_certificate();
  tls.pem_key_cert_pairs.push_back({authority.server_key(), authority.server_certificate()});
  return grpc::SslServerCredentials(tls);
}

}  // namespace

Listener::Listener(Key, std::string address, std::unique_ptr<grpc::Server> server)
    : address_(std::move(address)), server_(std::move(server)) {}

Listener::~Listener() = default;

absl::StatusOr<std::unique_ptr<Listener>> Listener::Start(
    const Options& options, const auth::CertificateAuthority& authority,
    const std::vector<grpc::Service*>& services) {
  const absl::StatusOr<std::string> host = HostOf(options.address);
  if (!host.ok()) return host.status();
  EnableHealthAndReflection();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.address, Credentials(authority), &port);
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  // Two servers must not share a port and take turns.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1000);
  // A token of another issuer may have many groups in it.
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 24'576);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, options.keepalive_ms);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, options.keepalive_timeout_ms);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.address,
                                               ": another program may use the port, or the host "
                                               "is none of this machine"));
  }
  auto listener =
      std::make_unique<Listener>(Key(), absl::StrCat(*host, ":", port), std::move(server));
  listener->SetServing(false);
  return listener;
}

void Listener::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* const health = server_->GetHealthCheckService();
  health->SetServingStatus(serving);
  for (const auto* service : auth::Policy::Services()) {
    health->SetServingStatus(service->full_name(), serving);
  }
}

void Listener::Shutdown(absl::Duration grace) {
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
  server_->Wait();
}

}  // namespace beamline::server::rpc
