// The audit over the wire: every call that changes something is there, as are those that were
// refused.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/hash_chain.h"
#include "beamline/v1/audit.grpc.pb.h"
#include "beamline/v1/cluster.grpc.pb.h"
#include "beamline/v1/dataset.grpc.pb.h"
#include "beamline/v1/model.grpc.pb.h"
#include "beamline/v1/pipeline.grpc.pb.h"
#include "beamline/v1/project.grpc.pb.h"
#include "beamline/v1/run.grpc.pb.h"
#include "beamline/v1/worker.grpc.pb.h"
#include "store/audit.h"
#include "tests/server/rpc/served.h"

namespace beamline::server::rpc {
namespace {

namespace pb = google::protobuf;
using testing::HasSubstr;

class AuditTest : public ServedTest {
 protected:
  // One call; its answer.
  template <class Stub, class Request, class Response>
  Response Do(Stub& stub,
              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request, const std::string& token) {
    Call call(token);
    Response response;
    const grpc::Status status = (stub.*method)(&call, request, &response);
    EXPECT_TRUE(status.ok()) << request.GetTypeName() << ": " << status.error_message();
    return response;
  }
  template <class Stub, class Request, class Response>
  Response Do(Stub& stub,
              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request) {
    return Do(stub, method, request, admin_);
  }

  std::vector<v1::AuditEntry> Entries() {
    v1::ListAuditEntriesRequest request;
    request.set_page_size(1000);
    const auto listed = Do(*audit_, &v1::AuditService::Stub::ListAuditEntries, request);
    return {listed.entries().begin(), listed.entries().end()};
  }
  // The newest of the method.
  v1::AuditEntry Last(const std::string& method) {
    for (const v1::AuditEntry& entry : Entries()) {
      if (entry.method() == method) return entry;
    }
    ADD_FAILURE() << "no entry of " << method;
    return {};
  }
  std::string NewUser(const std::string& id) {
    v1::CreateUserRequest user;
    user.set_user_id(id);
    Do(*auth_, &v1::AuthService::Stub::CreateUser, user);
    v1::CreateTokenRequest token;
    token.set_user("users/" + id);
    return Do(*auth_, &v1::AuthService::Stub::CreateToken, token).secret();
  }
  void NewProject(const std::string& id, const std::string& token) {
    v1::CreateProjectRequest project;
    project.set_project_id(id);
    Do(*projects_, &v1::ProjectService::Stub::CreateProject, project, token);
  }
  v1::SetMemberRequest Membership(const std::string& user, v1::Role role) {
    v1::SetMemberRequest member;
    member.set_parent("projects/default");
    member.mutable_member()->set_principal("users/" + user);
    member.mutable_member()->set_role(role);
    return member;
  }

  void CreateUserWithGarbage() {
    Call call("bl_garbage");
    v1::User ignored;
    EXPECT_FALSE(auth_->CreateUser(&call, v1::CreateUserRequest(), &ignored).ok());
  }
  std::string BeginUpload(const std::string& bytes) {
    v1::BeginUploadRequest begin;
    begin.set_parent("projects/default");
    begin.set_display_name("points.csv");
    begin.mutable_source()->set_digest(Sha256Hex(bytes));
    begin.mutable_source()->set_size_bytes(static_cast<int64_t>(bytes.size()));
    const auto stub = v1::DatasetService::NewStub(channel_);
    return Do(*stub, &v1::DatasetService::Stub::BeginUpload, begin).upload().name();
  }

  // What the scenario is made of: each changes something.
  void ChangeUsersAndProjects();
  void ChangeData();
  void ChangeRuns();
  void ChangeWorkers();

  std::unique_ptr<v1::AuditService::Stub> audit_ = v1::AuditService::NewStub(channel_);
  std::unique_ptr<v1::AuthService::Stub> auth_ = v1::AuthService::NewStub(channel_);
  std::unique_ptr<v1::ProjectService::Stub> projects_ = v1::ProjectService::NewStub(channel_);
  std::string dataset_;
};

void AuditTest::ChangeUsersAndProjects() {
  NewUser("ann");
  v1::UpdateUserRequest user;
  user.mutable_user()->set_name("users/ann");
  user.mutable_update_mask()->add_paths("disabled");
  Do(*auth_, &v1::AuthService::Stub::UpdateUser, user);
  const auto token =
      Do(*auth_, &v1::AuthService::Stub::CreateToken, v1::CreateTokenRequest()).token();
  v1::RevokeTokenRequest revoke;
  revoke.set_name(token.name());
  Do(*auth_, &v1::AuthService::Stub::RevokeToken, revoke);
  NewProject("optics", admin_);
  v1::UpdateProjectRequest update;
  update.mutable_project()->set_name("projects/optics");
  update.mutable_project()->set_description("lenses");
  update.mutable_update_mask()->add_paths("description");
  Do(*projects_, &v1::ProjectService::Stub::UpdateProject, update);
  Do(*projects_, &v1::ProjectService::Stub::SetMember, Membership("ann", v1::ROLE_VIEWER));
  v1::RemoveMemberRequest remove;
  remove.set_parent("projects/default");
  remove.set_principal("users/ann");
  Do(*projects_, &v1::ProjectService::Stub::RemoveMember, remove);
}

void AuditTest::ChangeData() {
  const auto stub = v1::DatasetService::NewStub(channel_);
  for (const char* extra : {"", "7,0\n"}) {
    const std::string bytes = std::string(kPoints) + extra;
    const std::string name = BeginUpload(bytes);
    Call call(admin_);
    v1::Upload upload;
    const auto writer = stub->WriteUpload(&call, &upload);
    v1::WriteUploadRequest message;
    message.set_upload(name);
    message.set_data(bytes);
    writer->Write(message);
    writer->WritesDone();
    ASSERT_TRUE(writer->Finish().ok());
    v1::FinishUploadRequest finish;
    finish.set_name(name);
    const auto dataset = Do(*stub, &v1::DatasetService::Stub::FinishUpload, finish);
    if (dataset_.empty()) {
      dataset_ = dataset.name();
      continue;
    }
    v1::DeleteDatasetRequest remove;
    remove.set_name(dataset.name());
    Do(*stub, &v1::DatasetService::Stub::DeleteDataset, remove);
  }
  v1::CreatePipelineRequest pipeline;
  pipeline.set_parent("projects/default");
  pipeline.mutable_source()->set_yaml(kTinyPipeline);
  Do(*v1::PipelineService::NewStub(channel_), &v1::PipelineService::Stub::CreatePipeline, pipeline);
}

void AuditTest::ChangeRuns() {
  const auto stub = v1::RunService::NewStub(channel_);
  v1::CreateRunRequest create;
  create.set_parent("projects/default");
  create.mutable_source()->set_yaml(kTinyPipeline);
  (*create.mutable_inputs())["points"] = dataset_;
  const std::string run = Do(*stub, &v1::RunService::Stub::CreateRun, create).name();
  v1::PauseRunRequest pause;
  pause.set_name(run);
  Do(*stub, &v1::RunService::Stub::PauseRun, pause);
  v1::ResumeRunRequest resume;
  resume.set_name(run);
  Do(*stub, &v1::RunService::Stub::ResumeRun, resume);
  v1::CancelRunRequest cancel;
  cancel.set_name(run);
  Do(*stub, &v1::RunService::Stub::CancelRun, cancel);
  v1::RetryRunRequest retry;
  retry.set_name(run);
  Do(*stub, &v1::RunService::Stub::RetryRun, retry);
}

void AuditTest::ChangeWorkers() {
  const auto token =
      Do(*auth_, &v1::AuthService::Stub::CreateJoinToken, v1::CreateJoinTokenRequest());
  const auto key = MakeKeyAndRequest("worker");
  v1::JoinRequest join;
  join.set_join_token(token.secret());
  join.set_certificate_request(key->request_pem);
  join.set_hostname("node7");
  const auto joined = Do(*v1::WorkerService::NewStub(channel_), &v1::WorkerService::Stub::Join,
                         join, std::string());
  const auto worker = v1::WorkerService::NewStub(Dial(&*key, joined.certificate()));
  v1::RenewCertificateRequest renew;
  renew.set_certificate_request(MakeKeyAndRequest("worker")->request_pem);
  const auto renewed =
      Do(*worker, &v1::WorkerService::Stub::RenewCertificate, renew, std::string());
  EXPECT_NE(renewed.certificate(), joined.certificate());
  v1::DrainWorkerRequest drain;
  drain.set_name(joined.worker());
  Do(*v1::ClusterService::NewStub(channel_), &v1::ClusterService::Stub::DrainWorker, drain);
}

TEST_F(AuditTest, EveryCallThatChangesSomethingIsThereInItsTransaction) {
  ChangeUsersAndProjects();
  ChangeData();
  ChangeRuns();
  ChangeWorkers();
  // What transactions wrote, and nothing that was added afterwards.
  std::set<std::string> written;
  const auto chain =
      Do(*audit_, &v1::AuditService::Stub::ReadAuditChain, v1::ReadAuditChainRequest());
  for (const v1::AuditLink& link : chain.links()) {
    v1::AuditEntry entry;
    ASSERT_TRUE(entry.ParseFromString(link.record()));
    EXPECT_EQ(entry.code(), 0) << entry.ShortDebugString();
    EXPECT_EQ(entry.count(), 1);
    EXPECT_EQ(entry.request_digest().size(), 64u) << entry.ShortDebugString();
    EXPECT_FALSE(entry.resource().empty()) << entry.ShortDebugString();
    written.insert(entry.method());
  }
  // All that the protos declare, but for what this server does not do, and what needs a model.
  for (const auto* service : auth::Policy::Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string name = service->name() + "." + service->method(i)->name();
      const auto rule =
          policy_.rules().find("/" + service->full_name() + "/" + service->method(i)->name());
      ASSERT_NE(rule, policy_.rules().end()) << name;
      const bool expected = rule->second.changes && !rule->second.routine &&
                            service->full_name() != "beamline.v1.ModelService";
      EXPECT_EQ(written.contains(name), expected) << name;
    }
  }
}

TEST_F(AuditTest, AnEntrySaysWhoWhatAndWhence) {
  NewUser("ann");
  v1::SetMemberRequest member = Membership("ann", v1::ROLE_VIEWER);
  Do(*projects_, &v1::ProjectService::Stub::SetMember, member);
  const v1::AuditEntry entry = Last("ProjectService.SetMember");
  EXPECT_EQ(entry.principal(), "users/admin");
  EXPECT_EQ(entry.token(), admin_.substr(3, 16));
  EXPECT_THAT(entry.peer(), testing::StartsWith("ipv4:127.0.0.1:"));
  EXPECT_THAT(entry.resource(), HasSubstr("projects/default"));
  EXPECT_THAT(entry.summary(), HasSubstr("member.role=ROLE_VIEWER"));
  EXPECT_EQ(entry.request_digest(), Sha256Hex(member.SerializeAsString()));
  EXPECT_GT(entry.time().seconds(), 1'600'000'000);
}

TEST_F(AuditTest, ARefusedCallIsThereUnderTheNameOfWhoMadeIt) {
  const std::string ann = NewUser("ann");
  {
    Call call(ann);
    v1::Member ignored;
    EXPECT_FALSE(projects_->SetMember(&call, Membership("ann", v1::ROLE_ADMIN), &ignored).ok());
  }
  v1::AuditEntry entry = Last("ProjectService.SetMember");
  EXPECT_EQ(entry.principal(), "users/ann");
  EXPECT_EQ(entry.code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(entry.resource(), "projects/default");
  CreateUserWithGarbage();
  entry = Last("AuthService.CreateUser");
  EXPECT_EQ(entry.principal(), "");
  EXPECT_EQ(entry.code(), grpc::StatusCode::UNAUTHENTICATED);
  // Admitted, and then found wrong.
  Call call(admin_);
  v1::CreateProjectRequest bad;
  bad.set_project_id("No Such Name!");
  v1::Project ignored;
  EXPECT_FALSE(projects_->CreateProject(&call, bad, &ignored).ok());
  entry = Last("ProjectService.CreateProject");
  EXPECT_EQ(entry.principal(), "users/admin");
  EXPECT_EQ(entry.code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AuditTest, AStreamThatTheBusyServerEndsIsThere) {
  v1::WriteUploadRequest message;
  message.set_upload(BeginUpload(kPoints));
  message.set_data("x,y\n");
  Call call(admin_);
  v1::Upload ignored;
  const auto writer = v1::DatasetService::NewStub(channel_)->WriteUpload(&call, &ignored);
  ASSERT_TRUE(writer->Write(message));
  // Once the bytes are there the stream was admitted.
  const std::string file =
      folder_.path() + "/state/" + message.upload().substr(strlen("projects/default/"));
  std::error_code error;
  for (int i = 0; i < 2'000 && std::filesystem::file_size(file, error) != 4; ++i) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  pool_.Stop();
  writer->Write(message);
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Last("DatasetService.WriteUpload").code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(AuditTest, WhatOnlyReadsIsNotThere) {
  const size_t before = Entries().size();
  Do(*auth_, &v1::AuthService::Stub::WhoAmI, v1::WhoAmIRequest());
  Call call;
  v1::WhoAmIResponse ignored;
  EXPECT_FALSE(auth_->WhoAmI(&call, v1::WhoAmIRequest(), &ignored).ok());
  EXPECT_EQ(Entries().size(), before);
}

TEST_F(AuditTest, SecretsAreNotThere) {
  ChangeUsersAndProjects();
  ChangeWorkers();
  const std::string ann = NewUser("bob");
  const auto join =
      Do(*auth_, &v1::AuthService::Stub::CreateJoinToken, v1::CreateJoinTokenRequest()).secret();
  {
    Call call;
    v1::JoinRequest request;
    request.set_join_token(join);
    request.set_certificate_request("nonsense");
    v1::JoinResponse ignored;
    EXPECT_FALSE(v1::WorkerService::NewStub(channel_)->Join(&call, request, &ignored).ok());
  }
  for (const v1::AuditEntry& entry : Entries()) {
    const std::string text = entry.SerializeAsString();
    for (const std::string& secret : {admin_, ann, join}) {
      EXPECT_EQ(text.find(secret), std::string::npos) << entry.ShortDebugString();
      EXPECT_EQ(text.find(secret.substr(20)), std::string::npos) << entry.ShortDebugString();
    }
  }
}

TEST_F(AuditTest, AdminsOfAProjectSeeItsEntriesAndNoOthers) {
  const std::string ann = NewUser("ann");
  NewProject("hers", ann);
  NewProject("mine", admin_);
  v1::ListProjectAuditEntriesRequest request;
  request.set_parent("projects/hers");
  const auto listed = Do(*audit_, &v1::AuditService::Stub::ListProjectAuditEntries, request, ann);
  ASSERT_EQ(listed.entries_size(), 1);
  EXPECT_EQ(listed.entries(0).method(), "ProjectService.CreateProject");
  Call other(ann);
  request.set_parent("projects/mine");
  v1::ListAuditEntriesResponse ignored;
  EXPECT_EQ(audit_->ListProjectAuditEntries(&other, request, &ignored).error_code(),
            grpc::StatusCode::NOT_FOUND);
  Call all(ann);
  EXPECT_EQ(audit_->ListAuditEntries(&all, {}, &ignored).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(AuditTest, ListsComeInPages) {
  for (int i = 0; i < 5; ++i) NewProject("p" + std::to_string(i), admin_);
  v1::ListAuditEntriesRequest request;
  request.set_page_size(2);
  std::vector<int64_t> sequences;
  do {
    const auto page = Do(*audit_, &v1::AuditService::Stub::ListAuditEntries, request);
    for (const v1::AuditEntry& entry : page.entries()) sequences.push_back(entry.sequence());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  ASSERT_GE(sequences.size(), 5u);
  std::reverse(sequences.begin(), sequences.end());
  for (size_t i = 0; i < sequences.size(); ++i) EXPECT_EQ(static_cast<size_t>(sequences[i]), i + 1);
}

TEST_F(AuditTest, TheChainOutlivesTheServerAndHasWhatWasCountedAtItsEnd) {
  for (int i = 0; i < 3; ++i) {
    CreateUserWithGarbage();
    if (i == 0) Entries();
  }
  Stop();
  server_.reset();
  const std::string path = folder_.path() + "/state/beamline.db";
  const auto head = store::CheckAudit(path, "");
  ASSERT_TRUE(head.ok()) << head.status();
  const auto store = store::Store::Open(path);
  const auto entries = store::ListAudit((*store)->writer(), store::AuditFilter(), INT64_MAX, 1000);
  int64_t refused = 0;
  for (const v1::AuditEntry& entry : *entries) refused += entry.code() != 0 ? entry.count() : 0;
  EXPECT_EQ(refused, 3);
}

}  // namespace
}  // namespace beamline::server::rpc
