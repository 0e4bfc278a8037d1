#include "server/call_log.h"

#include "absl/strings/match.h"
#include "beamline/v1/project.pb.h"
#include "beamline/v1/run.pb.h"
#include "beamline/v1/worker.pb.h"
#include "gtest/gtest.h"
#include "server/audit_entry.h"

namespace beamline::server {
namespace {

constexpr char kSecret[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

class CallLogTest : public testing::Test {
 protected:
  static auth::Principal Caller(const std::string& name, const std::string& peer) {
    auth::Principal caller;
    caller.kind = name.empty() ? auth::Principal::kAnonymous : auth::Principal::kUser;
    caller.name = name;
    caller.peer = peer;
    return caller;
  }
  void Refuse(const std::string& name, const std::string& peer,
              const std::string& resource = "projects/p", const std::string& method = "S.M",
              absl::Status why = absl::PermissionDeniedError("no")) {
    v1::GetProjectRequest request;
    request.set_name(resource);
    calls_.Refuse(Caller(name, peer), method, request, why);
  }

  FakeClock clock_;
  CallLog calls_{clock_};
};

TEST_F(CallLogTest, ARefusedCallBecomesAnEntry) {
  Refuse("users/ann", "ipv4:10.0.0.1:5", "projects/p/runs/r");
  const auto entries = calls_.Take(false);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].principal(), "users/ann");
  EXPECT_EQ(entries[0].peer(), "ipv4:10.0.0.1:5");
  EXPECT_EQ(entries[0].method(), "S.M");
  EXPECT_EQ(entries[0].resource(), "projects/p/runs/r");
  EXPECT_EQ(entries[0].code(), static_cast<int>(absl::StatusCode::kPermissionDenied));
  EXPECT_EQ(entries[0].count(), 1);
  EXPECT_EQ(entries[0].request_digest().size(), 64u);
  EXPECT_TRUE(calls_.Take(false).empty());
}

TEST_F(CallLogTest, WhatIsRepeatedIsCountedForAMinute) {
  Refuse("users/ann", "ipv4:10.0.0.1:5");
  EXPECT_EQ(calls_.Take(false).size(), 1u);
  for (int i = 0; i < 1000; ++i) {
    clock_.AdvanceMillis(10);
    Refuse("users/ann", "ipv4:10.0.0.1:" + std::to_string(i));
  }
  EXPECT_TRUE(calls_.Take(false).empty());
  clock_.AdvanceMillis(50'000);
  const auto entries = calls_.Take(false);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].count(), 1000);
  EXPECT_EQ(entries[0].last_time().seconds() - entries[0].time().seconds(), 10);
  Refuse("users/ann", "ipv4:10.0.0.1:5");
  EXPECT_EQ(calls_.Take(false).size(), 1u) << "a new minute";
}

TEST_F(CallLogTest, CallersProjectsMethodsAndCodesAreToldApart) {
  Refuse("users/ann", "ipv4:10.0.0.1:5");
  Refuse("users/bob", "ipv4:10.0.0.1:5");
  Refuse("users/ann", "ipv4:10.0.0.2:5");
  Refuse("users/ann", "ipv4:10.0.0.1:5", "projects/q");
  Refuse("users/ann", "ipv4:10.0.0.1:5", "projects/p", "S.N");
  Refuse("users/ann", "ipv4:10.0.0.1:5", "projects/p", "S.M", absl::NotFoundError(""));
  EXPECT_EQ(calls_.Take(false).size(), 6u);
}

TEST_F(CallLogTest, AFloodFromManyAddressesBecomesFewEntriesAndLosesNoCount) {
  int64_t calls = 0;
  size_t entries = 0;
  for (int minute = 0; minute < 3; ++minute) {
    for (int i = 0; i < 10'000; ++i) {
      Refuse("", "ipv4:10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ":1");
      if (i % 1000 != 0) continue;
      for (const v1::AuditEntry& entry : calls_.Take(false)) {
        ++entries;
        calls += entry.count();
      }
    }
    // Of users there is room nevertheless.
    Refuse("users/ann", "ipv4:10.0.0.1:5", "projects/p" + std::to_string(minute));
    const auto anns = calls_.Take(false);
    ASSERT_FALSE(anns.empty());
    EXPECT_TRUE(std::any_of(anns.begin(), anns.end(), [](const v1::AuditEntry& entry) {
      return entry.principal() == "users/ann";
    }));
    clock_.AdvanceMillis(CallLog::kWindowMs);
    for (const v1::AuditEntry& entry : calls_.Take(false)) {
      ++entries;
      calls += entry.count();
    }
  }
  EXPECT_EQ(calls, 30'000);
  EXPECT_LE(entries, 3 * 2 * (CallLog::kMaxUnknown + 2));
}

TEST_F(CallLogTest, AFloodOfOneUserIsBoundedToo) {
  size_t entries = 0;
  for (int i = 0; i < 10'000; ++i) {
    Refuse("users/ann", "ipv4:10.0.0.1:5", "projects/p" + std::to_string(i));
    entries += calls_.Take(false).size();
  }
  entries += calls_.Take(true).size();
  EXPECT_LE(entries, 2 * (CallLog::kMaxKinds + 1));
}

TEST_F(CallLogTest, WhatOneCallerDoesHidesNothingOfOthers) {
  for (int i = 0; i < 1'000; ++i) {
    Refuse("users/eve", "ipv4:10.0.0.6:5", "projects/p" + std::to_string(i));
    Refuse("", "ipv4:10.0.0.7:5", "projects/p" + std::to_string(i));
  }
  Refuse("users/ann", "ipv4:10.0.0.6:5", "projects/q");
  Refuse("", "ipv4:10.0.0.8:5", "projects/q");
  size_t of_eve = 0;
  size_t of_unknown = 0;
  int64_t counted_of_eve = 0;
  int64_t counted_of_unknown = 0;
  int named = 0;
  for (const v1::AuditEntry& entry : calls_.Take(false)) {
    if (entry.resource() == "projects/q") {
      ++named;
      EXPECT_EQ(entry.method(), "S.M");
    } else if (entry.principal() == "users/eve") {
      ++of_eve;
      if (entry.method().empty()) counted_of_eve += entry.count();
    } else {
      ++of_unknown;
      EXPECT_TRUE(absl::StartsWith(entry.peer(), "ipv4:10.0.0.7")) << entry.peer();
      if (entry.method().empty()) counted_of_unknown += entry.count();
    }
  }
  EXPECT_EQ(named, 2);
  EXPECT_EQ(of_eve, CallLog::kMaxKinds + 1);
  EXPECT_EQ(counted_of_eve, 1'000 - static_cast<int64_t>(CallLog::kMaxKinds));
  EXPECT_EQ(of_unknown, CallLog::kMaxKindsUnknown + 1);
  EXPECT_EQ(counted_of_unknown, 1'000 - static_cast<int64_t>(CallLog::kMaxKindsUnknown));
  // The room comes back with the next minute.
  clock_.AdvanceMillis(CallLog::kWindowMs);
  calls_.Take(false);
  Refuse("users/eve", "ipv4:10.0.0.6:5", "projects/r");
  EXPECT_EQ(calls_.Take(false).at(0).method(), "S.M");
}

TEST_F(CallLogTest, WhatCouldNotBeWrittenIsTakenAgain) {
  Refuse("users/ann", "ipv4:10.0.0.1:5", "projects/p/runs/r");
  Refuse("users/ann", "ipv4:10.0.0.1:5");
  for (int i = 0; i < 20; ++i) Refuse("", "ipv4:10.0.0.7:5", "projects/p" + std::to_string(i));
  const auto first = calls_.Take(false);
  clock_.AdvanceMillis(1'000);
  Refuse("users/ann", "ipv4:10.0.0.9:6");
  Refuse("users/ann", "ipv4:10.0.0.1:6");
  calls_.PutBack(first);
  const auto again = calls_.Take(false);
  ASSERT_EQ(again.size(), first.size() + 1);
  int64_t count = 0;
  for (const v1::AuditEntry& entry : again) {
    count += entry.count();
    if (entry.peer() != "ipv4:10.0.0.1:5") continue;
    EXPECT_EQ(entry.count(), 3);
    EXPECT_EQ(entry.resource(), "projects/p/runs/r");
    EXPECT_EQ(entry.last_time().seconds() - entry.time().seconds(), 1);
  }
  EXPECT_EQ(count, 24);
  // Also what was taken when its minute was over, or at the end; and two in the order of both.
  Refuse("users/ann", "ipv4:10.0.0.1:6");
  const auto second = calls_.Take(true);
  calls_.PutBack(again);
  calls_.PutBack(second);
  count = 0;
  for (const v1::AuditEntry& entry : calls_.Take(false)) {
    count += entry.count();
    if (entry.peer() != "ipv4:10.0.0.1:5") continue;
    EXPECT_EQ(entry.count(), 4);
  }
  EXPECT_EQ(count, 25);
  EXPECT_TRUE(calls_.Take(false).empty());
}

TEST_F(CallLogTest, AnAdmittedCallIsKeptUnlessATransactionWroteIt) {
  v1::SetMemberRequest request;
  request.set_parent("projects/p");
  const auth::Principal ann = Caller("users/ann", "ipv4:10.0.0.1:5");
  const auto written = calls_.Begin("S.M", request);
  written->Written();
  written->End(ann, absl::OkStatus());
  EXPECT_TRUE(calls_.Take(false).empty());
  // Its commit failed.
  const auto lost = calls_.Begin("S.M", request);
  lost->Written();
  lost->End(ann, absl::UnavailableError("no disk"));
  // It changed nothing, because it was repeated.
  calls_.Begin("S.M", request)->End(ann, absl::OkStatus());
  const auto entries = calls_.Take(false);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].code() + entries[1].code(),
            static_cast<int>(absl::StatusCode::kUnavailable));
  EXPECT_EQ(entries[0].resource(), "projects/p");
}

TEST_F(CallLogTest, AtTheEndEverythingIsTaken) {
  Refuse("users/ann", "ipv4:10.0.0.1:5");
  EXPECT_EQ(calls_.Take(false).size(), 1u);
  Refuse("users/ann", "ipv4:10.0.0.1:5");
  EXPECT_TRUE(calls_.Take(false).empty());
  EXPECT_EQ(calls_.Take(true).size(), 1u);
}

// ---- What an entry says ----

TEST(AuditEntryTest, ASummaryHasNamesAndSmallValues) {
  v1::CreateTokenRequest token;
  token.set_user("users/ada");
  token.set_description("my laptop, password hunter2");
  token.add_projects("projects/optics");
  token.set_max_role(v1::ROLE_VIEWER);
  token.mutable_expire_time()->set_seconds(17);
  token.set_request_id("r1");
  EXPECT_EQ(RequestSummary(token),
            "user=users/ada expire_time=1970-01-01T00:00:17+00:00 projects=projects/optics "
            "max_role=ROLE_VIEWER");
  v1::UpdateUserRequest user;
  user.mutable_user()->set_name("users/bob");
  user.mutable_user()->set_disabled(true);
  user.mutable_update_mask()->add_paths("disabled");
  EXPECT_EQ(RequestSummary(user),
            "user.name=users/bob user.disabled=true update_mask.paths=disabled");
}

TEST(AuditEntryTest, ASummaryHasNoSecretsAndNoProse) {
  v1::JoinRequest join;
  for (const std::string& token :
       {absl::StrCat("bj_0123456789abcdef_", kSecret), absl::StrCat("bl_x_", kSecret),
        std::string(kSecret), absl::StrCat("oops-", kSecret), std::string("bj_short"),
        std::string("ah/bl_short")}) {
    join.set_join_token(token);
    join.set_certificate_request("-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n");
    join.set_hostname("node7");
    EXPECT_EQ(RequestSummary(join), "hostname=node7") << token;
  }
  v1::CreateRunRequest run;
  run.set_parent("projects/p");
  run.mutable_source()->set_yaml("name: x\nsecret: y\n");
  (*run.mutable_inputs())["points"] = "projects/p/datasets/d";
  EXPECT_EQ(RequestSummary(run), "") << "the resource is not repeated";
}

TEST(AuditEntryTest, ASummaryIsShortWhateverTheRequest) {
  v1::CreateTokenRequest odd;
  odd.mutable_expire_time()->set_seconds(INT64_MAX);
  odd.mutable_expire_time()->set_nanos(-1);
  EXPECT_LE(RequestSummary(odd).size(), 60u);
  v1::CreateTokenRequest token;
  for (int i = 0; i < 10'000; ++i) {
    token.add_projects("projects/a-rather-long-name-of-a-project-indeed");
  }
  EXPECT_LE(RequestSummary(token).size(), 310u);
}

TEST(AuditEntryTest, TheResourceIsWhatTheRequestNames) {
  v1::SetMemberRequest member;
  member.set_parent("projects/p");
  member.mutable_member()->set_principal("users/ada");
  EXPECT_EQ(RequestResource(member), "projects/p");
  v1::UpdateUserRequest user;
  user.mutable_user()->set_name("users/bob");
  EXPECT_EQ(RequestResource(user), "users/bob");
  EXPECT_EQ(RequestResource(v1::CreateJoinTokenRequest()), "");
  // Told by strangers: neither long nor able to break a line.
  member.set_parent("projects/p\nx\x1b[2J" + std::string(1 << 20, 'y'));
  EXPECT_EQ(RequestResource(member).size(), 200u);
  EXPECT_TRUE(absl::StartsWith(RequestResource(member), "projects/p?x?[2Jyyy"));
}

TEST(AuditEntryTest, ATokenThatIsPastedIntoANameIsCutOff) {
  v1::RevokeTokenRequest revoke;
  revoke.set_name(absl::StrCat("users/ada/tokens/bl_0123456789abcdef_", kSecret));
  EXPECT_EQ(RequestResource(revoke), "users/ada/tokens/bl_");
  EXPECT_EQ(RequestSummary(revoke).find(std::string(kSecret).substr(0, 8)), std::string::npos);
}

TEST(AuditEntryTest, EqualRequestsHaveEqualDigests) {
  v1::CreateRunRequest a;
  v1::CreateRunRequest b;
  for (int i = 0; i < 50; ++i) (*a.mutable_inputs())[std::to_string(i)] = "x";
  for (int i = 49; i >= 0; --i) (*b.mutable_inputs())[std::to_string(i)] = "x";
  EXPECT_EQ(RequestDigest(a), RequestDigest(b));
  b.set_parent("projects/p");
  EXPECT_NE(RequestDigest(a), RequestDigest(b));
}

}  // namespace
}  // namespace beamline::server
