#include "auth/authenticator.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <set>
#include <thread>

#include "auth/secret.h"

namespace beamline::auth {
namespace {

class FakeDirectory : public Directory {
 public:
  absl::StatusOr<std::optional<TokenRecord>> FindToken(const std::string& token_id) override {
    ++lookups;
    if (!failure.ok()) return failure;
    const auto found = tokens.find(token_id);
    std::optional<TokenRecord> answer;
    if (found != tokens.end()) answer = found->second;
    if (after_read) after_read();
    return answer;
  }
  absl::StatusOr<std::optional<UserRecord>> FindUser(const std::string& user) override {
    const auto found = users.find(user);
    if (found == users.end()) return std::optional<UserRecord>();
    return std::optional<UserRecord>(found->second);
  }
  absl::StatusOr<bool> IsWorker(const std::string& worker) override {
    ++lookups;
    return workers.count(worker) > 0;
  }

  std::map<std::string, TokenRecord> tokens;
  std::map<std::string, UserRecord> users;
  std::set<std::string> workers;
  absl::Status failure;
  std::function<void()> after_read;
  int lookups = 0;
};

class AuthenticatorTest : public testing::Test {
 protected:
  AuthenticatorTest() {
    directory_.users["users/ann"].roles["p"] = v1::ROLE_EDITOR;
    ann_ = GiveToken("users/ann", std::nullopt);
  }

  NewSecret GiveToken(const std::string& user, std::optional<absl::Time> expire_time) {
    NewSecret made = MakeSecret(SecretKind::kToken, random_);
    directory_.tokens[made.id] = {user, made.hash, expire_time, false};
    return made;
  }
  std::string Refusal(const std::string& bearer) {
    const absl::StatusOr<Principal> answer = authenticator_.Authenticate(bearer, "peer");
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnauthenticated);
    return std::string(answer.status().message());
  }

  SystemRandom random_;
  FakeClock clock_;
  FakeDirectory directory_;
  Authenticator authenticator_{directory_, clock_};
  NewSecret ann_;
};

constexpr char kNotValid[] = "token is not valid: log in again";

TEST_F(AuthenticatorTest, GoodTokenGivesItsUser) {
  const absl::StatusOr<Principal> who = authenticator_.Authenticate(ann_.text, "ipv4:10.0.0.1:2");
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->kind, Principal::kUser);
  EXPECT_EQ(who->name, "users/ann");
  EXPECT_FALSE(who->is_operator);
  EXPECT_EQ(who->roles.at("p"), v1::ROLE_EDITOR);
  EXPECT_EQ(who->token_id, ann_.id);
  EXPECT_EQ(who->peer, "ipv4:10.0.0.1:2");
}

TEST_F(AuthenticatorTest, UnknownMalformedAndWrongSecretReadTheSame) {
  EXPECT_EQ(Refusal(""), kNotValid);
  EXPECT_EQ(Refusal("bl_x_y"), kNotValid);
  EXPECT_EQ(Refusal(MakeSecret(SecretKind::kToken, random_).text), kNotValid);
  std::string wrong = ann_.text;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  EXPECT_EQ(Refusal(wrong), kNotValid);
  EXPECT_EQ(Refusal(GiveToken("users/gone", std::nullopt).text), kNotValid);
  EXPECT_EQ(Refusal(std::string(1 << 20, 'x')), kNotValid);
}

TEST_F(AuthenticatorTest, OnlyTheOwnerLearnsThatATokenWasRevoked) {
  directory_.tokens[ann_.id].revoked = true;
  EXPECT_EQ(Refusal(ann_.text), "token was revoked: log in again");
  std::string wrong = ann_.text;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  EXPECT_EQ(Refusal(wrong), kNotValid);
}

TEST_F(AuthenticatorTest, TokenExpiresToTheMillisecondEvenIfCached) {
  const NewSecret made = GiveToken("users/ann", clock_.Now() + absl::Milliseconds(1000));
  clock_.AdvanceMillis(999);
  EXPECT_TRUE(authenticator_.Authenticate(made.text, "").ok());
  clock_.AdvanceMillis(1);
  EXPECT_EQ(Refusal(made.text), "token expired at 2023-11-14T22:13:21+00:00: log in again");
}

TEST_F(AuthenticatorTest, AsksTheDirectoryOnceInAWhile) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(authenticator_.Authenticate(ann_.text, "").ok());
  EXPECT_EQ(directory_.lookups, 1);
  clock_.AdvanceMillis(5000);
  ASSERT_TRUE(authenticator_.Authenticate(ann_.text, "").ok());
  EXPECT_EQ(directory_.lookups, 2);
}

TEST_F(AuthenticatorTest, ForgetMakesRevocationImmediate) {
  ASSERT_TRUE(authenticator_.Authenticate(ann_.text, "").ok());
  directory_.tokens[ann_.id].revoked = true;
  authenticator_.Forget();
  Refusal(ann_.text);
}

TEST_F(AuthenticatorTest, AnAnswerReadBeforeForgetIsNotRemembered) {
  directory_.after_read = [this] {
    directory_.tokens[ann_.id].revoked = true;
    authenticator_.Forget();
  };
  ASSERT_TRUE(authenticator_.Authenticate(ann_.text, "").ok());
  Refusal(ann_.text);
}

TEST_F(AuthenticatorTest, RolesFollowTheDirectory) {
  ASSERT_TRUE(authenticator_.Authenticate(ann_.text, "").ok());
  directory_.users["users/ann"].roles.clear();
  authenticator_.Forget();
  EXPECT_TRUE(authenticator_.Authenticate(ann_.text, "")->roles.empty());
}

TEST_F(AuthenticatorTest, FailingDirectoryIsNotABadToken) {
  directory_.failure = absl::UnavailableError("disk");
  EXPECT_EQ(authenticator_.Authenticate(ann_.text, "").status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(AuthenticatorTest, KeepsAtMostCacheSizeAnswers) {
  Authenticator::Options options;
  options.cache_size = 2;
  Authenticator small(directory_, clock_, options);
  const NewSecret b = GiveToken("users/ann", std::nullopt);
  const NewSecret c = GiveToken("users/ann", std::nullopt);
  for (const std::string& token : {ann_.text, b.text, ann_.text, c.text}) {
    ASSERT_TRUE(small.Authenticate(token, "").ok());
  }
  EXPECT_EQ(directory_.lookups, 3);
  // `b` was used least recently and went; ann's stayed.
  ASSERT_TRUE(small.Authenticate(ann_.text, "").ok());
  EXPECT_EQ(directory_.lookups, 3);
  ASSERT_TRUE(small.Authenticate(b.text, "").ok());
  EXPECT_EQ(directory_.lookups, 4);
}

TEST_F(AuthenticatorTest, NotesLastUsesOfGoodTokensOnly) {
  ASSERT_TRUE(authenticator_.Authenticate(ann_.text, "").ok());
  clock_.AdvanceMillis(10);
  ASSERT_TRUE(authenticator_.Authenticate(ann_.text, "").ok());
  Refusal(MakeSecret(SecretKind::kToken, random_).text);
  const std::map<std::string, absl::Time> expected = {{ann_.id, clock_.Now()}};
  EXPECT_EQ(authenticator_.TakeLastUses(), expected);
  EXPECT_TRUE(authenticator_.TakeLastUses().empty());
}

TEST_F(AuthenticatorTest, WorkersByTheirCertificatesName) {
  directory_.workers.insert("workers/w1");
  const absl::StatusOr<Principal> who =
      authenticator_.AuthenticateWorker("beamline:workers/w1", absl::InfiniteFuture(), "peer");
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->kind, Principal::kWorker);
  EXPECT_EQ(who->name, "workers/w1");
  EXPECT_TRUE(who->roles.empty());
  for (const char* bad : {"", "beamline:workers/w2", "beamline:users/ann", "https://workers/w1",
                          "workers/w1", "beamline:workers/w1x"}) {
    EXPECT_EQ(authenticator_.AuthenticateWorker(bad, absl::InfiniteFuture(), "").status().code(),
              absl::StatusCode::kUnauthenticated)
        << bad;
  }
}

TEST_F(AuthenticatorTest, RemovedWorkerIsOutAtOnce) {
  directory_.workers.insert("workers/w1");
  ASSERT_TRUE(
      authenticator_.AuthenticateWorker("beamline:workers/w1", absl::InfiniteFuture(), "").ok());
  directory_.workers.clear();
  authenticator_.Forget();
  EXPECT_FALSE(
      authenticator_.AuthenticateWorker("beamline:workers/w1", absl::InfiniteFuture(), "").ok());
}

// Whoever asks after Forget has returned gets the new answer, whatever others ask meanwhile.
TEST_F(AuthenticatorTest, ManyThreadsNeverSeeWhatWasForgotten) {
  class Versions : public FakeDirectory {
   public:
    absl::StatusOr<std::optional<UserRecord>> FindUser(const std::string&) override {
      UserRecord record;
      record.roles[std::to_string(version.load())] = v1::ROLE_VIEWER;
      return std::optional<UserRecord>(record);
    }
    absl::StatusOr<std::optional<TokenRecord>> FindToken(const std::string&) override {
      return std::optional<TokenRecord>(token);
    }
    TokenRecord token;
    std::atomic<int> version = 0;
  };
  Versions versions;
  versions.token = directory_.tokens[ann_.id];
  Authenticator shared(versions, clock_);
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!stop) EXPECT_TRUE(shared.Authenticate(ann_.text, "").ok());
    });
  }
  for (int version = 1; version <= 2000; ++version) {
    versions.version = version;
    shared.Forget();
    const absl::StatusOr<Principal> who = shared.Authenticate(ann_.text, "");
    ASSERT_TRUE(who.ok());
    ASSERT_EQ(who->roles.count(std::to_string(version)), 1u);
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(shared.TakeLastUses().size(), 1u);
}

// ---- Tokens that may less than their user ----

class LimitedTokenTest : public AuthenticatorTest {
 protected:
  LimitedTokenTest() {
    directory_.users["users/ann"] = {
        .is_operator = true,
        .roles = {{"p", v1::ROLE_EDITOR}, {"q", v1::ROLE_ADMIN}, {"r", v1::ROLE_VIEWER}}};
  }
  Principal With(std::set<std::string> projects, v1::Role max_role) {
    directory_.tokens[ann_.id].projects = std::move(projects);
    directory_.tokens[ann_.id].max_role = max_role;
    authenticator_.Forget();
    const absl::StatusOr<Principal> who = authenticator_.Authenticate(ann_.text, "peer");
    EXPECT_TRUE(who.ok()) << who.status();
    return *who;
  }
};

TEST_F(LimitedTokenTest, WithoutLimitsATokenIsItsUser) {
  const Principal who = With({}, v1::ROLE_UNSPECIFIED);
  EXPECT_FALSE(who.limited);
  EXPECT_TRUE(who.is_operator);
  EXPECT_EQ(who.roles.size(), 3u);
}

TEST_F(LimitedTokenTest, ItHasNoOtherProjects) {
  const Principal who = With({"p", "elsewhere"}, v1::ROLE_UNSPECIFIED);
  EXPECT_TRUE(who.limited);
  EXPECT_FALSE(who.is_operator);
  EXPECT_EQ(who.roles, (Roles{{"p", v1::ROLE_EDITOR}})) << "and none that its user has not";
}

TEST_F(LimitedTokenTest, ItHasNoHigherRole) {
  const Principal who = With({}, v1::ROLE_EDITOR);
  EXPECT_TRUE(who.limited);
  EXPECT_FALSE(who.is_operator);
  EXPECT_EQ(who.roles,
            (Roles{{"p", v1::ROLE_EDITOR}, {"q", v1::ROLE_EDITOR}, {"r", v1::ROLE_VIEWER}}));
}

TEST_F(LimitedTokenTest, BothLimitsHold) {
  EXPECT_EQ(With({"q", "r"}, v1::ROLE_EDITOR).roles,
            (Roles{{"q", v1::ROLE_EDITOR}, {"r", v1::ROLE_VIEWER}}));
}

TEST_F(AuthenticatorTest, NoTokenOfADisabledUserIsAccepted) {
  ASSERT_TRUE(authenticator_.Authenticate(ann_.text, "").ok());
  directory_.users["users/ann"].disabled = true;
  authenticator_.Forget();
  EXPECT_EQ(Refusal(ann_.text), "users/ann is disabled: ask an operator of the cluster");
  std::string wrong = ann_.text;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  EXPECT_EQ(Refusal(wrong), kNotValid);
}

TEST_F(AuthenticatorTest, AWorkersCertificateCountsUntilItExpiresEvenIfCached) {
  directory_.workers.insert("workers/w1");
  const absl::Time end = clock_.Now() + absl::Seconds(2);
  const auto enter = [&] {
    return authenticator_.AuthenticateWorker("beamline:workers/w1", end, "").status();
  };
  EXPECT_TRUE(enter().ok());
  clock_.AdvanceMillis(1'999);
  EXPECT_TRUE(enter().ok());
  clock_.AdvanceMillis(1);
  const absl::Status expired = enter();
  EXPECT_TRUE(absl::IsUnauthenticated(expired));
  EXPECT_NE(expired.message().find("expired at 2023-11-14T22:13:22"), absl::string_view::npos);
  EXPECT_NE(expired.message().find("join again"), absl::string_view::npos);
}

// ---- Wrong tokens are slowed down ----

TEST_F(AuthenticatorTest, WrongTokensFromOneAddressAreRefusedUnseen) {
  const std::string wrong = MakeSecret(SecretKind::kToken, random_).text;
  constexpr char kPeer[] = "ipv4:10.0.0.1:1";
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(absl::IsUnauthenticated(authenticator_.Authenticate(wrong, kPeer).status()));
  }
  const int lookups = directory_.lookups;
  EXPECT_TRUE(absl::IsResourceExhausted(authenticator_.Authenticate(wrong, kPeer).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(authenticator_.Authenticate("x", kPeer).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(authenticator_.Authenticate(ann_.text, kPeer).status()))
      << "a guess that is right is not told from others";
  EXPECT_EQ(directory_.lookups, lookups);
  EXPECT_TRUE(authenticator_.Authenticate(ann_.text, "ipv4:10.0.0.2:1").ok());
  EXPECT_TRUE(authenticator_.Authenticate(ann_.text, kPeer).ok()) << "in use just now";
  clock_.AdvanceMillis(60'000);
  EXPECT_TRUE(authenticator_.Authenticate(ann_.text, kPeer).ok());
}

// Whoever guesses keeps nobody out who was in before from the same address.
TEST_F(AuthenticatorTest, GuessesDoNotShutOutTokensThatWereGood) {
  constexpr char kPeer[] = "ipv4:10.0.0.1:1";
  const NewSecret bob = GiveToken("users/bob", std::nullopt);
  directory_.users["users/bob"] = {};
  const auto code = [&](const std::string& token) {
    return authenticator_.Authenticate(token, kPeer).status().code();
  };
  ASSERT_EQ(code(ann_.text), absl::StatusCode::kOk);
  const auto guess = [&] {
    for (int i = 0; i < 30; ++i) code(MakeSecret(SecretKind::kToken, random_).text);
  };
  guess();
  EXPECT_EQ(code(bob.text), absl::StatusCode::kResourceExhausted) << "it was never good here";
  authenticator_.Forget();
  EXPECT_EQ(code(ann_.text), absl::StatusCode::kOk);
  clock_.AdvanceMillis(60 * 60'000);
  guess();
  EXPECT_EQ(code(ann_.text), absl::StatusCode::kOk) << "long after the answer was forgotten";
  directory_.tokens[ann_.id].revoked = true;
  authenticator_.Forget();
  EXPECT_EQ(code(ann_.text), absl::StatusCode::kUnauthenticated);
  directory_.tokens.erase(ann_.id);
  EXPECT_EQ(code(ann_.text), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(code(ann_.text), absl::StatusCode::kResourceExhausted) << "it is a guess from now on";
}

TEST_F(AuthenticatorTest, SoManyTokensAreKnownToHaveBeenGood) {
  constexpr char kPeer[] = "ipv4:10.0.0.1:1";
  Authenticator::Options options;
  options.good_size = 2;
  Authenticator small(directory_, clock_, options);
  const NewSecret b = GiveToken("users/ann", std::nullopt);
  const NewSecret c = GiveToken("users/ann", std::nullopt);
  for (const std::string& token : {ann_.text, b.text}) {
    ASSERT_TRUE(small.Authenticate(token, kPeer).ok());
  }
  small.Forget();
  for (const std::string& token : {ann_.text, c.text}) {
    ASSERT_TRUE(small.Authenticate(token, kPeer).ok());
  }
  small.Forget();
  for (int i = 0; i < 20; ++i) small.Authenticate("x", kPeer).status().IgnoreError();
  EXPECT_TRUE(small.Authenticate(ann_.text, kPeer).ok()) << "used again, and so kept";
  EXPECT_TRUE(absl::IsResourceExhausted(small.Authenticate(b.text, kPeer).status()));
}

TEST_F(AuthenticatorTest, TokensThatWereOnceGoodAreNoGuesses) {
  directory_.tokens[ann_.id].revoked = true;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(absl::IsUnauthenticated(authenticator_.Authenticate(ann_.text, "p:1").status()));
  }
}

}  // namespace
}  // namespace beamline::auth
