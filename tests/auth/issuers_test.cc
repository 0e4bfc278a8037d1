#include "auth/issuers.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>

#include "base/file.h"
#include "google/rpc/error_details.pb.h"
#include "tests/auth/issuers_fixture.h"

namespace beamline::auth {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

TEST_F(IssuersTest, AGoodTokenIsItsSubjectWithWhatTheRulesGive) {
  Start();
  for (const std::string& token :
       {Sign(claims_), SignToken(ec_, "ES256", "2", claims_.Json()),
        Sign(claims_.With("aud", R"(["other","beamline"])").With("nbf", Text(kNow)))}) {
    const absl::StatusOr<Principal> who = issuers_.Check(token, &guess_);
    ASSERT_TRUE(who.ok()) << who.status();
    EXPECT_FALSE(guess_);
    EXPECT_EQ(who->kind, Principal::kUser);
    EXPECT_EQ(who->name, "users/org--ada");
    EXPECT_EQ(who->roles, (Roles{{"optics", v1::ROLE_EDITOR}}));
    EXPECT_FALSE(who->is_operator);
    EXPECT_TRUE(who->limited);
    ASSERT_NE(who->outside, nullptr);
    EXPECT_EQ(who->outside->issuer, kUrl);
    EXPECT_EQ(who->outside->subject, "ada");
  }
}

TEST_F(IssuersTest, WhatTheIssuerDidNotSignIsAGuess) {
  Start();
  const std::string good = Sign(claims_);
  ExpectGuess("eyJ..");
  ExpectGuess(Sign(claims_.With("iss", "\"https://auth.example.com\"")));
  ExpectGuess(Sign(claims_.Without("iss")));
  ExpectGuess(Sign(claims_.With("iss", "\"https://auth.example.org/\"")));
  ExpectGuess(SignToken(TestKey::Rsa(), "RS256", "1", claims_.Json()));
  ExpectGuess(good.substr(0, good.size() - 10) + "AAAAAAAAAA");
  const auto nothing = [](const std::string&) { return std::string(); };
  ExpectGuess(Assemble(R"({"alg":"none","kid":"1"})", claims_.Json(), nothing));
  const auto by_key = [this](const std::string& text) {
    return HmacSha256(rsa_.Jwk(R"("kid":"1")"), text);
  };
  ExpectGuess(Assemble(R"({"alg":"HS256","kid":"1"})", claims_.Json(), by_key));
  EXPECT_TRUE(Ask(good).ok());
}

TEST_F(IssuersTest, TimesCountWithALittleLeeway) {
  Start();
  EXPECT_TRUE(Ask(Sign(claims_.With("exp", Text(kNow - 29)))).ok());
  EXPECT_THAT(Refusal(claims_.With("exp", Text(kNow - 30))),
              HasSubstr("expired at 2023-11-14T22:12:50+00:00"));
  EXPECT_THAT(Refusal(claims_.Without("exp")), HasSubstr("no end"));
  EXPECT_THAT(Refusal(claims_.With("exp", "\"never\"")), HasSubstr("no end"));
  EXPECT_THAT(Refusal(claims_.With("exp", "1e300")), HasSubstr("no end"));
  for (const char* const claim : {"nbf", "iat"}) {
    EXPECT_TRUE(Ask(Sign(claims_.With(claim, Text(kNow + 30)))).ok());
    EXPECT_THAT(Refusal(claims_.With(claim, Text(kNow + 31))), HasSubstr("not good before"));
  }
}

TEST_F(IssuersTest, OnlyTokensForThisServerCount) {
  Start();
  for (const char* const audience : {"\"other\"", "[]", "[\"other\"]", "\"beamline2\"", "7"}) {
    EXPECT_THAT(Refusal(claims_.With("aud", audience)), HasSubstr("another audience"));
  }
  EXPECT_THAT(Refusal(claims_.Without("aud")), HasSubstr("another audience"));
}

TEST_F(IssuersTest, ATokenSaysWhoseItIs) {
  Start();
  for (const std::string& subject :
       {std::string("\"\""), std::string("7"), std::string("\"a b\""), std::string("\"a\\nb\""),
        "\"" + std::string(256, 'a') + "\""}) {
    EXPECT_THAT(Refusal(claims_.With("sub", subject)), HasSubstr("whose it is")) << subject;
  }
  EXPECT_THAT(Refusal(claims_.Without("sub")), HasSubstr("whose it is"));
}

TEST_F(IssuersTest, WithoutARuleAGoodTokenMayNothing) {
  Start();
  const absl::Status refused = Ask(Sign(claims_.With("sub", "\"bob\"")));
  EXPECT_EQ(refused.code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("users/org--bob"));
  EXPECT_FALSE(guess_);
}

TEST_F(IssuersTest, RulesThatAreSetAnewCountAtOnce) {
  Start();
  config_.mutable_issuers(0)->mutable_rules(0)->set_subject("bob");
  issuers_.Set(config_);
  EXPECT_EQ(Ask(Sign(claims_)).code(), StatusCode::kPermissionDenied);
  EXPECT_TRUE(Ask(Sign(claims_.With("sub", "\"bob\""))).ok()) << "the keys were kept";
  issuers_.Set(v1::Issuers());
  ExpectGuess(Sign(claims_));
}

TEST_F(IssuersTest, KeysFromElsewhereAreNotTakenForThoseOfBefore) {
  Start();
  config_.mutable_issuers(0)->set_keys_url("https://elsewhere.example.org/keys");
  issuers_.Set(config_);
  EXPECT_EQ(Ask(Sign(claims_)).code(), StatusCode::kUnavailable);
}

TEST_F(IssuersTest, BeforeThereAreKeysCallersAreToldToWait) {
  issuers_.Set(config_);
  const absl::Status status = Ask(Sign(claims_));
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_FALSE(guess_) << "it is not the caller's fault";
  google::rpc::RetryInfo retry;
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.RetryInfo");
  ASSERT_TRUE(payload.has_value() && retry.ParseFromString(std::string(*payload)));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_TRUE(asked_.empty()) << "no call fetches keys";
  EXPECT_EQ(issuers_.FetchDue(), 1);
  EXPECT_TRUE(Ask(Sign(claims_)).ok());
}

TEST_F(IssuersTest, AKeyThatIsNotKnownIsLookedFor) {
  Start();
  const TestKey fresh = TestKey::Ec();
  const std::string token = SignToken(fresh, "ES256", "3", claims_.Json());
  Publish({rsa_.Jwk(R"("kid":"1")"), fresh.Jwk(R"("kid":"3")")});
  clock_.AdvanceMillis(30'000);
  EXPECT_EQ(Ask(token).code(), StatusCode::kUnavailable);
  EXPECT_EQ(issuers_.FetchDue(), 1);
  EXPECT_TRUE(Ask(token).ok());
  EXPECT_TRUE(Ask(Sign(claims_)).ok());
  // What is not published any more counts no more.
  Publish({fresh.Jwk(R"("kid":"3")")});
  clock_.AdvanceMillis(3'600'000);
  EXPECT_EQ(issuers_.FetchDue(), 1);
  claims_ = claims_.With("exp", Text(kNow + 10'000));
  EXPECT_EQ(Ask(Sign(claims_)).code(), StatusCode::kUnavailable);
  clock_.AdvanceMillis(30'000);
  issuers_.FetchDue();
  ExpectGuess(Sign(claims_));
}

TEST_F(IssuersTest, AFloodOfUnknownKeysAsksTheIssuerRarely) {
  Start();
  const TestKey other = TestKey::Ec();
  for (int second = 0; second < 300; ++second) {
    for (int i = 0; i < 10; ++i) {
      const std::string kid = "x" + Text(second * 10 + i);
      const absl::Status status = Ask(SignToken(other, "ES256", kid, claims_.Json()));
      EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
      EXPECT_TRUE(guess_) << "the sender is slowed down";
    }
    clock_.AdvanceMillis(1'000);
    issuers_.FetchDue();
  }
  EXPECT_EQ(asked_.size(), 11u) << "at the start, and every 30 seconds";
  EXPECT_TRUE(Ask(Sign(claims_)).ok());
}

TEST_F(IssuersTest, AFloodOfUnknownKeysIsNotRememberedWhileTheIssuerIsDown) {
  Start();
  GoDown();
  const TestKey other = TestKey::Ec();
  std::vector<std::string> tokens;
  for (int look = 0; look < 5; ++look) {
    for (int i = 0; i < 300; ++i) {
      const std::string kid = "x" + Text(look * 300 + i);
      tokens.push_back(SignToken(other, "ES256", kid, claims_.Json()));
      EXPECT_EQ(Ask(tokens.back()).code(), StatusCode::kUnavailable);
    }
    clock_.AdvanceMillis(30'000);
    EXPECT_EQ(issuers_.FetchDue(), 1);
  }
  Publish({rsa_.Jwk(R"("kid":"1")")});
  clock_.AdvanceMillis(30'000);
  EXPECT_EQ(issuers_.FetchDue(), 1);
  int remembered = 0;
  for (const std::string& token : tokens) {
    if (Ask(token).code() == StatusCode::kUnauthenticated) ++remembered;
  }
  EXPECT_LE(remembered, 256) << "what was looked for in vain while the issuer was down";
}

TEST_F(IssuersTest, AKeyThatWasLookedForInVainIsNoKey) {
  Start();
  const std::string token = SignToken(TestKey::Ec(), "ES256", "9", claims_.Json());
  EXPECT_EQ(Ask(token).code(), StatusCode::kUnavailable);
  EXPECT_EQ(issuers_.FetchDue(), 0) << "it is too early";
  clock_.AdvanceMillis(30'000);
  EXPECT_EQ(issuers_.FetchDue(), 1);
  ExpectGuess(token);
  EXPECT_EQ(issuers_.FetchDue(), 0);
  // But it may come yet.
  clock_.AdvanceMillis(30'000);
  ExpectGuess(token);
  EXPECT_EQ(issuers_.FetchDue(), 1);
}

TEST_F(IssuersTest, KeysAreKeptWhileTheIssuerIsDown) {
  Start();
  GoDown();
  claims_ = claims_.With("exp", Text(kNow + 10'000'000));
  for (int hour = 0; hour < 24; ++hour) {
    clock_.AdvanceMillis(3'600'000);
    EXPECT_EQ(issuers_.FetchDue(), 1);
    EXPECT_TRUE(Ask(Sign(claims_)).ok());
  }
  web_[kKeysUrl] = "<html>we are sorry</html>";
  clock_.AdvanceMillis(30'000);
  EXPECT_EQ(issuers_.FetchDue(), 1) << "after a failure it is tried again soon";
  EXPECT_TRUE(Ask(Sign(claims_)).ok());
  // Not for ever: a key may have been withdrawn.
  clock_.AdvanceMillis(int64_t{7} * 86'400'000);
  EXPECT_EQ(Ask(Sign(claims_)).code(), StatusCode::kUnavailable);
  Publish({rsa_.Jwk(R"("kid":"1")")});
  EXPECT_EQ(issuers_.FetchDue(), 1);
  EXPECT_TRUE(Ask(Sign(claims_)).ok());
}

TEST_F(IssuersTest, KeysAreFoundByDiscovery) {
  config_.mutable_issuers(0)->clear_keys_url();
  const std::string metadata = std::string(kUrl) + "/.well-known/openid-configuration";
  web_[metadata] =
      R"({"issuer":"https://auth.example.org","jwks_uri":"https://auth.example.org/keys"})";
  Start();
  EXPECT_THAT(asked_, testing::ElementsAre(metadata, kKeysUrl));
  EXPECT_TRUE(Ask(Sign(claims_)).ok());
}

TEST_F(IssuersTest, MetadataOfAnotherIssuerAreNotBelieved) {
  config_.mutable_issuers(0)->clear_keys_url();
  const std::string metadata = std::string(kUrl) + "/.well-known/openid-configuration";
  for (const char* const text :
       {R"({"issuer":"https://evil.example.org","jwks_uri":"https://auth.example.org/keys"})",
        R"({"jwks_uri":"https://auth.example.org/keys"})",
        R"({"issuer":"https://auth.example.org"})", "[]", ""}) {
    web_[metadata] = text;
    Start();
    EXPECT_EQ(Ask(Sign(claims_)).code(), StatusCode::kUnavailable) << text;
    clock_.AdvanceMillis(30'000);
  }
}

TEST_F(IssuersTest, KeysCanLieInAFile) {
  const TemporaryDirectory folder;
  v1::Issuer& issuer = *config_.mutable_issuers(0);
  issuer.clear_keys_url();
  issuer.set_keys_file(folder.path() + "/keys.json");
  Start();
  EXPECT_EQ(Ask(Sign(claims_)).code(), StatusCode::kUnavailable);
  ASSERT_TRUE(WriteFileAtomically(issuer.keys_file(), web_[kKeysUrl]).ok());
  Start();
  EXPECT_TRUE(Ask(Sign(claims_)).ok());
  EXPECT_TRUE(asked_.empty());
}

TEST(IssuersThread, FetchesWhileNobodyWaits) {
  const SystemClock clock;
  const TestKey key = TestKey::Ec();
  std::atomic<bool> answers = false;
  std::atomic<int> asked = 0;
  Issuers issuers(clock,
                  [&](const std::string&, const std::string&,
                      const std::function<bool()>&) -> absl::StatusOr<std::string> {
                    ++asked;
                    while (!answers) std::this_thread::yield();
                    return KeySetJson({key.Jwk(R"("kid":"1")")});
                  });
  v1::Issuers config;
  v1::Issuer& issuer = *config.add_issuers();
  issuer.set_name("org");
  issuer.set_url(kUrl);
  issuer.add_audiences("a");
  issuer.set_keys_url(kKeysUrl);
  issuers.Set(config);
  while (asked == 0) std::this_thread::yield();
  bool guess = false;
  const std::string token = SignToken(key, "ES256", "1", R"({"iss":"https://auth.example.org"})");
  EXPECT_EQ(issuers.Check(token, &guess).status().code(), StatusCode::kUnavailable);
  answers = true;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  StatusCode code = StatusCode::kUnavailable;
  while (code == StatusCode::kUnavailable && std::chrono::steady_clock::now() < end) {
    code = issuers.Check(token, &guess).status().code();
  }
  EXPECT_EQ(code, StatusCode::kUnauthenticated) << "it has no end";
  EXPECT_EQ(asked, 1);
}

TEST(IssuersThread, AFetchDoesNotHoldUpTheEnd) {
  const SystemClock clock;
  std::atomic<int> asked = 0;
  {
    Issuers issuers(clock,
                    [&](const std::string&, const std::string&,
                        const std::function<bool()>& stopped) -> absl::StatusOr<std::string> {
                      ++asked;
                      while (!stopped()) std::this_thread::yield();
                      return absl::UnavailableError("it is stopped");
                    });
    v1::Issuers config;
    for (const char* const url : {"https://one.example.org", "https://two.example.org"}) {
      v1::Issuer& issuer = *config.add_issuers();
      issuer.set_url(url);
      issuer.set_keys_url(kKeysUrl);
    }
    issuers.Set(config);
    while (asked == 0) std::this_thread::yield();
  }
  EXPECT_EQ(asked, 1) << "the other is not asked any more";
}

}  // namespace
}  // namespace beamline::auth
