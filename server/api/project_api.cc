#include "server/api/project_api.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "auth/authenticator.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "server/api/answer.h"
#include "server/coordinator.h"
#include "server/errors.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/paging.h"
#include "server/quota.h"
#include "store/identity.h"
#include "store/time.h"

namespace beamline::server {
namespace {

constexpr size_t kMaxDescriptionLength = 4'000;

// Far more than any machine has, and small enough for sums.
constexpr double kMostCpus = 1e6;
constexpr double kMostBytes = 1e15;
constexpr double kMostWeightMilli = 1e9;

absl::Status CheckQuota(const v1::Quota& quota) {
  FieldErrors errors;
  const auto check = [&](const char* field, double value, double most) {
    if (!(value >= 0 && value <= most)) {
      errors.Add(absl::StrCat("project.quota.", field),
                 absl::StrFormat("must be from 0 to %.0f", most));
    }
  };
  check("weight_milli", static_cast<double>(quota.weight_milli()), kMostWeightMilli);
  check("max_queued_runs", quota.max_queued_runs(), kMostCpus);
  check("max_storage_bytes", static_cast<double>(quota.max_storage_bytes()), INT64_MAX);
  check("max_cpus", quota.max_cpus(), kMostCpus);
  check("max_gpus", quota.max_gpus(), kMostCpus);
  check("max_memory_bytes", static_cast<double>(quota.max_memory_bytes()), kMostBytes);
  check("guaranteed_cpus", quota.guaranteed_cpus(), kMostCpus);
  check("guaranteed_gpus", quota.guaranteed_gpus(), kMostCpus);
  check("guaranteed_memory_bytes", static_cast<double>(quota.guaranteed_memory_bytes()),
        kMostBytes);
  const auto order = [&](const char* least, double guaranteed, const char* most, double bound) {
    if (bound > 0 && guaranteed > bound) {
      errors.Add(absl::StrCat("project.quota.", least), absl::StrCat("must be at most ", most));
    }
  };
  order("guaranteed_cpus", quota.guaranteed_cpus(), "max_cpus", quota.max_cpus());
  order("guaranteed_gpus", quota.guaranteed_gpus(), "max_gpus", quota.max_gpus());
  order("guaranteed_memory_bytes", static_cast<double>(quota.guaranteed_memory_bytes()),
        "max_memory_bytes", static_cast<double>(quota.max_memory_bytes()));
  return errors.ToStatus();
}

// An admin has to remain who can let others in.
absl::Status CheckAdminRemains(Transaction& transaction, const std::string& project,
                               const std::string& leaving) {
  ASSIGN_OR_RETURN(const auto members, store::ListMembers(transaction.store(), project));
  const bool remains = std::any_of(members.begin(), members.end(), [&](const v1::Member& member) {
    return member.role() == v1::ROLE_ADMIN && store::IdOf(member.principal()) != leaving;
  });
  if (remains) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the project would be left without an admin: make another member admin first");
}

// Replaces the parts that the mask names; all that may be changed if it names none.
absl::Status Merge(const v1::UpdateProjectRequest& request, v1::Project& project) {
  if (request.update_mask().paths().empty()) {
    project.set_description(request.project().description());
    *project.mutable_quota() = request.project().quota();
    project.set_commands_allowed(request.project().commands_allowed());
    return absl::OkStatus();
  }
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "description") {
      project.set_description(request.project().description());
    } else if (path == "commands_allowed") {
      project.set_commands_allowed(request.project().commands_allowed());
    } else if (path == "quota") {
      *project.mutable_quota() = request.project().quota();
    } else if (path.starts_with("quota.")) {
      const auto* field = v1::Quota::descriptor()->FindFieldByName(path.substr(6));
      if (field == nullptr) {
        return BadField("update_mask", absl::StrCat("\"", path, "\" is no field of a quota"));
      }
      // A merge of one field leaves the others alone.
      v1::Quota only = request.project().quota();
      const auto* reflection = v1::Quota::GetReflection();
      for (int i = 0; i < v1::Quota::descriptor()->field_count(); ++i) {
        const auto* other = v1::Quota::descriptor()->field(i);
        if (other != field) reflection->ClearField(&only, other);
      }
      reflection->ClearField(project.mutable_quota(), field);
      project.mutable_quota()->MergeFrom(only);
    } else {
      return BadField("update_mask", absl::StrCat("\"", path,
                                                  "\" cannot be changed: name description, quota, "
                                                  "a field of quota or commands_allowed"));
    }
  }
  return absl::OkStatus();
}

// The first `limit` projects behind `after` in which the caller has a role; as ListProjects of the
// store, but of what its token lets through.
absl::StatusOr<std::vector<v1::Project>> ListLimited(const store::View& view,
                                                     const auth::Roles& roles,
                                                     const std::string& after, int64_t limit) {
  std::vector<v1::Project> projects;
  for (auto role = roles.upper_bound(after); role != roles.end() && std::ssize(projects) < limit;
       ++role) {
    absl::StatusOr<v1::Project> project = store::GetProject(view, role->first);
    if (absl::IsNotFound(project.status())) continue;
    RETURN_IF_ERROR(project.status());
    projects.push_back(*std::move(project));
  }
  return projects;
}

}  // namespace

ProjectApi::ProjectApi(ApiContext context) : context_(context) {}
ProjectApi::~ProjectApi() = default;

void ProjectApi::CreateProject(const auth::Principal& caller,
                               const v1::CreateProjectRequest& request, Done<v1::Project> done) {
  if (caller.limited) {
    return done(absl::PermissionDeniedError(
        "your token is limited: projects are made with one that is not"));
  }
  FieldErrors errors;
  errors.Check("project_id", CheckUserId(request.project_id()));
  if (request.project().description().size() > kMaxDescriptionLength) {
    errors.Add("project.description", "must have at most 4000 characters");
  }
  if (request.project().has_quota() && !caller.is_operator) {
    errors.Add("project.quota", "may only be set by operators");
  }
  if (request.project().commands_allowed() && !caller.is_operator) {
    errors.Add("project.commands_allowed", "may only be set by operators");
  }
  absl::Status bad = errors.ToStatus();
  bad.Update(CheckQuota(request.project().quota()));
  if (!bad.ok()) return done(std::move(bad));
  context_.coordinator.Call<v1::Project>(
      [caller, request](Transaction& tx) -> absl::StatusOr<v1::Project> {
        const std::string name = ProjectName(request.project_id());
        const Mutation mutation{.caller = caller,
                                .method = "ProjectService.CreateProject",
                                .resource = name,
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::Project>(tx, mutation, [&]() -> absl::StatusOr<v1::Project> {
          v1::Project project = request.project();
          project.set_name(name);
          const absl::Status inserted = store::InsertProject(tx.store(), project, tx.now());
          if (absl::IsAlreadyExists(inserted)) {
            return absl::AlreadyExistsError(
                absl::StrCat("project \"", request.project_id(), "\" exists: choose another id"));
          }
          RETURN_IF_ERROR(inserted);
          // An operator whom another issuer vouches for is no user who could be a member.
          if (caller.outside == nullptr) {
            RETURN_IF_ERROR(store::PutMember(tx.store(), request.project_id(),
                                             store::IdOf(caller.name), v1::ROLE_ADMIN));
          }
          if (project.has_quota()) tx.Schedule(QuotaEvent(project));
          return store::GetProject(tx.store(), request.project_id());
        });
      },
      ForgetThen(context_.authenticator, std::move(done)));
}

void ProjectApi::GetProject(const auth::Principal&, const v1::GetProjectRequest& request,
                            Done<v1::Project> done) {
  done([&]() -> absl::StatusOr<v1::Project> {
    ASSIGN_OR_RETURN(const std::string project, ParseProjectName("name", request.name()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    return store::GetProject(reader, project);
  }());
}

void ProjectApi::ListProjects(const auth::Principal& caller, const v1::ListProjectsRequest& request,
                              Done<v1::ListProjectsResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListProjectsResponse> {
    ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), 100, 1000));
    const std::string member(caller.is_operator ? "" : store::IdOf(caller.name));
    const std::string scope = absl::StrCat("projects|", member);
    ASSIGN_OR_RETURN(const std::string after, ReadPageToken(scope, request.page_token()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(auto projects, caller.limited
                                        ? ListLimited(reader, caller.roles, after, size + 1)
                                        : store::ListProjects(reader, member, after, size + 1));
    return PageById<v1::ListProjectsResponse>(std::move(projects), size, scope,
                                              &v1::ListProjectsResponse::mutable_projects);
  }());
}

void ProjectApi::UpdateProject(const auth::Principal& caller,
                               const v1::UpdateProjectRequest& request, Done<v1::Project> done) {
  const auto name = ParseProjectName("project.name", request.project().name());
  absl::Status bad = name.status();
  if (request.project().description().size() > kMaxDescriptionLength) {
    bad.Update(BadField("project.description", "must have at most 4000 characters"));
  }
  bad.Update(CheckQuota(request.project().quota()));
  if (!bad.ok()) return done(std::move(bad));
  context_.coordinator.Call<v1::Project>(
      [caller, request, project_id = *name](Transaction& tx) -> absl::StatusOr<v1::Project> {
        const Mutation mutation{.caller = caller,
                                .method = "ProjectService.UpdateProject",
                                .resource = request.project().name(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::Project>(tx, mutation, [&]() -> absl::StatusOr<v1::Project> {
          ASSIGN_OR_RETURN(v1::Project project, store::GetProject(tx.store(), project_id));
          RETURN_IF_ERROR(Merge(request, project));
          RETURN_IF_ERROR(CheckQuota(project.quota()));
          RETURN_IF_ERROR(store::UpdateProject(tx.store(), project));
          tx.Schedule(QuotaEvent(project));
          return project;
        });
      },
      std::move(done));
}

void ProjectApi::SetMember(const auth::Principal& caller, const v1::SetMemberRequest& request,
                           Done<v1::Member> done) {
  const auto project = ParseProjectName("parent", request.parent());
  const auto user = ParseUserName("member.principal", request.member().principal());
  absl::Status bad = project.status();
  bad.Update(user.status());
  if (!v1::Role_IsValid(request.member().role()) ||
      request.member().role() == v1::ROLE_UNSPECIFIED) {
    bad.Update(BadField("member.role", "must be viewer, editor or admin"));
  }
  if (!bad.ok()) return done(std::move(bad));
  context_.coordinator.Call<v1::Member>(
      [caller, request, project = *project,
       user = *user](Transaction& tx) -> absl::StatusOr<v1::Member> {
        const Mutation mutation{.caller = caller,
                                .method = "ProjectService.SetMember",
                                .resource = request.parent(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::Member>(tx, mutation, [&]() -> absl::StatusOr<v1::Member> {
          RETURN_IF_ERROR(store::GetProject(tx.store(), project).status());
          RETURN_IF_ERROR(store::GetUser(tx.store(), user).status());
          if (request.member().role() != v1::ROLE_ADMIN) {
            RETURN_IF_ERROR(CheckAdminRemains(tx, project, user));
          }
          RETURN_IF_ERROR(store::PutMember(tx.store(), project, user, request.member().role()));
          return request.member();
        });
      },
      ForgetThen(context_.authenticator, std::move(done)));
}

void ProjectApi::RemoveMember(const auth::Principal& caller, const v1::RemoveMemberRequest& request,
                              Done<google::protobuf::Empty> done) {
  const auto project = ParseProjectName("parent", request.parent());
  const auto user = ParseUserName("principal", request.principal());
  absl::Status bad = project.status();
  bad.Update(user.status());
  if (!bad.ok()) return done(std::move(bad));
  using google::protobuf::Empty;
  context_.coordinator.Call<Empty>(
      [caller, request, project = *project,
       user = *user](Transaction& tx) -> absl::StatusOr<Empty> {
        const Mutation mutation{.caller = caller,
                                .method = "ProjectService.RemoveMember",
                                .resource = request.parent(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<Empty>(tx, mutation, [&]() -> absl::StatusOr<Empty> {
          RETURN_IF_ERROR(CheckAdminRemains(tx, project, user));
          RETURN_IF_ERROR(store::DeleteMember(tx.store(), project, user));
          return Empty();
        });
      },
      ForgetThen(context_.authenticator, std::move(done)));
}

void ProjectApi::ListMembers(const auth::Principal&, const v1::ListMembersRequest& request,
                             Done<v1::ListMembersResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListMembersResponse> {
    ASSIGN_OR_RETURN(const std::string project, ParseProjectName("parent", request.parent()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    RETURN_IF_ERROR(store::GetProject(reader, project).status());
    ASSIGN_OR_RETURN(auto members, store::ListMembers(reader, project));
    v1::ListMembersResponse response;
    for (v1::Member& member : members) *response.add_members() = std::move(member);
    return response;
  }());
}

}  // namespace beamline::server
