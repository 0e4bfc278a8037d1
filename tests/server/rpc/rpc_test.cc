// The seam on a real port: TLS, tokens, worker certificates, limits, error details, health and
// reflection. The API classes behind it are small ones of this test.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
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
namespace {

using testing::HasSubstr;

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

TEST_F(RpcTest, TokenIsTheCaller) {
  std::string who;
  const grpc::Status status = WhoAmI(Dial(), "Bearer " + ann_, &who);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(who, "users/ann");
  EXPECT_TRUE(WhoAmI(Dial(), "bearer " + ann_).ok());
}

TEST_F(RpcTest, WithoutAGoodTokenNothing) {
  const auto channel = Dial();
  const std::string expired =
      directory_.GiveToken("users/bob", {}, clock_.Now() - absl::Seconds(1));
  const std::string almost = ann_.substr(0, 83) + (ann_.back() == '0' ? "1" : "0");
  for (const std::string& header : {std::string(), "Basic " + ann_, ann_, std::string("Bearer"),
                                    std::string("Bearer "), "Bearer " + almost, "Bearer  " + ann_,
                                    "Bearer " + expired, "Bearer " + std::string(6000, 'x')}) {
    EXPECT_EQ(WhoAmI(channel, header).error_code(), grpc::StatusCode::UNAUTHENTICATED) << header;
  }
}

TEST_F(RpcTest, TwoTokensAreNone) {
  grpc::ClientContext context;
  Prepare(context, "Bearer " + ann_);
  context.AddMetadata("authorization", "Bearer " + ann_);
  v1::WhoAmIResponse answer;
  EXPECT_EQ(
      v1::AuthService::NewStub(Dial())->WhoAmI(&context, v1::WhoAmIRequest(), &answer).error_code(),
      grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(RpcTest, RevocationCountsFromTheAnswerOn) {
  const auto channel = Dial();
  ASSERT_TRUE(WhoAmI(channel, "Bearer " + ann_).ok());
  grpc::ClientContext context;
  Prepare(context, "Bearer " + ann_);
  v1::Token answer;
  ASSERT_TRUE(v1::AuthService::NewStub(channel)
                  ->RevokeToken(&context, v1::RevokeTokenRequest(), &answer)
                  .ok());
  const grpc::Status after = WhoAmI(channel, "Bearer " + ann_);
  EXPECT_EQ(after.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(after.error_message(), HasSubstr("revoked"));
}

TEST_F(RpcTest, ForeignProjectsAreNotThere) {
  EXPECT_TRUE(GetRun("projects/p/runs/r").ok());
  EXPECT_EQ(GetRun("projects/q/runs/r").error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(RpcTest, MalformedNamesCarryTheField) {
  const grpc::Status status = GetRun("runs/r");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), 3);
  EXPECT_EQ(details.message(), status.error_message());
  google::rpc::BadRequest bad;
  ASSERT_EQ(details.details_size(), 1);
  ASSERT_TRUE(details.details(0).UnpackTo(&bad));
  EXPECT_EQ(bad.field_violations(0).field(), "name");
}

TEST_F(RpcTest, OnlyGoogleDetailsLeaveTheServer) {
  const grpc::Status status = GetRun("projects/p/runs/busy");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(0).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 7);
  EXPECT_EQ(status.error_details().find("not for clients"), std::string::npos);
}

TEST_F(RpcTest, OurMistakesAreShownByIdOnly) {
  const grpc::Status status = GetRun("projects/p/runs/internal");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(status.error_message(), HasSubstr("its log has the details under error "));
  EXPECT_EQ(status.error_message().find("innards"), std::string::npos);
  EXPECT_TRUE(status.error_details().empty());
}

TEST_F(RpcTest, OversizedMessagesAreRefused) {
  const grpc::Status status = GetRun("projects/p/runs/" + std::string((4 << 20) + 1, 'r'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(GetRun("projects/p/runs/r").ok());
}

TEST_F(RpcTest, LongMessagesOfErrorsAreCut) {
  const grpc::Status status = GetRun("runs/" + std::string(1 << 20, 'r'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_LT(status.error_message().size(), 2100u);
}

TEST_F(RpcTest, WorkerIsWhoItsCertificateNames) {
  const KeyAndRequest identity = *MakeKeyAndRequest("whatever");
  const auto channel = Dial(authority_.root_certificate(), &identity,
                            *authority_.SignWorkerRequest(identity.request_pem, "workers/w1"));
  std::string who;
  const grpc::Status status = Synchronize(channel, &who);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(who, "workers/w1");
  // A worker is no user, and a user's token counts for more than the connection's certificate.
  EXPECT_EQ(WhoAmI(channel, "").error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(WhoAmI(channel, "Bearer " + ann_).ok());
}

TEST_F(RpcTest, RemovedWorkersAndUsersAreNoWorkers) {
  const KeyAndRequest identity = *MakeKeyAndRequest("w2");
  const std::string removed = *authority_.SignWorkerRequest(identity.request_pem, "workers/w2");
  EXPECT_EQ(Synchronize(Dial(authority_.root_certificate(), &identity, removed)).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Synchronize(Dial()).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(RpcTest, ForeignCertificatesDoNotEvenConnect) {
  const TemporaryDirectory elsewhere;
  const auth::CertificateAuthority foreign =
      *auth::CertificateAuthority::Open(elsewhere.path(), {}, clock_, random_);
  const KeyAndRequest identity = *MakeKeyAndRequest("w1");
  const std::string forged = *foreign.SignWorkerRequest(identity.request_pem, "workers/w1");
  EXPECT_EQ(Synchronize(Dial(authority_.root_certificate(), &identity, forged)).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  // Nor does a client that trusts another authority.
  EXPECT_EQ(WhoAmI(Dial(foreign.root_certificate()), "Bearer " + ann_).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(RpcTest, TheServersOwnCertificateMakesNoWorker) {
  KeyAndRequest identity;
  identity.key_pem = authority_.server_key();
  EXPECT_FALSE(
      Synchronize(Dial(authority_.root_certificate(), &identity, authority_.server_certificate()))
          .ok());
}

TEST_F(RpcTest, PlaintextIsNotServed) {
  const auto channel =
      grpc::CreateChannel(listener_->address(), grpc::InsecureChannelCredentials());
  EXPECT_EQ(WhoAmI(channel, "Bearer " + ann_).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(RpcTest, MethodsThatAreNotBuiltSaySo) {
  grpc::ClientContext context;
  Prepare(context, "Bearer " + ann_);
  v1::ListUsersResponse answer;
  EXPECT_EQ(v1::AuthService::NewStub(Dial())
                ->ListUsers(&context, v1::ListUsersRequest(), &answer)
                .error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(RpcTest, TwoListenersDoNotShareAPort) {
  Listener::Options options;
  options.address = listener_->address();
  const auto second = Listener::Start(options, authority_, {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(options.address));
}

TEST_F(RpcTest, MalformedAddressesAreRefused) {
  for (const char* bad :
       {"", "localhost", ":7447", "localhost:", "localhost:x", "localhost:-1", "localhost:65536"}) {
    Listener::Options options;
    options.address = bad;
    EXPECT_EQ(Listener::Start(options, authority_, {}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << bad;
  }
}

// One unary call with bytes as they are; "" if it fails.
std::string RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                    const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  const grpc::ByteBuffer out(&slice, 1);
  const auto call = stub.PrepareUnaryCall(&context, method, out, &queue);
  call->StartCall();
  grpc::ByteBuffer in;
  grpc::Status status;
  call->Finish(&in, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  grpc::Slice answer;
  if (!status.ok() || !in.DumpToSingleSlice(&answer).ok()) return "";
  return std::string(reinterpret_cast<const char*>(answer.begin()), answer.size());
}

// grpc.health.v1.HealthCheckResponse: field 1, a varint: 1 SERVING, 2 NOT_SERVING.
TEST_F(RpcTest, HealthFollowsTheServer) {
  const auto channel = Dial();
  const std::string check = "/grpc.health.v1.Health/Check";
  EXPECT_EQ(RawCall(channel, check, ""), "\x08\x02");
  listener_->SetServing(true);
  EXPECT_EQ(RawCall(channel, check, ""), "\x08\x01");
  EXPECT_EQ(RawCall(channel, check, std::string("\x0a\x16") + "beamline.v1.RunService"),
            "\x08\x01");
  listener_->SetServing(false);
  EXPECT_EQ(RawCall(channel, check, ""), "\x08\x02");
}

// ServerReflectionRequest{list_services: ""} on a stream of its own.
TEST_F(RpcTest, ReflectionListsTheServices) {
  grpc::GenericStub stub(Dial());
  grpc::ClientContext context;
  Prepare(context, "");
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  const grpc::Slice slice(std::string("\x3a\0", 2));
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::ByteBuffer in;
  call->Read(&in, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::Slice answer;
  ASSERT_TRUE(in.DumpToSingleSlice(&answer).ok());
  const std::string text(reinterpret_cast<const char*>(answer.begin()), answer.size());
  EXPECT_THAT(text, HasSubstr("beamline.v1.AuthService"));
  EXPECT_THAT(text, HasSubstr("beamline.v1.RunService"));
  EXPECT_THAT(text, HasSubstr("grpc.health.v1.Health"));
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  EXPECT_TRUE(status.ok());
}

}  // namespace
}  // namespace beamline::server::rpc
