#include "auth/policy.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <set>

#include "beamline/v1/project.pb.h"
#include "beamline/v1/run.pb.h"
#include "google/rpc/error_details.pb.h"

namespace beamline::auth {
namespace {

namespace pb = google::protobuf;
using absl::StatusCode;

Principal User(const std::string& project, v1::Role role, bool is_operator = false) {
  Principal who;
  who.kind = Principal::kUser;
  who.name = "users/u";
  who.is_operator = is_operator;
  if (!project.empty()) who.roles[project] = role;
  return who;
}
Principal Worker() {
  Principal who;
  who.kind = Principal::kWorker;
  who.name = "workers/w";
  return who;
}

// A request of the method's type; its resource field, if it has one, names project "p".
std::unique_ptr<pb::Message> RequestFor(const pb::MethodDescriptor* method) {
  std::unique_ptr<pb::Message> request(
      pb::MessageFactory::generated_factory()->GetPrototype(method->input_type())->New());
  for (int i = 0; i < method->input_type()->field_count(); ++i) {
    const pb::FieldDescriptor* const field = method->input_type()->field(i);
    if (field->options().GetExtension(v1::resource)) {
      request->GetReflection()->SetString(request.get(), field, "projects/p/things/t");
    }
  }
  return request;
}

std::vector<const pb::MethodDescriptor*> Methods() {
  std::vector<const pb::MethodDescriptor*> methods;
  for (const pb::ServiceDescriptor* service : Policy::Services()) {
    for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
  }
  return methods;
}

std::string FullMethod(const pb::MethodDescriptor* method) {
  return "/" + method->service()->full_name() + "/" + method->name();
}

// What each permission means, written down a second time.
struct Expected {
  v1::Permission permission;
  StatusCode anonymous, viewer, editor, admin, foreign, cluster_operator, worker;
};
constexpr StatusCode kOk = StatusCode::kOk;
constexpr StatusCode kWho = StatusCode::kUnauthenticated;
constexpr StatusCode kNo = StatusCode::kPermissionDenied;
constexpr StatusCode kHid = StatusCode::kNotFound;
constexpr Expected kMatrix[] = {
    {v1::PERMISSION_PUBLIC, kOk, kOk, kOk, kOk, kOk, kOk, kOk},
    {v1::PERMISSION_AUTHENTICATED, kWho, kOk, kOk, kOk, kOk, kOk, kNo},
    {v1::PERMISSION_PROJECT_VIEW, kWho, kOk, kOk, kOk, kHid, kOk, kNo},
    {v1::PERMISSION_PROJECT_EDIT, kWho, kNo, kOk, kOk, kHid, kOk, kNo},
    {v1::PERMISSION_PROJECT_ADMIN, kWho, kNo, kNo, kOk, kHid, kOk, kNo},
    {v1::PERMISSION_CLUSTER_OPERATE, kWho, kNo, kNo, kNo, kNo, kOk, kNo},
    {v1::PERMISSION_WORKER, kWho, kNo, kNo, kNo, kNo, kNo, kOk},
};

TEST(Policy, EveryRpcForEveryKindOfCaller) {
  const Policy policy;
  for (const pb::MethodDescriptor* method : Methods()) {
    SCOPED_TRACE(method->full_name());
    const v1::Permission permission = method->options().GetExtension(v1::permission);
    const auto* const row =
        std::find_if(std::begin(kMatrix), std::end(kMatrix),
                     [&](const Expected& e) { return e.permission == permission; });
    ASSERT_NE(row, std::end(kMatrix)) << "no expectation for permission " << permission;
    const std::unique_ptr<pb::Message> request = RequestFor(method);
    const auto code = [&](const Principal& who) {
      return policy.Allow(who, FullMethod(method), *request).code();
    };
    EXPECT_EQ(code(Principal()), row->anonymous);
    EXPECT_EQ(code(User("p", v1::ROLE_VIEWER)), row->viewer);
    EXPECT_EQ(code(User("p", v1::ROLE_EDITOR)), row->editor);
    EXPECT_EQ(code(User("p", v1::ROLE_ADMIN)), row->admin);
    EXPECT_EQ(code(User("q", v1::ROLE_ADMIN)), row->foreign);
    EXPECT_EQ(code(User("", v1::ROLE_UNSPECIFIED, true)), row->cluster_operator);
    EXPECT_EQ(code(Worker()), row->worker);
  }
}

TEST(Policy, EveryRpcDeclaresItsPermission) {
  const Policy policy;
  for (const pb::MethodDescriptor* method : Methods()) {
    EXPECT_TRUE(policy.rules().count(FullMethod(method)) == 1)
        << method->full_name() << ": set option (permission), and for PERMISSION_PROJECT_* mark "
        << "exactly one string field of " << method->input_type()->name() << " as (resource)";
  }
  EXPECT_EQ(policy.rules().size(), Methods().size());
}

TEST(Policy, EveryRpcDeclaresWhetherItChangesSomething) {
  int reads = 0;
  int changes = 0;
  for (const auto* service : Policy::Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const pb::MethodOptions& options = service->method(i)->options();
      EXPECT_TRUE(options.has_idempotency_level())
          << service->method(i)->full_name() << " declares no idempotency_level, see options.proto";
      ++(options.idempotency_level() == pb::MethodOptions::NO_SIDE_EFFECTS ? reads : changes);
    }
  }
  EXPECT_GT(reads, 30);
  EXPECT_GT(changes, 20);
}

TEST(Policy, WhatWorkersDoAllTheTimeIsRoutine) {
  const Policy policy;
  const auto rule = [&](const char* method) {
    return policy.rules().at(absl::StrCat("/beamline.v1.", method));
  };
  EXPECT_TRUE(rule("WorkerService/Synchronize").routine);
  EXPECT_TRUE(rule("WorkerService/ReportAttempt").changes);
  EXPECT_FALSE(rule("WorkerService/RenewCertificate").routine);
  EXPECT_FALSE(rule("WorkerService/Join").routine);
  EXPECT_FALSE(rule("RunService/CancelRun").routine);
  EXPECT_TRUE(rule("RunService/CancelRun").changes);
  EXPECT_FALSE(rule("RunService/GetRun").changes);
}

TEST(Policy, KnowsEveryServiceInTheProtos) {
  std::set<std::string> known;
  for (const pb::ServiceDescriptor* service : Policy::Services()) known.insert(service->name());
  std::set<std::string> written;
  for (const auto& file :
       std::filesystem::directory_iterator(BEAMLINE_SOURCE_DIR "/proto/beamline/v1")) {
    std::ifstream text(file.path());
    const std::regex service("service (\\w+) \\{.*");
    std::smatch match;
    for (std::string line; std::getline(text, line);) {
      if (std::regex_match(line, match, service)) written.insert(match[1]);
    }
  }
  EXPECT_GE(written.size(), 8u);
  EXPECT_EQ(known, written) << "add the file of the new service to Policy::Services";
}

TEST(Policy, NoResourceIsMarkedWhereItIsNotChecked) {
  for (const pb::MethodDescriptor* method : Methods()) {
    const v1::Permission permission = method->options().GetExtension(v1::permission);
    if (permission >= v1::PERMISSION_PROJECT_VIEW && permission <= v1::PERMISSION_PROJECT_ADMIN) {
      continue;
    }
    for (int i = 0; i < method->input_type()->field_count(); ++i) {
      EXPECT_FALSE(method->input_type()->field(i)->options().GetExtension(v1::resource))
          << method->full_name();
    }
  }
}

TEST(Policy, ForeignAndAbsentProjectsReadTheSame) {
  const Policy policy;
  v1::GetRunRequest request;
  request.set_name("projects/secret/runs/r");
  const absl::Status foreign =
      policy.Allow(User("p", v1::ROLE_ADMIN), "/beamline.v1.RunService/GetRun", request);
  EXPECT_EQ(foreign.message(),
            "projects/secret does not exist, or you are not a member of it: check the name, or ask "
            "an admin of the project to add you");
}

TEST(Policy, SaysWhichRoleIsNeeded) {
  const Policy policy;
  v1::CreateRunRequest request;
  request.set_parent("projects/p");
  EXPECT_EQ(policy.Allow(User("p", v1::ROLE_VIEWER), "/beamline.v1.RunService/CreateRun", request)
                .message(),
            "this needs the role \"editor\" in projects/p; you are \"viewer\": ask an admin of the "
            "project");
}

TEST(Policy, MalformedResourceNamesTheField) {
  const Policy policy;
  for (const std::string& bad :
       {std::string(), std::string("p"), std::string("projects"), std::string("projects/"),
        std::string("projects//runs/r"), std::string("projects/P"), std::string("projects/../p"),
        std::string("Projects/p"), "projects/" + std::string(64, 'p'), std::string(1 << 20, 'x'),
        std::string("projects/p\0", 11)}) {
    v1::GetRunRequest request;
    request.set_name(bad);
    for (const Principal& who : {User("p", v1::ROLE_ADMIN), User("", v1::ROLE_ADMIN, true)}) {
      const absl::Status status = policy.Allow(who, "/beamline.v1.RunService/GetRun", request);
      ASSERT_EQ(status.code(), StatusCode::kInvalidArgument) << bad.substr(0, 20);
      EXPECT_LT(status.message().size(), 400u);
      google::rpc::BadRequest details;
      ASSERT_TRUE(details.ParseFromString(std::string(
          status.GetPayload("type.googleapis.com/google.rpc.BadRequest").value_or(absl::Cord()))));
      ASSERT_EQ(details.field_violations_size(), 1);
      EXPECT_EQ(details.field_violations(0).field(), "name");
    }
  }
}

TEST(Policy, UnknownMethodsAndOtherTypesAreRefusedEvenToOperators) {
  const Policy policy;
  const Principal root = User("", v1::ROLE_UNSPECIFIED, true);
  EXPECT_EQ(policy.Allow(root, "/beamline.v1.RunService/Nonsense", v1::GetRunRequest()).code(),
            StatusCode::kInternal);
  EXPECT_EQ(policy.Allow(root, "/beamline.v1.RunService/GetRun", v1::CreateRunRequest()).code(),
            StatusCode::kInternal);
}

// One service whose methods declare less than they must.
TEST(Policy, WithoutAWholeDeclarationAMethodIsRefused) {
  pb::FileDescriptorProto file;
  file.set_name("bare.proto");
  file.set_package("bare");
  file.set_syntax("proto3");
  pb::DescriptorProto* const message = file.add_message_type();
  message->set_name("Two");
  for (int number = 1; number <= 2; ++number) {
    pb::FieldDescriptorProto* const field = message->add_field();
    field->set_name("name" + std::to_string(number));
    field->set_number(number);
    field->set_type(pb::FieldDescriptorProto::TYPE_STRING);
    field->mutable_options()->SetExtension(v1::resource, true);
  }
  pb::DescriptorProto* const none = file.add_message_type();
  none->set_name("None");
  pb::ServiceDescriptorProto* const service = file.add_service();
  service->set_name("S");
  const auto add = [&](const std::string& name, const std::string& input, v1::Permission needs) {
    pb::MethodDescriptorProto* const method = service->add_method();
    method->set_name(name);
    method->set_input_type(".bare." + input);
    method->set_output_type(".bare.None");
    if (needs != 0) method->mutable_options()->SetExtension(v1::permission, needs);
  };
  add("Undeclared", "None", v1::PERMISSION_UNSPECIFIED);
  add("NoResource", "None", v1::PERMISSION_PROJECT_VIEW);
  add("TwoResources", "Two", v1::PERMISSION_PROJECT_VIEW);
  add("Good", "None", v1::PERMISSION_AUTHENTICATED);
  pb::DescriptorPool pool(pb::DescriptorPool::generated_pool());
  const pb::FileDescriptor* const built = pool.BuildFile(file);
  ASSERT_NE(built, nullptr);

  const Policy policy({built->service(0)});
  EXPECT_EQ(policy.rules().size(), 1u);
  EXPECT_EQ(policy.rules().count("/bare.S/Good"), 1u);
  const Principal root = User("", v1::ROLE_UNSPECIFIED, true);
  EXPECT_EQ(policy.Allow(root, "/bare.S/Undeclared", v1::GetRunRequest()).code(),
            StatusCode::kInternal);
}

TEST(ProjectOf, TakesTheIdOnly) {
  EXPECT_EQ(*ProjectOf("projects/p"), "p");
  EXPECT_EQ(*ProjectOf("projects/p-1/runs/r/tasks/t"), "p-1");
  EXPECT_FALSE(ProjectOf("projects/-p").ok());
}

}  // namespace
}  // namespace beamline::auth
