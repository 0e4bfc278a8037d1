// login, whoami, token: who you are.

#include <termios.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

constexpr size_t kMaxTokenBytes = 16'384;

// Switches the terminal's echo off for as long as it lives.
class NoEcho {
 public:
  NoEcho() {
    active_ = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0;
    if (!active_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &silent);
  }
  ~NoEcho() {
    if (active_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

 private:
  bool active_ = false;
  termios before_ = {};
};

// The first line of standard input.
std::string ReadSecretLine() {
  const NoEcho no_echo;
  std::string line;
  char c = 0;
  while (line.size() < kMaxTokenBytes && read(STDIN_FILENO, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

absl::StatusOr<std::string> ReadToken(Invocation& invocation) {
  std::string token;
  if (const std::string path = invocation.args().Get("token-file"); !path.empty()) {
    ASSIGN_OR_RETURN(token, ReadFile(path, kMaxTokenBytes));
  } else {
    if (isatty(STDIN_FILENO) == 1) invocation.Note("token (bl_...): ");
    token = ReadSecretLine();
    if (isatty(STDIN_FILENO) == 1) invocation.Note("\n");
  }
  absl::StripAsciiWhitespace(&token);
  if (token.empty()) {
    return UsageError("no token: give it on standard input or with --token-file FILE");
  }
  // Those of other issuers are JSON Web Tokens.
  if (!token.starts_with("bl_") && !token.starts_with("eyJ")) {
    return UsageError(
        "this is no token of a user: those start with \"bl_\", those of other issuers with "
        "\"eyJ\"");
  }
  return token;
}

// "viewer in optics, acoustics".
std::string Limits(const google::protobuf::RepeatedPtrField<std::string>& projects,
                   v1::Role max_role) {
  std::string text = max_role == v1::ROLE_UNSPECIFIED
                         ? "own role"
                         : EnumWord(v1::Role_Name(max_role), "ROLE_") + " at most";
  for (int i = 0; i < projects.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? " in " : ", ", LastPart(projects[i]));
  }
  return text;
}

void PrintWho(Invocation& invocation, const v1::WhoAmIResponse& who) {
  if (invocation.json()) {
    invocation.PrintJson(who);
    return;
  }
  std::string about;
  if (who.user().operator_()) about += " (operator of the cluster)";
  if (who.user().service_account()) about += " (a service account)";
  invocation.Print(absl::StrCat(LastPart(who.user().name()), about, "\n"));
  Table table({{"PROJECT"}, {"ROLE"}});
  for (const auto& membership : who.memberships()) {
    table.Add(
        {LastPart(membership.project()), EnumWord(v1::Role_Name(membership.role()), "ROLE_")});
  }
  if (!table.empty()) invocation.Print(table.Render(!invocation.quiet()));
  if (who.token_projects_size() > 0 || who.token_max_role() != v1::ROLE_UNSPECIFIED) {
    invocation.Print(
        absl::StrCat("the token is limited: ", Limits(who.token_projects(), who.token_max_role()),
                     ", without the rights of operators\n"));
  }
  if (who.has_token_expire_time()) {
    invocation.Print(absl::StrCat("the token expires ",
                                  RelativeTime(TimeOf(who.token_expire_time()), invocation.Now()),
                                  "\n"));
  }
}

absl::StatusOr<ExitCode> Login(Invocation& invocation) {
  Context context;
  context.server = invocation.args().Positional(0);
  context.project = invocation.args().Get("project", "default");
  if (const std::string ca = invocation.args().Get("ca"); !ca.empty()) {
    context.ca = std::filesystem::absolute(ca).string();
  }
  ASSIGN_OR_RETURN(context.token, ReadToken(invocation));
  // Nothing is written before the server has accepted the token.
  ASSIGN_OR_RETURN(const std::unique_ptr<Connection> server, Connect(context));
  ASSIGN_OR_RETURN(const v1::WhoAmIResponse who, server->Call(kWhoAmI, {}));
  const std::string name = invocation.args().Get("context", context.server);
  ASSIGN_OR_RETURN(Config config, LoadConfig(ConfigPath()));
  config.contexts[name] = context;
  config.current = name;
  RETURN_IF_ERROR(SaveConfig(ConfigPath(), config));
  invocation.Note(absl::StrFormat("logged in to %s; context \"%s\" is in %s\n", context.server,
                                  name, ConfigPath()));
  PrintWho(invocation, who);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> WhoAmI(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::WhoAmIResponse who, invocation.Call(kWhoAmI, {}));
  PrintWho(invocation, who);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> CreateToken(Invocation& invocation) {
  v1::CreateTokenRequest request;
  if (invocation.args().Has("user")) request.set_user(UserName(invocation.args().Get("user")));
  request.set_description(invocation.args().Get("description"));
  if (invocation.args().Has("expires")) {
    ASSIGN_OR_RETURN(const absl::Time expiry,
                     ParseExpiry(invocation.args().Get("expires"), invocation.Now()));
    *request.mutable_expire_time() = TimestampOf(expiry);
  }
  // The context's project is no limit: only what is said here is.
  for (const absl::string_view project :
       absl::StrSplit(invocation.args().Get("project"), ',', absl::SkipEmpty())) {
    request.add_projects(absl::StrCat("projects/", project));
  }
  if (invocation.args().Has("role")) {
    ASSIGN_OR_RETURN(const v1::Role role, ParseRole(invocation.args().Get("role")));
    request.set_max_role(role);
  }
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::CreateTokenResponse response, invocation.Call(kCreateToken, request));
  if (invocation.json()) {
    invocation.PrintJson(response);
    return ExitCode::kOk;
  }
  invocation.Print(response.secret() + "\n");
  invocation.Note(absl::StrFormat("this is %s; it is shown this once and never again\n",
                                  response.token().name()));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ListTokens(Invocation& invocation) {
  v1::ListTokensRequest request;
  if (invocation.args().Has("user")) request.set_user(UserName(invocation.args().Get("user")));
  ASSIGN_OR_RETURN(const v1::ListTokensResponse response, invocation.Call(kListTokens, request));
  if (invocation.json()) {
    invocation.PrintJson(response);
    return ExitCode::kOk;
  }
  Table table(
      {{"TOKEN"}, {"DESCRIPTION"}, {"MAY"}, {"CREATED"}, {"LAST USED"}, {"EXPIRES"}, {"STATE"}});
  const absl::Time now = invocation.Now();
  for (const v1::Token& token : response.tokens()) {
    const bool expired = token.has_expire_time() && TimeOf(token.expire_time()) <= now;
    const bool limited = token.projects_size() > 0 || token.max_role() != v1::ROLE_UNSPECIFIED;
    table.Add({token.name(), token.description(),
               limited ? Limits(token.projects(), token.max_role()) : "all that its user may",
               RelativeTime(TimeOf(token.create_time()), now),
               RelativeTime(TimeOf(token.last_use_time()), now),
               token.has_expire_time() ? RelativeTime(TimeOf(token.expire_time()), now) : "never",
               token.revoked() ? "revoked" : (expired ? "expired" : "valid")});
  }
  invocation.Print(table.Render(!invocation.quiet()));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> RevokeToken(Invocation& invocation) {
  const std::string name = invocation.args().Positional(0);
  if (!name.starts_with("users/")) {
    return UsageError(absl::StrFormat(
        "\"%s\" is no token's name: give users/U/tokens/T, as \"beamline token list\" has it",
        name));
  }
  v1::RevokeTokenRequest request;
  request.set_name(name);
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::Token token, invocation.Call(kRevokeToken, request));
  if (invocation.json()) invocation.PrintJson(token);
  invocation.Note(token.name() + " is revoked\n");
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> AccountCommands() {
  const Flag user = {"user", "USER", "Another user (for operators of the cluster)"};
  return {
      {.path = "login",
       .summary = "Remember a server and a token, and use them from now on",
       .positionals = {{.name = "HOST:PORT"}},
       .flags = {{"ca", "FILE", "Certificate authority of the server, PEM", Completion::kFile},
                 {"token-file", "FILE", "File with the token", Completion::kFile}},
       .details = "The token is read from standard input unless --token-file names a file. "
                  "--context names\nthe entry (default: the address).",
       .run = Login},
      {.path = "whoami",
       .summary = "Show who you are and your projects",
       .positionals = {},
       .flags = {},
       .details = "",
       .run = WhoAmI},
      {.path = "token create",
       .summary = "Create a token and print it, this once",
       .positionals = {},
       .flags = {{"description", "TEXT", "What it is for"},
                 {"expires", "WHEN", "90s, 15m, 12h, 30d, or a time (default: never)"},
                 {"role", "ROLE", "No higher role than viewer, editor or admin"},
                 user},
       .details =
           "With --project P (or P,Q) the token is for these projects only. A token that is "
           "limited, by project\nor by role, has no rights of operators, makes no token that "
           "may more than itself, and no projects.",
       .run = CreateToken},
      {.path = "token list",
       .summary = "List tokens, without their secrets",
       .positionals = {},
       .flags = {user},
       .details = "",
       .run = ListTokens},
      {.path = "token revoke",
       .summary = "Make a token invalid at once",
       .positionals = {{.name = "TOKEN"}},
       .flags = {},
       .details = "",
       .run = RevokeToken},
  };
}

}  // namespace beamline::cli
