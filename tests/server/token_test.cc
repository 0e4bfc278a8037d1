// Tokens that may less than their user, users that are out, certificates that are renewed.
#include "auth/authenticator.h"
#include "store/audit.h"
#include "store/workers.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

class TokenTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    for (const char* project : {"optics", "acoustics"}) {
      v1::SetMemberRequest member;
      member.set_parent(std::string("projects/") + project);
      member.mutable_member()->set_principal("users/ada");
      member.mutable_member()->set_role(v1::ROLE_EDITOR);
      ASSERT_TRUE(Call(server_->projects(), &ProjectApi::SetMember, Operator(), member).ok());
    }
  }

  static v1::CreateTokenRequest Request(const std::vector<std::string>& projects,
                                        v1::Role max_role = v1::ROLE_UNSPECIFIED) {
    v1::CreateTokenRequest request;
    for (const std::string& project : projects) request.add_projects("projects/" + project);
    request.set_max_role(max_role);
    return request;
  }
  absl::StatusOr<v1::CreateTokenResponse> Create(const auth::Principal& caller,
                                                 const v1::CreateTokenRequest& request) {
    return Call(server_->auth(), &AuthApi::CreateToken, caller, request);
  }
  // As the gate finds whoever has the token.
  auth::Principal Enter(const absl::StatusOr<v1::CreateTokenResponse>& token) {
    EXPECT_TRUE(token.ok()) << token.status();
    const auto who = server_->authenticator().Authenticate(token->secret(), "peer");
    EXPECT_TRUE(who.ok()) << who.status();
    return who.ok() ? *who : auth::Principal();
  }
  static google::protobuf::Timestamp At(absl::Time time) {
    google::protobuf::Timestamp proto;
    proto.set_seconds(absl::ToUnixSeconds(time));
    return proto;
  }
  absl::StatusOr<v1::User> Update(const std::string& user, const std::string& field, bool value) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("users/" + user);
    request.mutable_user()->set_operator_(value);
    request.mutable_user()->set_disabled(value);
    request.mutable_update_mask()->add_paths(field);
    return Call(server_->auth(), &AuthApi::UpdateUser, Operator(), request);
  }
};

TEST_F(TokenTest, ATokenTellsItsLimits) {
  const auto made = Create(User("ada"), Request({"optics"}, v1::ROLE_VIEWER));
  const auth::Principal who = Enter(made);
  EXPECT_EQ(who.roles, (auth::Roles{{"optics", v1::ROLE_VIEWER}}));
  ASSERT_EQ(made->token().projects_size(), 1);
  EXPECT_EQ(made->token().projects(0), "projects/optics");
  EXPECT_EQ(made->token().max_role(), v1::ROLE_VIEWER);
  const auto told = Call(server_->auth(), &AuthApi::WhoAmI, who, v1::WhoAmIRequest());
  ASSERT_TRUE(told.ok()) << told.status();
  ASSERT_EQ(told->memberships_size(), 1);
  EXPECT_EQ(told->memberships(0).project(), "projects/optics");
  EXPECT_EQ(told->memberships(0).role(), v1::ROLE_VIEWER);
  EXPECT_EQ(told->token_projects(0), "projects/optics");
  EXPECT_EQ(told->token_max_role(), v1::ROLE_VIEWER);
  const auto projects =
      Call(server_->projects(), &ProjectApi::ListProjects, who, v1::ListProjectsRequest());
  ASSERT_EQ(projects->projects_size(), 1);
  EXPECT_EQ(projects->projects(0).name(), "projects/optics");
}

// Neither names nor tokens of pages tell of projects that it is not for.
TEST_F(TokenTest, PagesAreOfTheProjectsThatItIsFor) {
  for (const char* project : {"between", "mechanics"}) {
    v1::CreateProjectRequest request;
    request.set_project_id(project);
    ASSERT_TRUE(Call(server_->projects(), &ProjectApi::CreateProject, User("ada"), request).ok());
  }
  const auth::Principal who = Enter(Create(User("ada"), Request({"acoustics", "optics"})));
  v1::ListProjectsRequest request;
  request.set_page_size(1);
  std::vector<std::string> names;
  do {
    const auto page = Call(server_->projects(), &ProjectApi::ListProjects, who, request);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->projects_size(), 1);
    names.push_back(page->projects(0).name());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(names, (std::vector<std::string>{"projects/acoustics", "projects/optics"}));
}

TEST_F(TokenTest, AnOperatorsLimitedTokenHasNoRightsOfOperators) {
  const auth::Principal who = Enter(Create(Operator(), Request({}, v1::ROLE_ADMIN)));
  EXPECT_FALSE(who.is_operator);
  EXPECT_TRUE(who.limited);
  auto other = Request({}, v1::ROLE_VIEWER);
  other.set_user("users/ada");
  EXPECT_TRUE(absl::IsPermissionDenied(Create(who, other).status()));
}

TEST_F(TokenTest, OnlyProjectsOfTheUserCanBeNamed) {
  for (const char* project : {"nowhere", "foreign"}) {
    v1::CreateProjectRequest request;
    request.set_project_id("foreign");
    Call(server_->projects(), &ProjectApi::CreateProject, Operator(), request).IgnoreError();
    EXPECT_TRUE(absl::IsInvalidArgument(Create(User("ada"), Request({project})).status()));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Create(User("ada"), Request({"No/Name"})).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Create(User("ada"), Request({}, static_cast<v1::Role>(17))).status()));
}

TEST_F(TokenTest, ALimitedTokenMakesNoneThatMayMore) {
  auto limited = Request({"optics"}, v1::ROLE_EDITOR);
  *limited.mutable_expire_time() = At(clock_.Now() + absl::Hours(10));
  const auth::Principal who = Enter(Create(User("ada"), limited));
  const auto make = [&](const std::vector<std::string>& projects, v1::Role role, int hours) {
    auto request = Request(projects, role);
    if (hours > 0) *request.mutable_expire_time() = At(clock_.Now() + absl::Hours(hours));
    return Create(who, request).status();
  };
  EXPECT_TRUE(make({"optics"}, v1::ROLE_EDITOR, 10).ok());
  EXPECT_TRUE(make({"optics"}, v1::ROLE_VIEWER, 1).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(make({}, v1::ROLE_UNSPECIFIED, 1)));
  EXPECT_TRUE(absl::IsPermissionDenied(make({}, v1::ROLE_VIEWER, 1)));
  EXPECT_TRUE(absl::IsPermissionDenied(make({"acoustics"}, v1::ROLE_VIEWER, 1)));
  EXPECT_TRUE(absl::IsPermissionDenied(make({"optics", "acoustics"}, v1::ROLE_VIEWER, 1)));
  EXPECT_TRUE(absl::IsPermissionDenied(make({"optics"}, v1::ROLE_UNSPECIFIED, 1)));
  EXPECT_TRUE(absl::IsPermissionDenied(make({"optics"}, v1::ROLE_ADMIN, 1)));
  EXPECT_TRUE(absl::IsPermissionDenied(make({"optics"}, v1::ROLE_EDITOR, 11)));
  EXPECT_TRUE(absl::IsPermissionDenied(make({"optics"}, v1::ROLE_EDITOR, 0)));
}

TEST_F(TokenTest, EitherLimitBindsAlone) {
  const auth::Principal role = Enter(Create(User("ada"), Request({}, v1::ROLE_VIEWER)));
  EXPECT_TRUE(absl::IsPermissionDenied(Create(role, Request({"optics"})).status()));
  EXPECT_TRUE(Create(role, Request({"optics"}, v1::ROLE_VIEWER)).ok());
  const auth::Principal project = Enter(Create(User("ada"), Request({"optics"})));
  EXPECT_TRUE(absl::IsPermissionDenied(Create(project, Request({}, v1::ROLE_VIEWER)).status()));
  EXPECT_TRUE(Create(project, Request({"optics"})).ok());
}

TEST_F(TokenTest, ALimitedTokenSeesAndRevokesItselfOnly) {
  const auto first = Create(User("ada"), v1::CreateTokenRequest());
  const auto limited = Create(User("ada"), Request({"optics"}));
  const auth::Principal who = Enter(limited);
  const auto listed = Call(server_->auth(), &AuthApi::ListTokens, who, v1::ListTokensRequest());
  ASSERT_EQ(listed->tokens_size(), 1);
  EXPECT_EQ(listed->tokens(0).name(), limited->token().name());
  v1::RevokeTokenRequest revoke;
  revoke.set_name(first->token().name());
  EXPECT_TRUE(
      absl::IsPermissionDenied(Call(server_->auth(), &AuthApi::RevokeToken, who, revoke).status()));
  revoke.set_name(limited->token().name());
  EXPECT_TRUE(Call(server_->auth(), &AuthApi::RevokeToken, who, revoke).ok());
  EXPECT_FALSE(server_->authenticator().Authenticate(limited->secret(), "peer").ok());
}

TEST_F(TokenTest, OnlyTokensThatAreGoodAreCounted) {
  auto brief = Request({});
  *brief.mutable_expire_time() = At(clock_.Now() + absl::Hours(1));
  for (int i = 0; i < 999; ++i) ASSERT_TRUE(Create(User("ada"), brief).ok());
  const auto last = Create(User("ada"), Request({}));
  ASSERT_TRUE(last.ok());
  const absl::Status full = Create(User("ada"), Request({})).status();
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_TRUE(Create(Operator(), Request({})).ok()) << "of each user as many";
  v1::RevokeTokenRequest revoke;
  revoke.set_name(last->token().name());
  ASSERT_TRUE(Call(server_->auth(), &AuthApi::RevokeToken, User("ada"), revoke).ok());
  EXPECT_TRUE(Create(User("ada"), Request({})).ok()) << "one was revoked";
  EXPECT_TRUE(absl::IsResourceExhausted(Create(User("ada"), Request({})).status()));
  clock_.AdvanceMillis(3'600'000);
  EXPECT_TRUE(Create(User("ada"), Request({})).ok()) << "the others expired";
}

TEST_F(TokenTest, TokensThatDiedLongAgoGoWithTheNextThatIsMade) {
  const auto names = [&] {
    std::set<std::string> names;
    const auto listed =
        Call(server_->auth(), &AuthApi::ListTokens, User("ada"), v1::ListTokensRequest());
    for (const v1::Token& token : listed->tokens()) names.insert(token.name());
    return names;
  };
  auto brief = Request({});
  *brief.mutable_expire_time() = At(clock_.Now() + absl::Hours(24));
  const auto expired = Create(User("ada"), brief);
  const auto revoked = Create(User("ada"), Request({}));
  const auto good = Create(User("ada"), Request({}));
  v1::RevokeTokenRequest revoke;
  revoke.set_name(revoked->token().name());
  ASSERT_TRUE(Call(server_->auth(), &AuthApi::RevokeToken, User("ada"), revoke).ok());
  clock_.AdvanceMillis(absl::ToInt64Milliseconds(absl::Hours(90 * 24) - absl::Seconds(1)));
  const auto next = Create(User("ada"), Request({}));
  EXPECT_EQ(names().size(), 4u);
  clock_.AdvanceMillis(1'000);
  const auto third = Create(User("ada"), Request({}));
  EXPECT_FALSE(names().contains(revoked->token().name()));
  EXPECT_TRUE(names().contains(expired->token().name())) << "it lived a day longer";
  clock_.AdvanceMillis(absl::ToInt64Milliseconds(absl::Hours(24)));
  const auto fourth = Create(User("ada"), Request({}));
  EXPECT_EQ(names(), (std::set<std::string>{good->token().name(), next->token().name(),
                                            third->token().name(), fourth->token().name()}));
  Enter(good);
}

TEST_F(TokenTest, AServiceAccountMakesNoTokens) {
  v1::CreateUserRequest create;
  create.set_user_id("robot");
  create.mutable_user()->set_service_account(true);
  const auto robot = Call(server_->auth(), &AuthApi::CreateUser, Operator(), create);
  ASSERT_TRUE(robot.ok()) << robot.status();
  EXPECT_TRUE(robot->service_account());
  v1::CreateTokenRequest request;
  request.set_user("users/robot");
  const auth::Principal who = Enter(Create(Operator(), request));
  EXPECT_TRUE(absl::IsPermissionDenied(Create(who, v1::CreateTokenRequest()).status()));
}

TEST_F(TokenTest, ADisabledUserIsOutWithTheAnswer) {
  const auto token = Create(User("ada"), v1::CreateTokenRequest());
  Enter(token);
  ASSERT_TRUE(Update("ada", "disabled", true).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(
      server_->authenticator().Authenticate(token->secret(), "peer").status()));
  Restart();
  EXPECT_TRUE(absl::IsUnauthenticated(
      server_->authenticator().Authenticate(token->secret(), "peer").status()));
  ASSERT_TRUE(Update("ada", "disabled", false).ok());
  Enter(token);
}

TEST_F(TokenTest, WhenATokenWasLastUsedOutlivesARestart) {
  const auto token = Create(User("ada"), v1::CreateTokenRequest());
  clock_.AdvanceMillis(7'000);
  Enter(token);
  Restart();
  const auto listed =
      Call(server_->auth(), &AuthApi::ListTokens, User("ada"), v1::ListTokensRequest());
  ASSERT_EQ(listed->tokens_size(), 1);
  EXPECT_EQ(listed->tokens(0).last_use_time().seconds(), absl::ToUnixSeconds(clock_.Now()));
}

TEST_F(TokenTest, AnOperatorAlwaysRemains) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Update("root", "disabled", true).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Update("root", "operator", false).status()));
  ASSERT_TRUE(Update("ada", "operator", true).ok());
  ASSERT_TRUE(Update("root", "disabled", true).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Update("ada", "operator", false).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Update("ada", "create_time", true).status()));
  EXPECT_TRUE(absl::IsNotFound(Update("nobody", "disabled", true).status()));
}

TEST_F(TokenTest, AWorkersCertificateIsRenewedForItself) {
  const FakeWorker worker(*server_);
  const auto key = MakeKeyAndRequest("anything");
  v1::RenewCertificateRequest request;
  request.set_certificate_request(key->request_pem);
  const auto renewed =
      Call(server_->workers(), &WorkerApi::RenewCertificate, worker.principal(), request);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_EQ(ValidityOf(renewed->certificate())->end,
            clock_.Now() + auth::CertificateAuthority::kWorkerLifetime);
  EXPECT_EQ(renewed->certificate_authority(), server_->authority().root_certificate());
  request.set_certificate_request("nonsense");
  EXPECT_TRUE(absl::IsInvalidArgument(
      Call(server_->workers(), &WorkerApi::RenewCertificate, worker.principal(), request)
          .status()));
  auth::Principal gone = worker.principal();
  gone.name = "workers/gone";
  request.set_certificate_request(key->request_pem);
  EXPECT_TRUE(absl::IsNotFound(
      Call(server_->workers(), &WorkerApi::RenewCertificate, gone, request).status()));
}

}  // namespace
}  // namespace beamline::server
