#include "auth/policy.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "base/without_secrets.h"
#include "beamline/v1/audit.pb.h"
#include "beamline/v1/cluster.pb.h"
#include "beamline/v1/dataset.pb.h"
#include "beamline/v1/model.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "beamline/v1/project.pb.h"
#include "beamline/v1/run.pb.h"
#include "beamline/v1/worker.pb.h"
#include "google/rpc/error_details.pb.h"

namespace beamline::auth {
namespace {

namespace pb = google::protobuf;

// The lowest role that holds a PERMISSION_PROJECT_*; ROLE_UNSPECIFIED for other permissions.
v1::Role RoleFor(v1::Permission permission) {
  switch (permission) {
    case v1::PERMISSION_PROJECT_VIEW:
      return v1::ROLE_VIEWER;
    case v1::PERMISSION_PROJECT_EDIT:
      return v1::ROLE_EDITOR;
    case v1::PERMISSION_PROJECT_ADMIN:
      return v1::ROLE_ADMIN;
    default:
      return v1::ROLE_UNSPECIFIED;
  }
}

std::string_view RoleWord(v1::Role role) {
  switch (role) {
    case v1::ROLE_VIEWER:
      return "viewer";
    case v1::ROLE_EDITOR:
      return "editor";
    case v1::ROLE_ADMIN:
      return "admin";
    default:
      return "no role";
  }
}

// The one string field marked `resource`, or null.
const pb::FieldDescriptor* ResourceField(const pb::Descriptor* request) {
  const pb::FieldDescriptor* found = nullptr;
  for (int i = 0; i < request->field_count(); ++i) {
    const pb::FieldDescriptor* const field = request->field(i);
    if (!field->options().GetExtension(v1::resource)) continue;
    if (found != nullptr) return nullptr;
    if (field->is_repeated() || field->cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING) {
      return nullptr;
    }
    found = field;
  }
  return found;
}

absl::Status BadResource(const pb::FieldDescriptor* field, const absl::Status& why) {
  google::rpc::BadRequest details;
  auto* const violation = details.add_field_violations();
  violation->set_field(field->name());
  violation->set_description(std::string(why.message()));
  absl::Status status =
      absl::InvalidArgumentError(absl::StrCat(field->name(), ": ", why.message()));
  status.SetPayload("type.googleapis.com/google.rpc.BadRequest",
                    absl::Cord(details.SerializeAsString()));
  return status;
}

absl::Status AllowOnProject(const Principal& caller, const Rule& rule, const pb::Message& request) {
  const absl::StatusOr<std::string> project =
      ProjectOf(request.GetReflection()->GetString(request, rule.resource));
  if (!project.ok()) return BadResource(rule.resource, project.status());
  if (caller.is_operator) return absl::OkStatus();
  const auto membership = caller.roles.find(*project);
  if (membership == caller.roles.end() || membership->second == v1::ROLE_UNSPECIFIED) {
    return absl::NotFoundError(
        absl::StrCat("projects/", *project, " does not exist, or you are not a member of it: ",
                     "check the name, or ask an admin of the project to add you"));
  }
  const v1::Role needed = RoleFor(rule.permission);
  if (membership->second >= needed) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      "this needs the role \"", A(RoleWord(needed)), "\" in projects/", *project, "; you are \"",
      A(RoleWord(membership->second)), "\": ask an admin of the project"));
}

}  // namespace

absl::StatusOr<std::string> ProjectOf(std::string_view name) {
  constexpr std::string_view kPrefix = "projects/";
  if (name.substr(0, kPrefix.size()) != kPrefix) {
    return absl::InvalidArgumentError(absl::StrCat("\"", A(WithoutSecrets(name.substr(0, 80))),
                                                   "\" must begin with \"projects/\" and name a "
                                                   "project, as in \"projects/default\""));
  }
  name.remove_prefix(kPrefix.size());
  const std::string_view id = name.substr(0, name.find('/'));
  RETURN_IF_ERROR(CheckUserId(id));
  return std::string(id);
}

std::vector<const pb::ServiceDescriptor*> Policy::Services() {
  std::vector<const pb::ServiceDescriptor*> services;
  for (const pb::Descriptor* message :
       {v1::Project::descriptor(), v1::Dataset::descriptor(), v1::Pipeline::descriptor(),
        v1::Run::descriptor(), v1::Model::descriptor(), v1::Worker::descriptor(),
        v1::Attempt::descriptor(), v1::AuditEntry::descriptor()}) {
    for (int i = 0; i < message->file()->service_count(); ++i) {
      services.push_back(message->file()->service(i));
    }
  }
  return services;
}

Policy::Policy() : Policy(Services()) {}

Policy::Policy(const std::vector<const pb::ServiceDescriptor*>& services) {
  for (const pb::ServiceDescriptor* service : services) {
    for (int i = 0; i < service->method_count(); ++i) {
      const pb::MethodDescriptor* const method = service->method(i);
      Rule rule;
      rule.permission = method->options().GetExtension(v1::permission);
      rule.request = method->input_type();
      if (rule.permission == v1::PERMISSION_UNSPECIFIED) continue;
      const auto effect = method->options().idempotency_level();
      rule.changes = effect != pb::MethodOptions::NO_SIDE_EFFECTS;
      rule.routine =
          rule.permission == v1::PERMISSION_WORKER && effect == pb::MethodOptions::IDEMPOTENT;
      if (RoleFor(rule.permission) != v1::ROLE_UNSPECIFIED) {
        rule.resource = ResourceField(rule.request);
        if (rule.resource == nullptr) continue;
      }
      rules_[absl::StrCat("/", service->full_name(), "/", method->name())] = rule;
    }
  }
}

absl::Status Policy::Allow(const Principal& caller, std::string_view full_method,
                           const pb::Message& request) const {
  const auto found = rules_.find(full_method);
  if (found == rules_.end()) {
    return absl::InternalError(
        absl::StrCat(A(full_method), " declares no permission and is refused to everyone"));
  }
  const Rule& rule = found->second;
  if (request.GetDescriptor() != rule.request) {
    return absl::InternalError(
        absl::StrCat(A(full_method), " does not take ", request.GetDescriptor()->full_name()));
  }
  if (rule.permission == v1::PERMISSION_PUBLIC) return absl::OkStatus();
  if (caller.kind == Principal::kAnonymous) {
    return absl::UnauthenticatedError("this needs a token: log in with \"beamline login\"");
  }
  const bool is_user = caller.kind == Principal::kUser;
  if (rule.permission == v1::PERMISSION_WORKER) {
    if (!is_user) return absl::OkStatus();
    return absl::PermissionDeniedError("only workers may call this, with their certificate");
  }
  if (!is_user) return absl::PermissionDeniedError("workers may not call this: use a user's token");
  switch (rule.permission) {
    case v1::PERMISSION_AUTHENTICATED:
      return absl::OkStatus();
    case v1::PERMISSION_CLUSTER_OPERATE:
      if (caller.is_operator) return absl::OkStatus();
      return absl::PermissionDeniedError("only operators of the cluster may do this");
    case v1::PERMISSION_PROJECT_VIEW:
    case v1::PERMISSION_PROJECT_EDIT:
    case v1::PERMISSION_PROJECT_ADMIN:
      return AllowOnProject(caller, rule, request);
    default:
      return absl::InternalError(absl::StrCat(A(full_method), " declares an unknown permission"));
  }
}

}  // namespace beamline::auth
