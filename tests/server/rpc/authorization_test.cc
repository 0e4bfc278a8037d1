// Every RPC that there is, called for real by everybody there may be, answers as its declaration
// says.
#include <gmock/gmock.h>

#include <map>

#include "tests/server/rpc/populated.h"

namespace beamline::server::rpc {
namespace {

using grpc::StatusCode;

enum class Verdict { kAdmitted, kUnauthenticated, kDenied, kHidden };

// Who calls, and what they may.
struct Caller {
  std::string token = "";
  // Null: without a certificate.
  std::shared_ptr<grpc::Channel> channel = nullptr;
  // In the project of the request.
  v1::Role role = v1::ROLE_UNSPECIFIED;
  bool known = true;
  bool is_operator = false;
  bool limited = false;
  // Another issuer vouches for it.
  bool outside = false;
  // And no rule gives it anything.
  bool ruleless = false;
};

Verdict Expected(v1::Permission permission, bool changes, const Caller& caller) {
  if (permission == v1::PERMISSION_PUBLIC) return Verdict::kAdmitted;
  if (!caller.known) return Verdict::kUnauthenticated;
  if (caller.ruleless) return Verdict::kDenied;
  const bool is_worker = caller.channel != nullptr;
  if (permission == v1::PERMISSION_WORKER || is_worker) {
    return is_worker && permission == v1::PERMISSION_WORKER ? Verdict::kAdmitted : Verdict::kDenied;
  }
  // What belongs to no project is changed by nobody whose token is limited.
  if (permission == v1::PERMISSION_AUTHENTICATED && caller.limited && changes) {
    return Verdict::kDenied;
  }
  if (permission == v1::PERMISSION_AUTHENTICATED || caller.is_operator) return Verdict::kAdmitted;
  const std::map<v1::Permission, v1::Role> least = {{v1::PERMISSION_PROJECT_VIEW, v1::ROLE_VIEWER},
                                                    {v1::PERMISSION_PROJECT_EDIT, v1::ROLE_EDITOR},
                                                    {v1::PERMISSION_PROJECT_ADMIN, v1::ROLE_ADMIN}};
  const auto needed = least.find(permission);
  if (needed == least.end()) return Verdict::kDenied;
  if (caller.role == v1::ROLE_UNSPECIFIED) return Verdict::kHidden;
  return caller.role >= needed->second ? Verdict::kAdmitted : Verdict::kDenied;
}

Verdict VerdictOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case StatusCode::UNAUTHENTICATED:
      // Join is public, and has a secret of its own.
      return status.error_message().find("join token") != std::string::npos
                 ? Verdict::kAdmitted
                 : Verdict::kUnauthenticated;
    case StatusCode::PERMISSION_DENIED:
      return Verdict::kDenied;
    case StatusCode::NOT_FOUND:
      // What an admitted call does not find, it says in other words.
      return status.error_message().find("not a member of it") != std::string::npos
                 ? Verdict::kHidden
                 : Verdict::kAdmitted;
    default:
      return Verdict::kAdmitted;
  }
}

class MatrixTest : public PopulatedTest {
 protected:
  // Everybody, as seen from project "one".
  std::map<std::string, Caller> Callers();
  // Limited tokens: of somebody who may everything, and of members.
  void AddLimited(std::map<std::string, Caller>& callers);
  // Those who have tokens of another issuer.
  void AddOutside(std::map<std::string, Caller>& callers);
};

void MatrixTest::AddOutside(std::map<std::string, Caller>& callers) {
  SetIssuers(R"(
    rules:
      - {claim: groups, value: viewers, role: viewer, projects: [one]}
      - {claim: groups, value: editors, role: editor, projects: [one]}
      - {scope: beamline.admin, role: admin}
      - {subject: root, operator: true})");
  const auto token = [this](const std::string& claims) { return OutsideToken(claims); };
  callers["outside viewer"] = {.token = token(R"("sub":"a","groups":["viewers"])"),
                               .role = v1::ROLE_VIEWER};
  callers["outside editor"] = {.token = token(R"("sub":"a","groups":["viewers","editors"])"),
                               .role = v1::ROLE_EDITOR};
  callers["outside admin"] = {.token = token(R"("sub":"a","scope":"beamline.admin:/one")"),
                              .role = v1::ROLE_ADMIN};
  callers["outside foreigner"] = {.token = token(R"("sub":"a","scope":"beamline.admin:/two")")};
  for (auto& [name, caller] : callers) {
    if (name.starts_with("outside")) caller.limited = caller.outside = true;
  }
  callers["outside operator"] = {
      .token = token(R"("sub":"root")"), .is_operator = true, .outside = true};
  callers["outside without a rule"] = {
      .token = token(R"("sub":"a","groups":["others"],"scope":"beamline.edit:/one")"),
      .ruleless = true};
  callers["outside expired"] = {.token = token(R"("sub":"root","exp":1600000000)"), .known = false};
  const auth::TestKey other = auth::TestKey::Ec();
  callers["outside forged"] = {
      .token = auth::SignToken(other, "ES256", "1", OutsideClaims(R"("sub":"root")")),
      .known = false};
  NewUser("org--gone");
  Disable("org--gone");
  callers["outside disabled"] = {.token = token(R"("sub":"gone","groups":["viewers"])"),
                                 .known = false};
}

void MatrixTest::AddLimited(std::map<std::string, Caller>& callers) {
  SetRole("one", "oper", v1::ROLE_ADMIN);
  SetRole("two", "oper", v1::ROLE_ADMIN);
  callers["operator as viewer"] = {.token = NewToken("users/oper", 0, "", v1::ROLE_VIEWER).secret(),
                                   .role = v1::ROLE_VIEWER,
                                   .limited = true};
  callers["operator in one"] = {
      .token = NewToken("users/oper", 0, "one").secret(), .role = v1::ROLE_ADMIN, .limited = true};
  callers["operator elsewhere"] = {.token = NewToken("users/oper", 0, "two").secret(),
                                   .limited = true};
  callers["admin as editor"] = {
      .token = NewToken("users/owner", 0, "one", v1::ROLE_EDITOR).secret(),
      .role = v1::ROLE_EDITOR,
      .limited = true};
  callers["viewer as admin"] = {
      .token = NewToken("users/viewer", 0, "one", v1::ROLE_ADMIN).secret(),
      .role = v1::ROLE_VIEWER,
      .limited = true};
}

std::map<std::string, Caller> MatrixTest::Callers() {
  NewProject("one");
  NewProject("two");
  std::map<std::string, Caller> callers;
  callers["nobody"] = {.known = false};
  callers["garbage"] = {.token = "bl_garbage_garbage", .known = false};
  callers["viewer"] = {.token = NewUser("viewer"), .role = v1::ROLE_VIEWER};
  callers["editor"] = {.token = NewUser("editor"), .role = v1::ROLE_EDITOR};
  callers["admin"] = {.token = NewUser("owner"), .role = v1::ROLE_ADMIN};
  callers["foreigner"] = {.token = NewUser("foreigner")};
  callers["operator"] = {.token = NewUser("oper", true), .is_operator = true};
  callers["worker"] = {.channel = NewWorker()};
  SetRole("one", "viewer", v1::ROLE_VIEWER);
  SetRole("one", "editor", v1::ROLE_EDITOR);
  SetRole("one", "owner", v1::ROLE_ADMIN);
  SetRole("two", "foreigner", v1::ROLE_ADMIN);
  const v1::CreateTokenResponse revoked = NewToken("users/owner");
  {
    Call call(admin_);
    v1::RevokeTokenRequest request;
    request.set_name(revoked.token().name());
    v1::Token token;
    EXPECT_TRUE(auth_->RevokeToken(&call, request, &token).ok());
  }
  AddLimited(callers);
  AddOutside(callers);
  callers["disabled"] = {.token = NewUser("gone", true), .known = false};
  SetRole("one", "gone", v1::ROLE_ADMIN);
  Disable("gone");
  callers["revoked"] = {.token = revoked.secret(), .known = false};
  callers["expired"] = {.token = NewToken("users/owner", 1).secret(), .known = false};
  absl::SleepFor(absl::Milliseconds(2'100));
  return callers;
}

TEST_F(MatrixTest, EveryCallOfEverybodyIsAnsweredAsDeclared) {
  const std::map<std::string, Caller> callers = Callers();
  std::map<Verdict, int> seen;
  for (const auto* service : auth::Policy::Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const pb::MethodDescriptor& method = *service->method(i);
      const v1::Permission permission = method.options().GetExtension(v1::permission);
      EXPECT_NE(permission, v1::PERMISSION_UNSPECIFIED) << method.full_name();
      const bool changes =
          method.options().idempotency_level() != pb::MethodOptions::NO_SIDE_EFFECTS;
      const std::string path = "/" + service->full_name() + "/" + method.name();
      const std::string request = RequestFor(method, "projects/one");
      for (const auto& [name, caller] : callers) {
        const auto& channel = caller.channel != nullptr ? caller.channel : channel_;
        const grpc::Status status = RawCall(channel, path, request, caller.token);
        const Verdict verdict = VerdictOf(status);
        // Whose tokens others make gets none here, whatever it may.
        const bool makes_token = method.name() == "CreateToken" && caller.outside;
        EXPECT_EQ(verdict, makes_token ? Verdict::kDenied : Expected(permission, changes, caller))
            << path << " by " << name << ": " << status.error_code() << " "
            << status.error_message();
        ++seen[verdict];
        // A project that one is no member of is one that is not there.
        if (verdict != Verdict::kHidden) continue;
        const grpc::Status none =
            RawCall(channel, path, RequestFor(method, "projects/not"), caller.token);
        std::string message = status.error_message();
        message.replace(message.find("projects/one"), 12, "projects/not");
        EXPECT_EQ(none.error_message(), message) << path;
        EXPECT_EQ(none.error_code(), status.error_code()) << path;
      }
    }
  }
  for (const Verdict verdict :
       {Verdict::kAdmitted, Verdict::kUnauthenticated, Verdict::kDenied, Verdict::kHidden}) {
    EXPECT_GT(seen[verdict], 30);
  }
}

}  // namespace
}  // namespace beamline::server::rpc
