// Projects, members, tokens, pipelines, and what every API does with bad input.
#include "auth/authenticator.h"
#include "google/rpc/error_details.pb.h"
#include "server/call_log.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

class ApiTest : public ServerTest {
 protected:
  // Fields that the status says are wrong.
  static std::vector<std::string> FieldsOf(const absl::Status& status) {
    google::rpc::BadRequest details;
    const auto payload = status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
    std::vector<std::string> fields;
    if (!payload.has_value() || !details.ParseFromString(std::string(*payload))) return fields;
    for (const auto& violation : details.field_violations()) fields.push_back(violation.field());
    return fields;
  }
  absl::StatusOr<v1::Member> SetMember(const std::string& user, v1::Role role) {
    v1::SetMemberRequest request;
    request.set_parent("projects/optics");
    request.mutable_member()->set_principal("users/" + user);
    request.mutable_member()->set_role(role);
    return Call(server_->projects(), &ProjectApi::SetMember, Operator(), request);
  }
};

TEST_F(ApiTest, AProjectAlwaysHasAnAdmin) {
  EXPECT_TRUE(SetMember("ada", v1::ROLE_EDITOR).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(SetMember("root", v1::ROLE_VIEWER).status()));
  EXPECT_TRUE(SetMember("ada", v1::ROLE_ADMIN).ok());
  EXPECT_TRUE(SetMember("root", v1::ROLE_VIEWER).ok());
  EXPECT_TRUE(absl::IsNotFound(SetMember("nobody", v1::ROLE_VIEWER).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SetMember("ada", v1::ROLE_UNSPECIFIED).status()));
  v1::RemoveMemberRequest remove;
  remove.set_parent("projects/optics");
  remove.set_principal("users/ada");
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Call(server_->projects(), &ProjectApi::RemoveMember, Operator(), remove).status()));
  remove.set_principal("users/root");
  EXPECT_TRUE(Call(server_->projects(), &ProjectApi::RemoveMember, Operator(), remove).ok());
  const auto who = Call(server_->auth(), &AuthApi::WhoAmI, User("ada"), v1::WhoAmIRequest());
  ASSERT_TRUE(who.ok()) << who.status();
  ASSERT_EQ(who->memberships_size(), 1);
  EXPECT_EQ(who->memberships(0).role(), v1::ROLE_ADMIN);
}

TEST_F(ApiTest, ATokenOpensTheDoorUntilItIsRevoked) {
  v1::CreateTokenRequest create;
  create.set_request_id("t");
  const auto token = Call(server_->auth(), &AuthApi::CreateToken, User("ada"), create);
  ASSERT_TRUE(token.ok()) << token.status();
  const auto again = Call(server_->auth(), &AuthApi::CreateToken, User("ada"), create);
  EXPECT_EQ(again->token().name(), token->token().name());
  EXPECT_TRUE(again->secret().empty()) << "a secret is shown once";
  const auto who = server_->authenticator().Authenticate(token->secret(), "peer");
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->name, "users/ada");
  v1::RevokeTokenRequest revoke;
  revoke.set_name(token->token().name());
  EXPECT_TRUE(absl::IsPermissionDenied(
      Call(server_->auth(), &AuthApi::RevokeToken, User("eve"), revoke).status()));
  ASSERT_TRUE(Call(server_->auth(), &AuthApi::RevokeToken, User("ada"), revoke).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(
      server_->authenticator().Authenticate(token->secret(), "peer").status()));
  create.set_request_id("");
  create.mutable_expire_time()->set_seconds(1);
  EXPECT_EQ(FieldsOf(Call(server_->auth(), &AuthApi::CreateToken, User("ada"), create).status()),
            std::vector<std::string>{"expire_time"});
  create.clear_expire_time();
  create.set_user("users/root");
  EXPECT_TRUE(absl::IsPermissionDenied(
      Call(server_->auth(), &AuthApi::CreateToken, User("ada"), create).status()));
}

TEST_F(ApiTest, AJoinTokenLetsInAsManyAsItSays) {
  v1::CreateJoinTokenRequest create;
  create.set_uses(1);
  create.set_pool("fast");
  const auto token = Call(server_->auth(), &AuthApi::CreateJoinToken, Operator(), create);
  ASSERT_TRUE(token.ok()) << token.status();
  v1::JoinRequest join;
  join.set_join_token(token->secret());
  join.set_certificate_request("not a request");
  EXPECT_TRUE(absl::IsInvalidArgument(
      Call(server_->workers(), &WorkerApi::Join, auth::Principal(), join).status()));
  join.set_certificate_request(MakeKeyAndRequest("w")->request_pem);
  join.set_hostname("Node7.cluster");
  const auto joined = Call(server_->workers(), &WorkerApi::Join, auth::Principal(), join);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->worker(), "workers/node7-cluster");
  EXPECT_TRUE(absl::IsUnauthenticated(
      Call(server_->workers(), &WorkerApi::Join, auth::Principal(), join).status()));
  join.set_join_token("bj_nonsense");
  EXPECT_TRUE(absl::IsUnauthenticated(
      Call(server_->workers(), &WorkerApi::Join, auth::Principal(), join).status()));
  const auto workers =
      Call(server_->cluster(), &ClusterApi::ListWorkers, Operator(), v1::ListWorkersRequest());
  ASSERT_EQ(workers->workers_size(), 1);
  EXPECT_EQ(workers->workers(0).pool(), "fast");
  EXPECT_EQ(workers->workers(0).state(), v1::WORKER_STATE_LOST) << "not heard of yet";
}

TEST_F(ApiTest, PipelinesAreVersionedByWhatTheySay) {
  v1::CreatePipelineRequest create;
  create.set_parent("projects/optics");
  create.mutable_source()->set_yaml(kPipeline);
  const auto create_now = [&] {
    return Call(server_->pipelines(), &PipelineApi::CreatePipeline, User("ada"), create);
  };
  const auto first = create_now();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->version(), 1);
  EXPECT_EQ(create_now()->version(), 1);
  create.mutable_source()->set_yaml(std::string(kPipeline) + "seed: 7\n");
  EXPECT_EQ(create_now()->version(), 2);
  v1::CreateRunRequest run = RunRequest();
  run.clear_source();
  run.set_pipeline_name("projects/optics/pipelines/tiny");
  run.set_pipeline_version(1);
  const auto created = Call(server_->runs(), &RunApi::CreateRun, User("ada"), run);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->pipeline_version(), 1);
  run.set_pipeline_version(3);
  EXPECT_TRUE(
      absl::IsNotFound(Call(server_->runs(), &RunApi::CreateRun, User("ada"), run).status()));
}

TEST_F(ApiTest, AStoredPipelineIsGivenAsTextThatMakesItAgain) {
  v1::CreatePipelineRequest create;
  create.set_parent("projects/optics");
  create.mutable_source()->set_yaml(kPipeline);
  const auto stored = Call(server_->pipelines(), &PipelineApi::CreatePipeline, User("ada"), create);
  ASSERT_TRUE(stored.ok()) << stored.status();
  v1::GetPipelineRequest get;
  get.set_name(stored->name());
  const auto got = Call(server_->pipelines(), &PipelineApi::GetPipeline, User("ada"), get);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->yaml().substr(0, 11), "name: tiny\n");
  create.mutable_source()->set_yaml(got->yaml());
  const auto again = Call(server_->pipelines(), &PipelineApi::CreatePipeline, User("ada"), create);
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << got->yaml();
  EXPECT_EQ(again->version(), 1) << got->yaml();
  EXPECT_EQ(again->digest(), got->digest());
}

TEST_F(ApiTest, EveryViolationOfADefinitionIsTold) {
  v1::CreateRunRequest run = RunRequest();
  run.mutable_source()->set_yaml("name: tiny\nsteps:\n  - name: fit\n    trian: {}\n");
  const absl::Status status = Call(server_->runs(), &RunApi::CreateRun, User("ada"), run).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_FALSE(FieldsOf(status).empty());
  EXPECT_NE(status.message().find("train"), absl::string_view::npos) << status;
  v1::ValidatePipelineRequest validate;
  validate.set_parent("projects/optics");
  *validate.mutable_source() = run.source();
  const auto answer =
      Call(server_->pipelines(), &PipelineApi::ValidatePipeline, User("ada"), validate);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->violations().empty());
  validate.mutable_source()->set_yaml(
      std::string(kPipeline) +
      "  - name: own\n    scaling_study: {step: fit, vary: {workers: [1, 2]}}\n");
  EXPECT_EQ(Call(server_->pipelines(), &PipelineApi::ValidatePipeline, User("ada"), validate)
                ->violations_size(),
            1);
  v1::CreatePipelineRequest create;
  create.set_parent(validate.parent());
  *create.mutable_source() = validate.source();
  EXPECT_TRUE(absl::IsUnimplemented(
      Call(server_->pipelines(), &PipelineApi::CreatePipeline, User("ada"), create).status()));
}

TEST_F(ApiTest, BadRunRequestsAreRefused) {
  const v1::CreateRunRequest good = RunRequest();
  const auto fields = [&](const v1::CreateRunRequest& request) {
    return FieldsOf(Call(server_->runs(), &RunApi::CreateRun, User("ada"), request).status());
  };
  v1::CreateRunRequest bad = good;
  bad.set_priority(101);
  bad.set_request_id(std::string(65, 'x'));
  EXPECT_EQ(fields(bad), (std::vector<std::string>{"request_id", "priority"}));
  bad = good;
  bad.set_parent("optics");
  EXPECT_EQ(fields(bad), std::vector<std::string>{"parent"});
  bad = good;
  bad.clear_source();
  EXPECT_EQ(fields(bad), std::vector<std::string>{"source"});
  bad = good;
  (*bad.mutable_inputs())["points"] = "projects/optics/datasets/" + Sha256Hex("unknown");
  EXPECT_FALSE(Call(server_->runs(), &RunApi::CreateRun, User("ada"), bad).ok());
  bad = good;
  (*bad.mutable_parameters())["no.such.place"].set_number_value(1);
  EXPECT_FALSE(fields(bad).empty());
}

TEST_F(ApiTest, NamesOfAWrongFormAreNamed) {
  for (const char* name : {"", "projects/optics", "projects/../runs/x", "runs/r-1",
                           "projects/optics/runs/", "projects/optics/runs/R"}) {
    v1::GetRunRequest request;
    request.set_name(name);
    const absl::Status status =
        Call(server_->runs(), &RunApi::GetRun, User("ada"), request).status();
    EXPECT_EQ(FieldsOf(status), std::vector<std::string>{"name"}) << name;
  }
}

// The text goes into the log.
TEST_F(ApiTest, ATokenThatIsPastedIntoANameIsNotRepeated) {
  v1::RevokeTokenRequest request;
  request.set_name("users/root/tokens/bl_0123456789abcdef_" + std::string(64, 'f'));
  const absl::Status status =
      Call(server_->auth(), &AuthApi::RevokeToken, Operator(), request).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(status.ToString().find("users/root/tokens/bl_"), std::string::npos) << status;
  EXPECT_EQ(status.ToString().find("0123456789abcdef"), std::string::npos) << status;
}

TEST_F(ApiTest, RefusedCallsThatCannotBeWrittenAreNotLost) {
  server_->Shutdown();
  v1::GetProjectRequest request;
  request.set_name("projects/optics");
  server_->calls().Refuse(User("ada"), "S.M", request, absl::PermissionDeniedError("no"));
  EXPECT_FALSE(
      Call(server_->audit(), &AuditApi::ListAuditEntries, Operator(), v1::ListAuditEntriesRequest())
          .ok());
  EXPECT_EQ(server_->calls().Take(false).size(), 1u);
}

TEST_F(ApiTest, AQuotaOfQueuedRunsIsKept) {
  v1::UpdateProjectRequest update;
  update.mutable_project()->set_name("projects/optics");
  update.mutable_project()->mutable_quota()->set_max_queued_runs(1);
  update.mutable_update_mask()->add_paths("quota.max_queued_runs");
  ASSERT_TRUE(Call(server_->projects(), &ProjectApi::UpdateProject, Operator(), update).ok());
  ASSERT_TRUE(CreateRun().ok());
  const absl::Status refused = CreateRun().status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_TRUE(refused.GetPayload("type.googleapis.com/google.rpc.RetryInfo").has_value());
  update.mutable_update_mask()->set_paths(0, "quota.nonsense");
  EXPECT_TRUE(absl::IsInvalidArgument(
      Call(server_->projects(), &ProjectApi::UpdateProject, Operator(), update).status()));
}

TEST_F(ApiTest, OneServerPerFolder) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Server::Open(Options(), clock_, random_).status()));
}

TEST_F(ApiTest, PlansAreRefusedAsRunsAre) {
  v1::PlanPipelineRequest request;
  const auto plan = [&](Waiting waiting = nullptr) {
    Answer<v1::PlanPipelineResponse> answer;
    server_->pipelines().PlanPipeline(User("ada"), request, std::move(waiting), answer.Take());
    return answer.Wait().status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(plan()));
  request.set_parent("projects/default");
  EXPECT_TRUE(absl::IsInvalidArgument(plan()));
  request.mutable_source()->set_yaml(
      "{name: p, inputs: {t: {dataset: none}}, steps: [{name: train, train: {data: {input: t, "
      "target: y}, network: {layers: [dense: {units: -1}]}}}]}");
  const absl::Status refused = plan();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_TRUE(refused.GetPayload("type.googleapis.com/google.rpc.BadRequest").has_value());
  EXPECT_TRUE(absl::IsCancelled(plan([] { return false; }))) << "nobody waits for it";
}

}  // namespace
}  // namespace beamline::server
