// Callers for whom another issuer vouches, over the wire.
#include <gmock/gmock.h>

#include "beamline/v1/audit.grpc.pb.h"
#include "tests/server/rpc/populated.h"

namespace beamline::server::rpc {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

class OutsideTest : public PopulatedTest {
 protected:
  OutsideTest() {
    NewProject("one");
    NewProject("two");
    SetIssuers(R"(
    rules:
      - {claim: groups, value: editors, role: editor, projects: [one]}
      - {subject: root, operator: true})");
  }

  grpc::Status WhoAmI(const std::string& token, v1::WhoAmIResponse* who = nullptr) {
    Call call(token);
    v1::WhoAmIResponse unused;
    return auth_->WhoAmI(&call, v1::WhoAmIRequest(), who != nullptr ? who : &unused);
  }
  grpc::Status CreateProject(const std::string& token, const std::string& id) {
    Call call(token);
    v1::CreateProjectRequest request;
    request.set_project_id(id);
    v1::Project project;
    return projects_->CreateProject(&call, request, &project);
  }
  std::vector<v1::AuditEntry> Audit(const std::string& principal) {
    Call call(admin_);
    v1::ListAuditEntriesRequest request;
    request.set_principal(principal);
    v1::ListAuditEntriesResponse listed;
    const grpc::Status status =
        v1::AuditService::NewStub(channel_)->ListAuditEntries(&call, request, &listed);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return {listed.entries().begin(), listed.entries().end()};
  }

  const std::string ada_ = OutsideToken(R"("sub":"ada","groups":["editors"])");
  const std::string root_ = OutsideToken(R"("sub":"root")");
};

TEST_F(OutsideTest, TheyLearnWhatTheyMay) {
  v1::WhoAmIResponse who;
  ASSERT_TRUE(WhoAmI(ada_, &who).ok());
  EXPECT_EQ(who.user().name(), "users/org--ada");
  EXPECT_FALSE(who.user().operator_());
  ASSERT_EQ(who.memberships_size(), 1);
  EXPECT_EQ(who.memberships(0).project(), "projects/one");
  EXPECT_EQ(who.memberships(0).role(), v1::ROLE_EDITOR);
  EXPECT_EQ(who.token_expire_time().seconds(), 4'000'000'030);
  ASSERT_TRUE(WhoAmI(root_, &who).ok());
  EXPECT_TRUE(who.user().operator_());
  Call call(ada_);
  v1::ListProjectsResponse listed;
  ASSERT_TRUE(projects_->ListProjects(&call, v1::ListProjectsRequest(), &listed).ok());
  ASSERT_EQ(listed.projects_size(), 1);
  EXPECT_EQ(listed.projects(0).name(), "projects/one");
}

TEST_F(OutsideTest, TheyWorkAndTheAuditSaysWhoTheyAre) {
  const std::string dataset = Upload("one", kPoints, ada_);
  Call call(ada_);
  v1::CreateRunRequest request;
  request.set_parent("projects/one");
  request.mutable_source()->set_yaml(kTinyPipeline);
  (*request.mutable_inputs())["points"] = dataset;
  v1::Run run;
  const grpc::Status status = v1::RunService::NewStub(channel_)->CreateRun(&call, request, &run);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(run.creator(), "users/org--ada");
  const auto entries = Audit("users/org--ada");
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries[0].method(), "RunService.CreateRun");
  for (const v1::AuditEntry& entry : entries) {
    EXPECT_EQ(entry.token(), "https://auth.example.org ada");
  }
}

TEST_F(OutsideTest, RefusalsAreInTheAuditToo) {
  EXPECT_EQ(CreateProject(ada_, "mine").error_code(), StatusCode::PERMISSION_DENIED);
  std::vector<v1::AuditEntry> entries;
  for (int i = 0; i < 100 && entries.empty(); ++i) {
    absl::SleepFor(absl::Milliseconds(100));
    entries = Audit("users/org--ada");
  }
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].code(), 7);
  EXPECT_EQ(entries[0].token(), "https://auth.example.org ada");
}

TEST_F(OutsideTest, AnOperatorFromOutsideRunsTheCluster) {
  ASSERT_TRUE(CreateProject(root_, "made").ok());
  Call call(root_);
  v1::ListMembersRequest request;
  request.set_parent("projects/made");
  v1::ListMembersResponse members;
  ASSERT_TRUE(projects_->ListMembers(&call, request, &members).ok());
  EXPECT_EQ(members.members_size(), 0);
  Call creating(root_);
  v1::CreateTokenRequest token;
  token.set_user("users/admin");
  v1::CreateTokenResponse made;
  EXPECT_TRUE(auth_->CreateToken(&creating, token, &made).ok());
  Call own(root_);
  v1::CreateTokenRequest mine;
  mine.set_user("users/org--root");
  EXPECT_EQ(auth_->CreateToken(&own, mine, &made).error_code(), StatusCode::PERMISSION_DENIED);
  Call listing(root_);
  v1::ListTokensResponse tokens;
  EXPECT_TRUE(auth_->ListTokens(&listing, v1::ListTokensRequest(), &tokens).ok());
  EXPECT_EQ(tokens.tokens_size(), 0);
}

TEST_F(OutsideTest, AUserOfTheirNameShutsThemOutAtOnce) {
  ASSERT_TRUE(WhoAmI(ada_).ok());
  NewUser("org--ada");
  ASSERT_TRUE(WhoAmI(ada_).ok());
  Disable("org--ada");
  const grpc::Status refused = WhoAmI(ada_);
  EXPECT_EQ(refused.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(refused.error_message(), HasSubstr("is disabled"));
}

TEST_F(OutsideTest, ChangedRulesCountAtOnceAndWrongOnesNever) {
  ASSERT_TRUE(WhoAmI(ada_).ok());
  WriteIssuers("rules: [{role: admin}]");
  const absl::Status wrong = server_->ReloadIssuers();
  EXPECT_TRUE(absl::IsInvalidArgument(wrong)) << wrong;
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("issuers.0.rules.0."));
  WriteIssuers("rulez: []");
  EXPECT_THAT(std::string(server_->ReloadIssuers().message()), HasSubstr("rules"));
  EXPECT_TRUE(WhoAmI(ada_).ok());
  SetIssuers("rules: []");
  EXPECT_EQ(WhoAmI(ada_).error_code(), StatusCode::PERMISSION_DENIED);
}

TEST_F(OutsideTest, ATokenThatWasPastedIntoANameIsShownNowhere) {
  Call call(admin_);
  v1::GetProjectRequest request;
  request.set_name("projects/" + ada_.substr(0, 300));
  v1::Project project;
  const grpc::Status status = projects_->GetProject(&call, request, &project);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message().find(ada_.substr(3, 20)), std::string::npos)
      << status.error_message();
}

}  // namespace
}  // namespace beamline::server::rpc
