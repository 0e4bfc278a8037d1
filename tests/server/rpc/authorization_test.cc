// Every RPC that there is, called for real by everybody there may be, answers as its declaration
// says; and nothing tells members of one project what another one has.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>

#include <functional>
#include <map>

#include "base/digest.h"
#include "beamline/v1/dataset.grpc.pb.h"
#include "beamline/v1/model.grpc.pb.h"
#include "beamline/v1/project.grpc.pb.h"
#include "beamline/v1/run.grpc.pb.h"
#include "beamline/v1/worker.grpc.pb.h"
#include "tests/server/rpc/served.h"

namespace beamline::server::rpc {
namespace {

namespace pb = google::protobuf;
using grpc::StatusCode;

constexpr char kCsv[] = "x,y\n1,0\n2,1\n3,0\n4,1\n5,0\n6,1\n";
constexpr char kPipeline[] = R"(
name: tiny
inputs:
  points: {file: points.csv}
steps:
  - name: fit
    train:
      data: {input: points, target: y}
      network: {layers: [{dense: {units: 1}}], epochs: 1}
)";

enum class Verdict { kAdmitted, kUnauthenticated, kDenied, kHidden };

class AuthorizationTest : public ServedTest {
 protected:
  // A token of a new user.
  std::string NewUser(const std::string& id, bool is_operator = false) {
    Call create(admin_);
    v1::CreateUserRequest user;
    user.set_user_id(id);
    user.mutable_user()->set_operator_(is_operator);
    v1::User made;
    EXPECT_TRUE(auth_->CreateUser(&create, user, &made).ok());
    return NewToken("users/" + id).secret();
  }
  v1::CreateTokenResponse NewToken(const std::string& user, int64_t expires_in_seconds = 0) {
    Call call(admin_);
    v1::CreateTokenRequest request;
    request.set_user(user);
    if (expires_in_seconds > 0) {
      request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(absl::Now()) +
                                                 expires_in_seconds);
    }
    v1::CreateTokenResponse token;
    EXPECT_TRUE(auth_->CreateToken(&call, request, &token).ok());
    return token;
  }
  void NewProject(const std::string& id) {
    Call call(admin_);
    v1::CreateProjectRequest request;
    request.set_project_id(id);
    v1::Project project;
    EXPECT_TRUE(projects_->CreateProject(&call, request, &project).ok());
  }
  void SetRole(const std::string& project, const std::string& user, v1::Role role) {
    Call call(admin_);
    v1::SetMemberRequest request;
    request.set_parent("projects/" + project);
    request.mutable_member()->set_principal("users/" + user);
    request.mutable_member()->set_role(role);
    v1::Member member;
    EXPECT_TRUE(projects_->SetMember(&call, request, &member).ok());
  }
  // A channel with a worker's certificate.
  std::shared_ptr<grpc::Channel> NewWorker() {
    Call call(admin_);
    v1::CreateJoinTokenResponse token;
    EXPECT_TRUE(auth_->CreateJoinToken(&call, v1::CreateJoinTokenRequest(), &token).ok());
    const auto key = MakeKeyAndRequest("worker");
    v1::JoinRequest join;
    join.set_join_token(token.secret());
    join.set_certificate_request(key->request_pem);
    join.set_hostname("host");
    Call joining;
    v1::JoinResponse joined;
    EXPECT_TRUE(v1::WorkerService::NewStub(channel_)->Join(&joining, join, &joined).ok());
    return Dial(&*key, joined.certificate());
  }

  // The status of one call of any kind, with these bytes as its only message.
  static grpc::Status RawCall(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& method, const std::string& request,
                              const std::string& token) {
    grpc::GenericStub stub(channel);
    Call context(token);
    grpc::CompletionQueue queue;
    const grpc::Slice slice(request);
    const grpc::ByteBuffer out(&slice, 1);
    const auto call = stub.PrepareUnaryCall(&context, method, out, &queue);
    call->StartCall();
    grpc::ByteBuffer in;
    grpc::Status status;
    call->Finish(&in, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }

  // A request of the method with nothing in it but the resource that it acts on.
  static std::string RequestFor(const pb::MethodDescriptor& method, const std::string& resource) {
    const pb::Message* const prototype =
        pb::MessageFactory::generated_factory()->GetPrototype(method.input_type());
    const std::unique_ptr<pb::Message> request(prototype->New());
    for (int i = 0; i < method.input_type()->field_count(); ++i) {
      const pb::FieldDescriptor* const field = method.input_type()->field(i);
      if (!field->options().GetExtension(v1::resource)) continue;
      request->GetReflection()->SetString(request.get(), field, resource);
    }
    return request->SerializeAsString();
  }

  std::string Upload(const std::string& project, const std::string& bytes,
                     const std::string& token) {
    const auto stub = v1::DatasetService::NewStub(channel_);
    v1::BeginUploadResponse begun = Begin(project, bytes, token);
    v1::Upload upload;
    Call writing(token);
    const auto writer = stub->WriteUpload(&writing, &upload);
    v1::WriteUploadRequest message;
    message.set_upload(begun.upload().name());
    message.set_data(bytes);
    writer->Write(message);
    writer->WritesDone();
    EXPECT_TRUE(writer->Finish().ok());
    Call finishing(token);
    v1::FinishUploadRequest finish;
    finish.set_name(begun.upload().name());
    v1::Dataset dataset;
    const grpc::Status status = stub->FinishUpload(&finishing, finish, &dataset);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return dataset.name();
  }
  v1::BeginUploadResponse Begin(const std::string& project, const std::string& bytes,
                                const std::string& token) {
    Call call(token);
    v1::BeginUploadRequest request;
    request.set_parent("projects/" + project);
    request.set_display_name("points.csv");
    request.mutable_source()->set_digest(Sha256Hex(bytes));
    request.mutable_source()->set_size_bytes(static_cast<int64_t>(bytes.size()));
    v1::BeginUploadResponse answer;
    const grpc::Status status =
        v1::DatasetService::NewStub(channel_)->BeginUpload(&call, request, &answer);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return answer;
  }

  std::unique_ptr<v1::AuthService::Stub> auth_ = v1::AuthService::NewStub(channel_);
  std::unique_ptr<v1::ProjectService::Stub> projects_ = v1::ProjectService::NewStub(channel_);
};

// Who calls, and what they may.
struct Caller {
  std::string token = "";
  // Null: without a certificate.
  std::shared_ptr<grpc::Channel> channel = nullptr;
  // In the project of the request.
  v1::Role role = v1::ROLE_UNSPECIFIED;
  bool known = true;
  bool is_operator = false;
};

Verdict Expected(v1::Permission permission, const Caller& caller) {
  if (permission == v1::PERMISSION_PUBLIC) return Verdict::kAdmitted;
  if (!caller.known) return Verdict::kUnauthenticated;
  const bool is_worker = caller.channel != nullptr;
  if (permission == v1::PERMISSION_WORKER || is_worker) {
    return is_worker && permission == v1::PERMISSION_WORKER ? Verdict::kAdmitted : Verdict::kDenied;
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

TEST_F(AuthorizationTest, EveryCallOfEverybodyIsAnsweredAsDeclared) {
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
    ASSERT_TRUE(auth_->RevokeToken(&call, request, &token).ok());
  }
  callers["revoked"] = {.token = revoked.secret(), .known = false};
  callers["expired"] = {.token = NewToken("users/owner", 1).secret(), .known = false};
  absl::SleepFor(absl::Milliseconds(2'100));

  std::map<Verdict, int> seen;
  for (const auto* service : auth::Policy::Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const pb::MethodDescriptor& method = *service->method(i);
      const v1::Permission permission = method.options().GetExtension(v1::permission);
      EXPECT_NE(permission, v1::PERMISSION_UNSPECIFIED) << method.full_name();
      const std::string path = "/" + service->full_name() + "/" + method.name();
      const std::string request = RequestFor(method, "projects/one");
      for (const auto& [name, caller] : callers) {
        const auto& channel = caller.channel != nullptr ? caller.channel : channel_;
        const grpc::Status status = RawCall(channel, path, request, caller.token);
        const Verdict verdict = VerdictOf(status);
        EXPECT_EQ(verdict, Expected(permission, caller))
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

// Projects "one", of the user "mine", and "two", which has a dataset, a pipeline and a run.
class LeakTest : public AuthorizationTest {
 protected:
  LeakTest() {
    NewProject("one");
    NewProject("two");
    SetRole("one", "mine", v1::ROLE_ADMIN);
    dataset_ = Upload("two", kCsv, admin_);
    Call call(admin_);
    v1::CreateRunRequest request;
    request.set_parent("projects/two");
    request.mutable_source()->set_yaml(kPipeline);
    (*request.mutable_inputs())["points"] = dataset_;
    v1::Run run;
    const grpc::Status status = v1::RunService::NewStub(channel_)->CreateRun(&call, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    run_id_ = run.name().substr(run.name().rfind('/') + 1);
    dataset_id_ = dataset_.substr(dataset_.rfind('/') + 1);
    no_run_ = "r-" + std::string(run_id_.size() - 2, 'x');
    no_dataset_ = std::string(dataset_id_.size(), '0');
  }

  // `message` with what nobody has in place of what project two has.
  std::string Disguised(std::string message) const {
    for (const auto& [id, other] : std::map<std::string, std::string>{
             {run_id_, no_run_}, {dataset_id_, no_dataset_}, {"tiny", "none"}}) {
      for (size_t at = 0; (at = message.find(id, at)) != std::string::npos;) {
        message.replace(at, id.size(), other);
      }
    }
    return message;
  }
  // How a run of project one is answered.
  StatusCode Create(const std::function<void(v1::CreateRunRequest&)>& change) {
    Call call(mine_);
    v1::CreateRunRequest request;
    request.set_parent("projects/one");
    request.mutable_source()->set_yaml(kPipeline);
    change(request);
    v1::Run ignored;
    return v1::RunService::NewStub(channel_)->CreateRun(&call, request, &ignored).error_code();
  }
  StatusCode Use(const std::string& dataset) {
    return Create(
        [&](v1::CreateRunRequest& request) { (*request.mutable_inputs())["points"] = dataset; });
  }
  StatusCode UseStored(const std::string& pipeline) {
    return Create([&](v1::CreateRunRequest& request) { request.set_pipeline_name(pipeline); });
  }

  const std::string mine_ = NewUser("mine");
  std::string dataset_;
  std::string run_id_;
  std::string dataset_id_;
  std::string no_run_;
  std::string no_dataset_;
};

TEST_F(LeakTest, OfWhatAnotherProjectHasTheSameIsSaidAsOfWhatNobodyHas) {
  const std::vector<std::pair<std::string, std::string>> children = {
      {"projects/one/runs/" + run_id_, "projects/one/runs/" + no_run_},
      {"projects/one/datasets/" + dataset_id_, "projects/one/datasets/" + no_dataset_},
      {"projects/one/pipelines/tiny", "projects/one/pipelines/none"},
  };
  int compared = 0;
  for (const auto* service : auth::Policy::Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const pb::MethodDescriptor& method = *service->method(i);
      const v1::Permission permission = method.options().GetExtension(v1::permission);
      if (permission < v1::PERMISSION_PROJECT_VIEW || permission > v1::PERMISSION_PROJECT_ADMIN) {
        continue;
      }
      const std::string path = "/" + service->full_name() + "/" + method.name();
      for (const auto& [there, nowhere] : children) {
        const grpc::Status first = RawCall(channel_, path, RequestFor(method, there), mine_);
        const grpc::Status second = RawCall(channel_, path, RequestFor(method, nowhere), mine_);
        EXPECT_EQ(first.error_code(), second.error_code()) << path << " of " << there;
        EXPECT_FALSE(first.ok()) << path << " of " << there;
        EXPECT_EQ(Disguised(first.error_message()), second.error_message()) << path;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 60);
}

TEST_F(LeakTest, ThingsOfAnotherProjectCannotBeUsedAndTheirDigestTellsNothing) {
  EXPECT_NE(Use(dataset_), StatusCode::OK);
  EXPECT_EQ(Use(dataset_), Use("projects/two/datasets/" + no_dataset_));
  EXPECT_EQ(Use(dataset_id_), Use(no_dataset_));
  EXPECT_EQ(UseStored("projects/two/pipelines/tiny"), StatusCode::NOT_FOUND);
  EXPECT_EQ(UseStored("projects/two/pipelines/none"), StatusCode::NOT_FOUND);
  const v1::BeginUploadResponse begun = Begin("one", kCsv, mine_);
  EXPECT_FALSE(begun.has_dataset());
  EXPECT_EQ(begun.upload().committed_size_bytes(), 0);
  EXPECT_EQ(Upload("one", kCsv, mine_), "projects/one/datasets/" + dataset_id_)
      << "a dataset of two projects is two datasets";
}

}  // namespace
}  // namespace beamline::server::rpc
