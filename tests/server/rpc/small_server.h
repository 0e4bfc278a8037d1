// The seam on a real port, with small API classes behind it.
#pragma once

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "auth/certificate_authority.h"
#include "base/file.h"
#include "base/x509.h"
#include "beamline/v1/project.grpc.pb.h"
#include "beamline/v1/run.grpc.pb.h"
#include "beamline/v1/worker.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/rpc/listener.h"
#include "server/rpc/unary.h"
#include "tests/server/rpc/fake_directory.h"

namespace beamline::server::rpc {

class AuthApi {
 public:
  AuthApi(FakeDirectory& directory, auth::Authenticator& authenticator)
      : directory_(directory), authenticator_(authenticator) {}
  void WhoAmI(const auth::Principal& caller, const v1::WhoAmIRequest&,
              Done<v1::WhoAmIResponse> done) {
    v1::WhoAmIResponse answer;
    answer.mutable_user()->set_name(caller.name);
    done(answer);
  }
  void RevokeToken(const auth::Principal&, const v1::RevokeTokenRequest&, Done<v1::Token> done) {
    directory_.RevokeAll();
    authenticator_.Forget();
    done(v1::Token());
  }

 private:
  FakeDirectory& directory_;
  auth::Authenticator& authenticator_;
};
class AuthService : public v1::AuthService::CallbackService {
 public:
  AuthService(Gate& gate, AuthApi& api) : gate_(gate), api_(api) {}
  BEAMLINE_UNARY(AuthService, WhoAmI, v1::WhoAmIRequest, v1::WhoAmIResponse)
  BEAMLINE_UNARY(AuthService, RevokeToken, v1::RevokeTokenRequest, v1::Token)

 private:
  Gate& gate_;
  AuthApi& api_;
};

class RunApi {
 public:
  // Answers with the status that the run's id names, on a thread of its own.
  void GetRun(const auth::Principal&, const v1::GetRunRequest& request, Done<v1::Run> done) {
    thread_ = std::thread([name = request.name(), done = std::move(done)]() mutable {
      if (absl::EndsWith(name, "/internal")) return done(absl::InternalError("secret innards"));
      if (absl::EndsWith(name, "/busy")) return done(Busy());
      v1::Run run;
      run.set_name(name);
      done(run);
    });
    thread_.join();
  }
  static absl::Status Busy() {
    absl::Status status = absl::ResourceExhaustedError("later");
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(7);
    status.SetPayload("type.googleapis.com/google.rpc.RetryInfo",
                      absl::Cord(retry.SerializeAsString()));
    status.SetPayload("internal/where", absl::Cord("not for clients"));
    return status;
  }

 private:
  std::thread thread_;
};
class RunService : public v1::RunService::CallbackService {
 public:
  RunService(Gate& gate, RunApi& api) : gate_(gate), api_(api) {}
  BEAMLINE_UNARY(RunService, GetRun, v1::GetRunRequest, v1::Run)

 private:
  Gate& gate_;
  RunApi& api_;
};

class WorkerApi {
 public:
  void Synchronize(const auth::Principal& caller, const v1::SynchronizeRequest&,
                   Done<v1::SynchronizeResponse> done) {
    v1::SynchronizeResponse answer;
    answer.add_stop()->set_task(caller.name);
    done(answer);
  }
};
class WorkerService : public v1::WorkerService::CallbackService {
 public:
  WorkerService(Gate& gate, WorkerApi& api) : gate_(gate), api_(api) {}
  BEAMLINE_UNARY(WorkerService, Synchronize, v1::SynchronizeRequest, v1::SynchronizeResponse)

 private:
  Gate& gate_;
  WorkerApi& api_;
};

class RpcTest : public testing::Test {
 protected:
  RpcTest() {
    Listener::Options options;
    options.address = "localhost:0";
    auto started = Listener::Start(options, authority_, {&auth_service_, &runs_, &workers_});
    EXPECT_TRUE(started.ok()) << started.status();
    listener_ = *std::move(started);
    ann_ = directory_.GiveToken("users/ann", {false, {{"p", v1::ROLE_VIEWER}}});
  }
  ~RpcTest() override { listener_->Shutdown(absl::Seconds(1)); }

  // A channel of someone who trusts `root` and shows `identity` if it is not null.
  std::shared_ptr<grpc::Channel> Dial(const std::string& root,
                                      const KeyAndRequest* identity = nullptr,
                                      const std::string& certificate = "") {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = root;
    if (identity != nullptr) {
      tls.pem_private_key = identity->key_pem;
      tls.pem_cert_chain = certificate;
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    return grpc::CreateCustomChannel(listener_->address(), grpc::SslCredentials(tls), arguments);
  }
  std::shared_ptr<grpc::Channel> Dial() { return Dial(authority_.root_certificate()); }

  static void Prepare(grpc::ClientContext& context, const std::string& authorization) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
  }
  grpc::Status WhoAmI(const std::shared_ptr<grpc::Channel>& channel, const std::string& header,
                      std::string* who = nullptr) {
    grpc::ClientContext context;
    Prepare(context, header);
    v1::WhoAmIResponse answer;
    const grpc::Status status =
        v1::AuthService::NewStub(channel)->WhoAmI(&context, v1::WhoAmIRequest(), &answer);
    if (who != nullptr) *who = answer.user().name();
    return status;
  }
  grpc::Status GetRun(const std::string& name, v1::Run* run = nullptr) {
    grpc::ClientContext context;
    Prepare(context, "Bearer " + ann_);
    v1::GetRunRequest request;
    request.set_name(name);
    v1::Run answer;
    return v1::RunService::NewStub(Dial())->GetRun(&context, request, run ? run : &answer);
  }
  grpc::Status Synchronize(const std::shared_ptr<grpc::Channel>& channel,
                           std::string* who = nullptr) {
    grpc::ClientContext context;
    Prepare(context, "");
    v1::SynchronizeResponse answer;
    const grpc::Status status = v1::WorkerService::NewStub(channel)->Synchronize(
        &context, v1::SynchronizeRequest(), &answer);
    if (who != nullptr && status.ok()) *who = answer.stop(0).task();
    return status;
  }

  const TemporaryDirectory folder_;
  SystemClock clock_;
  SystemRandom random_;
  auth::CertificateAuthority authority_ =
      *auth::CertificateAuthority::Open(folder_.path(), {}, clock_, random_);
  FakeDirectory directory_;
  auth::Authenticator authenticator_{directory_, clock_};
  const auth::Policy policy_;
  Gate gate_{authenticator_, policy_};
  AuthApi auth_api_{directory_, authenticator_};
  RunApi run_api_;
  WorkerApi worker_api_;
  AuthService auth_service_{gate_, auth_api_};
  RunService runs_{gate_, run_api_};
  WorkerService workers_{gate_, worker_api_};
  std::unique_ptr<Listener> listener_;
  std::string ann_;
};

}  // namespace beamline::server::rpc
