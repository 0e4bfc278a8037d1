// Those who have tokens of another issuer, authenticated.
#include <gmock/gmock.h>

#include "auth/authenticator.h"
#include "tests/auth/issuers_fixture.h"

namespace beamline::auth {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

// Users whom operators made in this server; nobody else.
class FewUsers : public Directory {
 public:
  absl::StatusOr<std::optional<TokenRecord>> FindToken(const std::string&) override {
    return std::optional<TokenRecord>();
  }
  absl::StatusOr<std::optional<UserRecord>> FindUser(const std::string& user) override {
    const auto found = users.find(user);
    if (found == users.end()) return std::optional<UserRecord>();
    return std::optional<UserRecord>(found->second);
  }
  absl::StatusOr<bool> IsWorker(const std::string&) override { return false; }

  std::map<std::string, UserRecord> users;
};

class OutsideTest : public IssuersTest {
 protected:
  StatusCode Code(const std::string& token, const std::string& peer = "ipv4:192.0.2.7:1") {
    return authenticator_.Authenticate(token, peer).status().code();
  }

  FewUsers directory_;
  Authenticator authenticator_{directory_, clock_, {.failures = {}, .issuers = &issuers_}};
};

TEST_F(OutsideTest, TheyAreAuthenticatedLikeUsers) {
  Start();
  const auto who = authenticator_.Authenticate(Sign(claims_), "ipv4:192.0.2.7:1");
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->name, "users/org--ada");
  EXPECT_EQ(who->peer, "ipv4:192.0.2.7:1");
  EXPECT_EQ(Authenticator(directory_, clock_).Authenticate(Sign(claims_), "p").status().message(),
            kNotValid);
}

TEST_F(OutsideTest, WhatIsRememberedEndsWithTheToken) {
  Start();
  const std::string token = Sign(claims_.With("exp", Text(kNow + 1)));
  EXPECT_EQ(Code(token), StatusCode::kOk);
  clock_.AdvanceMillis(30'999);
  EXPECT_EQ(Code(token), StatusCode::kOk);
  clock_.AdvanceMillis(1);
  EXPECT_EQ(Code(token), StatusCode::kUnauthenticated);
}

TEST_F(OutsideTest, AUserOfTheirNameWhoIsDisabledShutsThemOut) {
  Start();
  directory_.users["users/org--ada"] = {};
  directory_.users["users/org--ada"].roles["tracks"] = v1::ROLE_ADMIN;
  const auto who = authenticator_.Authenticate(Sign(claims_), "p");
  ASSERT_TRUE(who.ok());
  EXPECT_EQ(who->roles, (Roles{{"optics", v1::ROLE_EDITOR}})) << "rules alone give roles";
  directory_.users["users/org--ada"].disabled = true;
  authenticator_.Forget();
  const auto refused = authenticator_.Authenticate(Sign(claims_), "p");
  EXPECT_EQ(refused.status().code(), StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("is disabled"));
}

TEST_F(OutsideTest, GuessesAreSlowedDownAndThoseWhoWereGoodAreNot) {
  Start();
  EXPECT_EQ(Code(Sign(claims_)), StatusCode::kOk);
  const std::string expired = Sign(claims_.With("exp", Text(kNow - 100)));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Code(expired), StatusCode::kUnauthenticated);
  const std::string bad = SignToken(TestKey::Rsa(), "RS256", "1", claims_.Json());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Code(bad), StatusCode::kUnauthenticated);
  EXPECT_EQ(Code(bad), StatusCode::kResourceExhausted);
  EXPECT_EQ(Code(Sign(claims_.With("jti", "\"2\""))), StatusCode::kResourceExhausted);
  authenticator_.Forget();
  EXPECT_EQ(Code(Sign(claims_)), StatusCode::kOk) << "it was good before";
  EXPECT_EQ(Code(bad, "ipv4:192.0.2.8:1"), StatusCode::kUnauthenticated) << "another address";
}

}  // namespace
}  // namespace beamline::auth
