// Certificates, ports, health and reflection, as clients see them.
#include <gmock/gmock.h>

#include "tests/server/rpc/raw_call.h"
#include "tests/server/rpc/small_server.h"

namespace beamline::server::rpc {
namespace {

using testing::HasSubstr;

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
std::string RawAnswer(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                      const std::string& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  std::string answer;
  RawCall(channel, context, method, request, &answer);
  return answer;
}

// grpc.health.v1.HealthCheckResponse: field 1, a varint: 1 SERVING, 2 NOT_SERVING.
TEST_F(RpcTest, HealthFollowsTheServer) {
  const auto channel = Dial();
  const std::string check = "/grpc.health.v1.Health/Check";
  EXPECT_EQ(RawAnswer(channel, check, ""), "\x08\x02");
  listener_->SetServing(true);
  EXPECT_EQ(RawAnswer(channel, check, ""), "\x08\x01");
  EXPECT_EQ(RawAnswer(channel, check, std::string("\x0a\x16") + "beamline.v1.RunService"),
            "\x08\x01");
  listener_->SetServing(false);
  EXPECT_EQ(RawAnswer(channel, check, ""), "\x08\x02");
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
