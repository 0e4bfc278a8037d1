// project: the tenants and their members.

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

std::string RoleWord(v1::Role role) { return EnumWord(v1::Role_Name(role), "ROLE_"); }

// The project that the argument names, or else the current one.
absl::StatusOr<std::string> ProjectArgument(Invocation& invocation) {
  const std::string text = invocation.args().Positional(0);
  if (text.empty()) return invocation.Project();
  return text.starts_with("projects/") ? text : "projects/" + text;
}

absl::StatusOr<ExitCode> List(Invocation& invocation) {
  Table table({{"PROJECT"}, {"DESCRIPTION"}, {"CREATED"}});
  RETURN_IF_ERROR(
      invocation.ForEachPage(kListProjects, {}, 10'000, [&](const v1::ListProjectsResponse& page) {
        for (const v1::Project& project : page.projects()) {
          if (invocation.json()) invocation.PrintJsonLine(project);
          table.Add({LastPart(project.name()), project.description(),
                     RelativeTime(TimeOf(project.create_time()), invocation.Now())});
        }
        return page.projects_size();
      }));
  if (!invocation.json()) invocation.Print(table.Render(!invocation.quiet()));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Create(Invocation& invocation) {
  v1::CreateProjectRequest request;
  request.set_project_id(invocation.args().Positional(0));
  request.mutable_project()->set_description(invocation.args().Get("description"));
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::Project project, invocation.Call(kCreateProject, request));
  if (invocation.json()) {
    invocation.PrintJson(project);
  } else {
    invocation.Print(project.name() + "\n");
    invocation.Note(absl::StrCat("work in it with --project ", LastPart(project.name()), "\n"));
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Show(Invocation& invocation) {
  v1::GetProjectRequest request;
  ASSIGN_OR_RETURN(const std::string name, ProjectArgument(invocation));
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::Project project, invocation.Call(kGetProject, request));
  if (invocation.json()) {
    invocation.PrintJson(project);
    return ExitCode::kOk;
  }
  const auto limit = [](double value, const std::string& text) {
    return value == 0 ? std::string("server's default") : text;
  };
  const v1::Quota& quota = project.quota();
  const auto storage = static_cast<double>(quota.max_storage_bytes());
  Table table({{""}, {""}});
  table.Add({"project", project.name()});
  table.Add({"description", project.description()});
  table.Add({"created", RelativeTime(TimeOf(project.create_time()), invocation.Now())});
  table.Add(
      {"most queued runs", limit(quota.max_queued_runs(), absl::StrCat(quota.max_queued_runs()))});
  table.Add({"most storage", limit(storage, HumanBytes(quota.max_storage_bytes()))});
  const auto any = [](double value, const std::string& text) {
    return value == 0 ? std::string("any") : text;
  };
  const auto memory = static_cast<double>(quota.max_memory_bytes());
  table.Add({"weight", HumanNumber(quota.weight_milli() == 0
                                       ? 1
                                       : static_cast<double>(quota.weight_milli()) / 1000)});
  table.Add({"most cores", any(quota.max_cpus(), HumanNumber(quota.max_cpus()))});
  table.Add({"most memory", any(memory, HumanBytes(quota.max_memory_bytes()))});
  table.Add({"most GPUs", any(quota.max_gpus(), absl::StrCat(quota.max_gpus()))});
  table.Add({"guaranteed", absl::StrFormat("%g cores, %s, %d GPUs", quota.guaranteed_cpus(),
                                           HumanBytes(quota.guaranteed_memory_bytes()),
                                           quota.guaranteed_gpus())});
  table.Add({"own programs", project.commands_allowed() ? "allowed" : "not allowed"});
  invocation.Print(table.Render(false));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Set(Invocation& invocation) {
  v1::UpdateProjectRequest request;
  ASSIGN_OR_RETURN(const std::string name, ProjectArgument(invocation));
  request.mutable_project()->set_name(name);
  const std::string programs = invocation.args().Get("programs");
  if (programs != "allow" && programs != "deny") {
    return UsageError("give what to set: --programs allow, or --programs deny");
  }
  request.mutable_project()->set_commands_allowed(programs == "allow");
  request.mutable_update_mask()->add_paths("commands_allowed");
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::Project project, invocation.Call(kUpdateProject, request));
  if (invocation.json()) {
    invocation.PrintJson(project);
  } else {
    invocation.Note(absl::StrFormat("%s %s run programs of its members' own\n",
                                    LastPart(project.name()),
                                    project.commands_allowed() ? "may" : "may not"));
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Members(Invocation& invocation) {
  v1::ListMembersRequest request;
  ASSIGN_OR_RETURN(const std::string name, ProjectArgument(invocation));
  request.set_parent(name);
  ASSIGN_OR_RETURN(const v1::ListMembersResponse response, invocation.Call(kListMembers, request));
  if (invocation.json()) {
    invocation.PrintJson(response);
    return ExitCode::kOk;
  }
  Table table({{"MEMBER"}, {"ROLE"}});
  for (const v1::Member& member : response.members()) {
    table.Add({LastPart(member.principal()), RoleWord(member.role())});
  }
  invocation.Print(table.Render(!invocation.quiet()));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> AddMember(Invocation& invocation) {
  v1::SetMemberRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  request.mutable_member()->set_principal(UserName(invocation.args().Positional(0)));
  ASSIGN_OR_RETURN(const v1::Role role, ParseRole(invocation.args().Get("role", "viewer")));
  request.mutable_member()->set_role(role);
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const v1::Member member, invocation.Call(kSetMember, request));
  if (invocation.json()) {
    invocation.PrintJson(member);
  } else {
    invocation.Note(absl::StrFormat("%s is %s of %s\n", LastPart(member.principal()),
                                    RoleWord(member.role()), LastPart(project)));
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> RemoveMember(Invocation& invocation) {
  v1::RemoveMemberRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  request.set_principal(UserName(invocation.args().Positional(0)));
  request.set_request_id(invocation.NewRequestId());
  ASSIGN_OR_RETURN(const google::protobuf::Empty answer, invocation.Call(kRemoveMember, request));
  if (invocation.json()) {
    invocation.PrintJson(answer);
  } else {
    invocation.Note(absl::StrFormat("%s is no member of %s any more\n",
                                    LastPart(request.principal()), LastPart(project)));
  }
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> ProjectCommands() {
  return {
      {.path = "project list",
       .summary = "List the projects you are a member of",
       .positionals = {},
       .flags = {},
       .details = "",
       .run = List},
      {.path = "project create",
       .summary = "Create a project; you become its admin",
       .positionals = {{.name = "PROJECT"}},
       .flags = {{"description", "TEXT", "What it is for"}},
       .details = "",
       .run = Create},
      {.path = "project show",
       .summary = "Show a project and its quota",
       .positionals = {{.name = "PROJECT", .optional = true}},
       .flags = {},
       .details = "",
       .run = Show},
      {.path = "project set",
       .summary = "Change what a project may (operators)",
       .positionals = {{.name = "PROJECT", .optional = true}},
       .flags = {{"programs", "allow|deny",
                  "Whether its members may run programs of their own (command steps)"}},
       .details = "What runs is not touched.",
       .run = Set},
      {.path = "project members",
       .summary = "List the members of a project and their roles",
       .positionals = {{.name = "PROJECT", .optional = true}},
       .flags = {},
       .details = "",
       .run = Members},
      {.path = "project add-member",
       .summary = "Add a member to the project, or change its role",
       .positionals = {{.name = "USER"}},
       .flags = {{"role", "ROLE", "viewer (default), editor or admin"}},
       .details = "",
       .run = AddMember},
      {.path = "project remove-member",
       .summary = "Remove a member from the project",
       .positionals = {{.name = "USER"}},
       .flags = {},
       .details = "",
       .run = RemoveMember},
  };
}

}  // namespace beamline::cli
