// A whole server on a port of this machine, and clients of it.
#pragma once

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "auth/certificate_authority.h"
#include "base/file.h"
#include "base/x509.h"
#include "server/rpc/bootstrap.h"
#include "server/rpc/gate.h"
#include "server/rpc/listener.h"
#include "server/rpc/services.h"
#include "server/server.h"
#include "server/work_pool.h"
#include "tests/auth/test_issuer.h"
#include "tests/server/rpc/raw_call.h"

namespace beamline::server::rpc {

// A table, and a definition that trains on it.
inline constexpr char kPoints[] = "x,y\n1,0\n2,1\n3,0\n4,1\n5,0\n6,1\n";
inline constexpr char kTinyPipeline[] = R"(
name: tiny
inputs:
  points: {file: points.csv}
steps:
  - name: fit
    train:
      data: {input: points, target: y}
      network: {layers: [{dense: {units: 1}}], epochs: 1}
)";

class ServedTest : public testing::Test {
 protected:
  ServedTest() {
    ServerOptions options;
    options.state_folder = folder_.path() + "/state";
    options.issuers_file = folder_.path() + "/issuers.yaml";
    WriteIssuers("rules: []");
    // Tests come all from one address.
    options.failures.burst = 1e6;
    auto opened = Server::Open(std::move(options), clock_, random_);
    EXPECT_TRUE(opened.ok()) << opened.status();
    server_ = *std::move(opened);
    const std::string file = folder_.path() + "/token";
    EXPECT_TRUE(InitAdmin(server_->auth(), server_->projects(), file).ok());
    admin_ = ReadToken(file);
    gate_ = std::make_unique<Gate>(server_->authenticator(), policy_, &server_->calls());
    services_ = MakeServices(*gate_, *server_, pool_);
    std::vector<grpc::Service*> served;
    for (const auto& service : services_) served.push_back(service.get());
    Listener::Options listen;
    listen.address = "127.0.0.1:0";
    auto started = Listener::Start(listen, server_->authority(), served);
    EXPECT_TRUE(started.ok()) << started.status();
    listener_ = *std::move(started);
    listener_->SetServing(true);
    channel_ = Dial();
  }
  ~ServedTest() override { Stop(); }

  void Stop() {
    if (listener_ == nullptr) return;
    server_->Shutdown();
    listener_->Shutdown(absl::Seconds(5));
    listener_.reset();
    pool_.Stop();
  }

  static std::string ReadToken(const std::string& file) {
    std::string text = *ReadFile(file);
    text.pop_back();
    return text;
  }

  std::shared_ptr<grpc::Channel> Dial(const KeyAndRequest* identity = nullptr,
                                      const std::string& certificate = "") {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = server_->authority().root_certificate();
    if (identity != nullptr) {
      tls.pem_private_key = identity->key_pem;
      tls.pem_cert_chain = certificate;
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    return grpc::CreateCustomChannel(listener_->address(), grpc::SslCredentials(tls), arguments);
  }

  // Another issuer's tokens are good for what these rules say ("rules: [...]").
  void SetIssuers(const std::string& rules) {
    WriteIssuers(rules);
    const absl::Status status = server_->ReloadIssuers();
    EXPECT_TRUE(status.ok()) << status;
  }
  void WriteIssuers(const std::string& rules) {
    const std::string keys = folder_.path() + "/keys.json";
    EXPECT_TRUE(WriteFileAtomically(keys, auth::KeySetJson({outside_.Jwk(R"("kid":"1")")})).ok());
    EXPECT_TRUE(WriteFileAtomically(folder_.path() + "/issuers.yaml",
                                    absl::StrCat("issuers:\n  - name: org\n"
                                                 "    url: https://auth.example.org\n"
                                                 "    audiences: [beamline]\n    keys_file: ",
                                                 keys, "\n    ", rules, "\n"))
                    .ok());
  }
  // `claims`: "\"sub\":\"ada\"".
  static std::string OutsideClaims(const std::string& claims) {
    const std::string end =
        claims.find("\"exp\"") != std::string::npos ? "" : ",\"exp\":4000000000";
    return absl::StrCat(R"({"iss":"https://auth.example.org","aud":"beamline",)", claims, end, "}");
  }
  std::string OutsideToken(const std::string& claims) const {
    return auth::SignToken(outside_, "ES256", "1", OutsideClaims(claims));
  }

  // A context of a call with `token`, or with none.
  struct Call : grpc::ClientContext {
    explicit Call(const std::string& token = "") {
      set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      if (!token.empty()) AddMetadata("authorization", "Bearer " + token);
    }
  };

  const TemporaryDirectory folder_;
  SystemClock clock_;
  SystemRandom random_;
  const auth::TestKey outside_ = auth::TestKey::Ec();
  const auth::Policy policy_;
  WorkPool pool_{2, 1000};
  std::unique_ptr<Server> server_;
  std::unique_ptr<Gate> gate_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<Listener> listener_;
  std::shared_ptr<grpc::Channel> channel_;
  std::string admin_;
};

}  // namespace beamline::server::rpc
