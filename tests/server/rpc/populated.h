// A server on a port, with users, projects and workers that tests make, and calls of any method.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>

#include <memory>
#include <string>

#include "base/digest.h"
#include "beamline/v1/dataset.grpc.pb.h"
#include "beamline/v1/project.grpc.pb.h"
#include "beamline/v1/run.grpc.pb.h"
#include "beamline/v1/worker.grpc.pb.h"
#include "tests/server/rpc/served.h"

namespace beamline::server::rpc {

namespace pb = google::protobuf;

class PopulatedTest : public ServedTest {
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
  v1::CreateTokenResponse NewToken(const std::string& user, int64_t expires_in_seconds = 0,
                                   const std::string& project = "",
                                   v1::Role max_role = v1::ROLE_UNSPECIFIED) {
    Call call(admin_);
    v1::CreateTokenRequest request;
    request.set_user(user);
    if (!project.empty()) request.add_projects("projects/" + project);
    request.set_max_role(max_role);
    if (expires_in_seconds > 0) {
      request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(absl::Now()) +
                                                 expires_in_seconds);
    }
    v1::CreateTokenResponse token;
    const grpc::Status status = auth_->CreateToken(&call, request, &token);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return token;
  }
  void Disable(const std::string& user) {
    Call call(admin_);
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("users/" + user);
    request.mutable_user()->set_disabled(true);
    request.mutable_update_mask()->add_paths("disabled");
    v1::User updated;
    const grpc::Status status = auth_->UpdateUser(&call, request, &updated);
    EXPECT_TRUE(status.ok()) << status.error_message();
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
    Call context(token);
    return rpc::RawCall(channel, context, method, request);
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

}  // namespace beamline::server::rpc
