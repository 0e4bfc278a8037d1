#include "tests/sim/workload.h"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/x509.h"
#include "server/server.h"
#include "tests/sim/ask.h"
#include "tests/sim/world.h"

namespace beamline::sim {
namespace {

constexpr char kHead[] = R"(
name: tiny
seed: 7
inputs:
  points: {file: points.csv}
steps:
  - name: fit
)";
constexpr char kTrain[] = R"(
    train:
      data: {input: points, target: y, split: {random: {validation: 0.3}}}
      network:
        layers: [{dense: {units: 1}}]
        optimizer: {sgd: {learning_rate: 0.1}}
        epochs: 9
)";
constexpr char kRelease[] = R"(
  - name: release
    publish: {model: fit, name: tiny}
)";
constexpr char kBeside[] = R"(
  - name: other
    resources: {cpus: 2}
    train:
      data: {input: points, target: y, split: {random: {validation: 0.3}}}
      network:
        layers: [{dense: {units: 2}}, {dense: {units: 1}}]
        epochs: 9
)";
constexpr char kSpace[] =
    "{train.network.optimizer.sgd.learning_rate: {log_uniform: {min: 0.001, max: 1}}}";

template <class R>
R Must(absl::StatusOr<R> answer, std::string_view what) {
  if (answer.ok()) return *std::move(answer);
  std::fprintf(stderr, "cannot make the initial state: %s: %s\n", std::string(what).c_str(),
               answer.status().ToString().c_str());
  std::exit(1);
}

void MakeProject(server::Server& server, size_t index) {
  v1::CreateUserRequest user;
  user.set_user_id(std::string(kUsers[index]));
  Must(Ask(server, server.auth(), &server::AuthApi::CreateUser, Operator(), user), "user");
  v1::CreateProjectRequest project;
  project.set_project_id(std::string(kProjects[index]));
  Must(Ask(server, server.projects(), &server::ProjectApi::CreateProject, Operator(), project),
       "project");
  v1::SetMemberRequest member;
  member.set_parent(absl::StrCat("projects/", project.project_id()));
  member.mutable_member()->set_principal(absl::StrCat("users/", user.user_id()));
  member.mutable_member()->set_role(v1::ROLE_EDITOR);
  Must(Ask(server, server.projects(), &server::ProjectApi::SetMember, Operator(), member),
       "member");
  if (kMaxCpus[index] == 0) return;
  v1::UpdateProjectRequest quota;
  quota.mutable_project()->set_name(member.parent());
  quota.mutable_project()->mutable_quota()->set_max_cpus(kMaxCpus[index]);
  quota.mutable_update_mask()->add_paths("quota.max_cpus");
  Must(Ask(server, server.projects(), &server::ProjectApi::UpdateProject, Operator(), quota),
       "quota");
}

std::string MakeDataset(server::Server& server, size_t index) {
  static constexpr char kCsv[] = "x,y\n1,0\n2,1\n3,0\n4,1\n5,0\n6,1\n7,0\n8,1\n9,0\n10,1\n";
  const std::string bytes = kCsv;
  const auth::Principal user = Member(index);
  v1::BeginUploadRequest begin;
  begin.set_parent(absl::StrCat("projects/", std::string(kProjects[index])));
  begin.mutable_source()->set_digest(Sha256Hex(bytes));
  begin.mutable_source()->set_size_bytes(static_cast<int64_t>(bytes.size()));
  begin.set_display_name("points.csv");
  const auto begun =
      Must(Ask(server, server.datasets(), &server::DatasetApi::BeginUpload, user, begin), "upload");
  v1::WriteUploadRequest write;
  write.set_upload(begun.upload().name());
  auto sink = Must(server.datasets().WriteUpload(user, write), "write");
  if (const absl::Status written = sink->Write(0, bytes); !written.ok()) std::exit(1);
  std::optional<absl::StatusOr<v1::Upload>> upload;
  sink->Finish([&](absl::StatusOr<v1::Upload> answer) { upload = std::move(answer); });
  Settle(server);
  Must(*upload, "bytes");
  v1::FinishUploadRequest finish;
  finish.set_name(begun.upload().name());
  return Must(Ask(server, server.datasets(), &server::DatasetApi::FinishUpload, user, finish),
              "dataset")
      .name();
}

std::string MakeWorker(server::Server& server) {
  const auto token = Must(Ask(server, server.auth(), &server::AuthApi::CreateJoinToken, Operator(),
                              v1::CreateJoinTokenRequest()),
                          "join token");
  v1::JoinRequest join;
  join.set_join_token(token.secret());
  join.set_certificate_request(Must(MakeKeyAndRequest("worker"), "key").request_pem);
  join.set_hostname("host");
  return Must(Ask(server, server.workers(), &server::WorkerApi::Join, auth::Principal(), join),
              "join")
      .worker();
}

}  // namespace

const std::vector<std::string>& Definitions() {
  static const std::vector<std::string> definitions = {
      absl::StrCat(kHead, kTrain, kRelease),
      absl::StrCat(kHead, kTrain, kRelease, kBeside),
      absl::StrCat(kHead, "    search: {random: {trials: 5}, space: ", kSpace, "}", kTrain,
                   kRelease),
      absl::StrCat(kHead, "    search: {successive_halving: {trials: 6}, space: ", kSpace, "}",
                   kTrain, kRelease),
      absl::StrCat(kHead, "    cross_validation: {k_fold: {folds: 3}}", kTrain, kRelease),
      absl::StrCat(kHead, "    search: {random: {trials: 2}, max_parallel: 1, space: ", kSpace,
                   "}\n    cross_validation: {k_fold: {folds: 2}}", kTrain, kRelease),
  };
  return definitions;
}

InitialState MakeInitialState(const std::string& folder) {
  World world(0);
  SeededRandom random(0);
  server::ServerOptions options;
  options.state_folder = folder;
  options.own_threads = false;
  const auto server = Must(server::Server::Open(std::move(options), world, random), "server");
  v1::CreateUserRequest root;
  root.set_user_id("root");
  root.mutable_user()->set_operator_(true);
  Must(Ask(*server, server->auth(), &server::AuthApi::CreateUser, Operator(), root), "operator");
  InitialState state;
  for (size_t i = 0; i < kProjects.size(); ++i) {
    MakeProject(*server, i);
    state.datasets[std::string(kProjects[i])] = MakeDataset(*server, i);
  }
  for (size_t i = 0; i < kWorkers; ++i) state.workers.push_back(MakeWorker(*server));
  server->Shutdown();
  return state;
}

}  // namespace beamline::sim
