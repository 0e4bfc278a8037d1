// An issuer, what it publishes, and a server that takes its tokens, under a clock that stands
// still.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "auth/issuers.h"
#include "base/clock.h"
#include "tests/auth/test_issuer.h"

namespace beamline::auth {

inline constexpr char kUrl[] = "https://auth.example.org";
inline constexpr char kKeysUrl[] = "https://auth.example.org/keys";
inline constexpr char kNotValid[] = "token is not valid: log in again";
// Of the clock that stands still.
inline constexpr int64_t kNow = 1'700'000'000;

inline std::string Text(int64_t number) { return std::to_string(number); }

class IssuersTest : public testing::Test {
 protected:
  IssuersTest() {
    v1::Issuer& issuer = *config_.add_issuers();
    issuer.set_name("org");
    issuer.set_url(kUrl);
    issuer.add_audiences("beamline");
    issuer.set_keys_url(kKeysUrl);
    v1::IssuerRule& rule = *issuer.add_rules();
    rule.set_subject("ada");
    rule.set_role(v1::ROLE_EDITOR);
    rule.add_projects("optics");
    claims_.values = {{"iss", "\"https://auth.example.org\""},
                      {"sub", "\"ada\""},
                      {"aud", "\"beamline\""},
                      {"exp", Text(kNow + 600)}};
    Publish({rsa_.Jwk(R"("kid":"1")"), ec_.Jwk(R"("kid":"2")")});
  }

  // What the issuer answers with from now on.
  void Publish(const std::vector<std::string>& keys) { web_[kKeysUrl] = KeySetJson(keys); }
  void GoDown() { web_.clear(); }
  void Start() {
    issuers_.Set(config_);
    issuers_.FetchDue();
  }
  std::string Sign(const TestClaims& claims) const {
    return SignToken(rsa_, "RS256", "1", claims.Json());
  }
  absl::Status Ask(const std::string& token) {
    absl::StatusOr<Principal> who = issuers_.Check(token, &guess_);
    return who.status();
  }
  // The refusal of a token that the issuer did sign.
  std::string Refusal(const TestClaims& claims) {
    const absl::Status status = Ask(Sign(claims));
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << status;
    EXPECT_FALSE(guess_);
    return std::string(status.message());
  }
  // That it reads like any guess.
  void ExpectGuess(const std::string& token) {
    EXPECT_EQ(Ask(token), absl::UnauthenticatedError(kNotValid)) << token;
    EXPECT_TRUE(guess_) << token;
  }

  absl::StatusOr<std::string> Get(const std::string& url, const std::string& /*ca_file*/) {
    asked_.push_back(url);
    const auto found = web_.find(url);
    if (found == web_.end()) return absl::UnavailableError(url + " is down");
    return found->second;
  }

  const TestKey rsa_ = TestKey::Rsa();
  const TestKey ec_ = TestKey::Ec();
  FakeClock clock_;
  v1::Issuers config_;
  TestClaims claims_;
  std::map<std::string, std::string> web_;
  std::vector<std::string> asked_;
  bool guess_ = false;
  Issuers issuers_{clock_,
                   [this](const std::string& url, const std::string& ca, const auto& /*stopped*/) {
                     return Get(url, ca);
                   },
                   {.own_thread = false}};
};

}  // namespace beamline::auth
