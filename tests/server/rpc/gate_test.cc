// Tokens, limits and error details, as clients see them.
#include <gmock/gmock.h>

#include <chrono>
#include <functional>
#include <thread>

#include "tests/server/rpc/small_server.h"

namespace beamline::server::rpc {
namespace {

using testing::HasSubstr;

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

// A call of ann's that has to wait for her others, meanwhile `happens`; its status.
class WaitingTest : public RpcTest {
 protected:
  grpc::Status WhoAmIAfter(const std::function<void()>& happens) {
    Lanes& lanes = gate_.lanes(Turn::kShort);
    const int running = Lanes::Options().max_running_of_one;
    for (int i = 0; i < running; ++i) EXPECT_TRUE(lanes.Enter("users/ann", [](bool) {}).ok());
    grpc::Status status;
    std::thread call([&] { status = WhoAmI(Dial(), "Bearer " + ann_); });
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (lanes.waiting() == 0 && std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
    EXPECT_EQ(lanes.waiting(), 1u) << "it was let in, and waits";
    happens();
    for (int i = 0; i < running; ++i) lanes.Leave("users/ann");
    call.join();
    return status;
  }
};

TEST_F(WaitingTest, WhoWaitedGetsHisAnswer) {
  EXPECT_TRUE(WhoAmIAfter([] {}).ok());
}

TEST_F(WaitingTest, WhoMayNoMoreWhenItIsHisTurnIsRefused) {
  const grpc::Status status = WhoAmIAfter([this] {
    directory_.RevokeAll();
    authenticator_.Forget();
  });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(status.error_message(), HasSubstr("revoked"));
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

TEST_F(RpcTest, MethodsThatAreNotBuiltSaySo) {
  grpc::ClientContext context;
  Prepare(context, "Bearer " + ann_);
  v1::ListUsersResponse answer;
  EXPECT_EQ(v1::AuthService::NewStub(Dial())
                ->ListUsers(&context, v1::ListUsersRequest(), &answer)
                .error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace beamline::server::rpc
