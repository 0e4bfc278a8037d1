// user: who there is.
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/references.h"
#include "clients/cli/rpc.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

absl::StatusOr<ExitCode> CreateUser(Invocation& invocation) {
  v1::CreateUserRequest request;
  request.set_user_id(invocation.args().Positional(0));
  request.mutable_user()->set_operator_(invocation.args().Has("operator"));
  request.mutable_user()->set_service_account(invocation.args().Has("service"));
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::User user, invocation.Call(kCreateUser, request));
  if (invocation.json()) {
    invocation.PrintJson(user);
    return ExitCode::kOk;
  }
  invocation.Print(user.name() + "\n");
  invocation.Note(absl::StrFormat("give them a token: beamline token create --user %s\n",
                                  LastPart(user.name())));
  return ExitCode::kOk;
}

// Sets one of the things that may be changed about a user.
absl::StatusOr<ExitCode> ChangeUser(Invocation& invocation, const std::string& field, bool value) {
  v1::UpdateUserRequest request;
  request.mutable_user()->set_name(UserName(invocation.args().Positional(0)));
  request.mutable_user()->set_operator_(value);
  request.mutable_user()->set_disabled(value);
  request.mutable_update_mask()->add_paths(field);
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::User user, invocation.Call(kUpdateUser, request));
  if (invocation.json()) invocation.PrintJson(user);
  invocation.Note(absl::StrFormat("%s is %s, and %s operator\n", user.name(),
                                  user.disabled() ? "disabled" : "enabled",
                                  user.operator_() ? "an" : "no"));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> DisableUser(Invocation& invocation) {
  return ChangeUser(invocation, "disabled", true);
}

absl::StatusOr<ExitCode> EnableUser(Invocation& invocation) {
  return ChangeUser(invocation, "disabled", false);
}

absl::StatusOr<ExitCode> SetOperator(Invocation& invocation) {
  const std::string word = invocation.args().Positional(1);
  if (word != "yes" && word != "no") return UsageError("say yes or no");
  return ChangeUser(invocation, "operator", word == "yes");
}

absl::StatusOr<ExitCode> ListUsers(Invocation& invocation) {
  Table table({{"USER"}, {"OPERATOR"}, {"KIND"}, {"STATE"}, {"CREATED"}});
  RETURN_IF_ERROR(
      invocation.ForEachPage(kListUsers, {}, 100'000, [&](const v1::ListUsersResponse& page) {
        for (const v1::User& user : page.users()) {
          if (invocation.json()) invocation.PrintJsonLine(user);
          table.Add({LastPart(user.name()), user.operator_() ? "yes" : "no",
                     user.service_account() ? "service" : "person",
                     user.disabled() ? "disabled" : "enabled",
                     RelativeTime(TimeOf(user.create_time()), invocation.Now())});
        }
        return page.users_size();
      }));
  if (!invocation.json()) invocation.Print(table.Render(!invocation.quiet()));
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> UserCommands() {
  return {
      {.path = "user create",
       .summary = "Create a user (operators)",
       .positionals = {{.name = "USER"}},
       .flags = {{"operator", "", "The user may operate the cluster"},
                 {"service", "", "A program: operators make its tokens"}},
       .details = "",
       .run = CreateUser},
      {.path = "user disable",
       .summary = "Accept no token of a user any more, at once (operators)",
       .positionals = {{.name = "USER"}},
       .flags = {},
       .details = "What its runs do goes on. Its tokens are accepted again after user enable.",
       .run = DisableUser},
      {.path = "user enable",
       .summary = "Accept a user's tokens again (operators)",
       .positionals = {{.name = "USER"}},
       .flags = {},
       .details = "",
       .run = EnableUser},
      {.path = "user operator",
       .summary = "Let a user operate the cluster, or no longer (operators)",
       .positionals = {{.name = "USER"}, {.name = "yes|no"}},
       .flags = {},
       .details = "",
       .run = SetOperator},
      {.path = "user list",
       .summary = "List users (operators)",
       .positionals = {},
       .flags = {},
       .details = "",
       .run = ListUsers},
  };
}

}  // namespace beamline::cli
