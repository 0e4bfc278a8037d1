// Steps that ask registered models: which are refused when a run is made, and whose word the
// program is that such a step starts.
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

using ::testing::HasSubstr;

constexpr char kModel[] = "projects/optics/models/tiny/versions/1";

class AskedModelsTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    worker_.emplace(*server_);
    worker_->Synchronize(*server_);
  }

  // Publishes a model with this card, as the first one.
  void Publish(const v1::ModelCard& card) {
    const auto run = CreateRun();
    ASSERT_TRUE(run.ok()) << run.status();
    for (auto work = worker_->Synchronize(*server_); work.start_size() > 0;
         work = worker_->Synchronize(*server_)) {
      for (const v1::Attempt& attempt : work.start()) {
        v1::AttemptReport end = FakeWorker::Success(1);
        if (attempt.step() == "fit") {
          const auto blob = worker_->WriteBlob(*server_, attempt, "weights");
          ASSERT_TRUE(blob.ok()) << blob.status();
          (*end.mutable_result()->mutable_result()->mutable_artifacts())["model"] = *blob;
          *end.mutable_result()->mutable_card() = card;
        }
        ASSERT_TRUE(worker_->Report(*server_, attempt, {end}).ok());
        worker_->Drop(attempt.task());
      }
    }
    const v1::Run ended = GetRun(run->name());
    ASSERT_EQ(ended.models_size(), 1);
    ASSERT_EQ(ended.models(0), kModel);
  }

  // A run of these steps.
  absl::StatusOr<v1::Run> RunOf(const std::string& steps) {
    v1::CreateRunRequest request;
    request.set_parent("projects/optics");
    request.mutable_source()->set_yaml(
        absl::StrCat("name: asks\ninputs:\n  points: {file: points.csv}\nsteps:\n", steps));
    (*request.mutable_inputs())["points"] = Upload("optics", kCsv);
    return Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
  }
  // A run of one step, which asks the model. `kind`: "evaluate" or "predict".
  absl::StatusOr<v1::Run> Ask(const std::string& kind, const std::string& more = "") {
    return RunOf(absl::StrCat("  - name: ask\n    ", kind, ": {model: ", kModel, ", input: points",
                              more, "}\n"));
  }
  void ExpectRefusal(const std::string& kind, absl::StatusCode code, const std::string& text) {
    const absl::Status refused = Ask(kind).status();
    EXPECT_EQ(refused.code(), code) << refused;
    EXPECT_EQ(refused.message(), absl::StrCat("steps.ask.", kind, ".model: ", kModel, text));
  }
  void ExpectAcceptance(const std::string& kind) {
    const absl::Status status = Ask(kind).status();
    EXPECT_TRUE(status.ok()) << status;
  }

  void AllowPrograms() {
    v1::UpdateProjectRequest request;
    request.mutable_project()->set_name("projects/optics");
    request.mutable_project()->set_commands_allowed(true);
    request.mutable_update_mask()->add_paths("commands_allowed");
    ASSERT_TRUE(Call(server_->projects(), &ProjectApi::UpdateProject, Operator(), request).ok());
  }

  std::optional<FakeWorker> worker_;
};

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr char kOfAGraph[] =
    " is of a graph, and a step can ask such a model only in the pipeline that trains it, of the "
    "nodes of its own split: put the step there";

TEST_F(AskedModelsTest, OneThatPredictsRowsIsTaken) {
  Publish({});
  ExpectAcceptance("evaluate");
  ExpectAcceptance("predict");
}

TEST_F(AskedModelsTest, OneThatGeneratesIsRefused) {
  v1::ModelCard card;
  card.mutable_adversarial();
  Publish(card);
  ExpectRefusal("evaluate", kInvalid,
                " generates and predicts nothing that could be measured: remove this step");
  ExpectRefusal("predict", kInvalid,
                " generates rows and predicts none: draw them by `beamline model predict`");
}

TEST_F(AskedModelsTest, OneOfTokensIsMeasuredOnly) {
  v1::ModelCard card;
  card.mutable_data()->set_input("texts");
  card.mutable_data()->set_objective(v1::OBJECTIVE_NEXT_TOKEN);
  Publish(card);
  ExpectAcceptance("evaluate");
  ExpectRefusal("predict", kInvalid,
                " gives tokens and no columns: ask it by `beamline model predict`");
}

TEST_F(AskedModelsTest, OneOfAGraphIsAskedInItsOwnPipelineOnly) {
  v1::ModelCard card;
  card.mutable_data()->mutable_graph()->set_arcs("arcs");
  Publish(card);
  ExpectRefusal("evaluate", kInvalid, kOfAGraph);
  ExpectRefusal("predict", kInvalid,
                absl::StrCat(kOfAGraph, ", or ask by `beamline model predict`"));
}

TEST_F(AskedModelsTest, OneOfPairsOfNodesIsAskedInItsOwnPipelineOnly) {
  v1::ModelCard card;
  card.mutable_data()->mutable_graph()->mutable_pairs();
  Publish(card);
  ExpectRefusal("evaluate", kInvalid, kOfAGraph);
  ExpectRefusal("predict", absl::StatusCode::kUnimplemented,
                " is of pairs of nodes, whose predictions are not built yet: an evaluate step of "
                "the pipeline that trains it measures them");
}

TEST_F(AskedModelsTest, WhatACommandStepLeftIsRefused) {
  AllowPrograms();
  v1::ModelCard card;
  card.mutable_learner()->mutable_command()->mutable_program()->add_arguments("ls");
  Publish(card);
  for (const char* kind : {"evaluate", "predict"}) {
    ExpectRefusal(
        kind, kInvalid,
        " is what the program of a command step left, and answers for no rows: get it by "
        "`beamline model download`, or publish a train step whose learner is the program");
  }
}

constexpr char kOwn[] = ", program: {arguments: [own]}";

// What the step would start; null: nothing.
const v1::Program* ProgramOf(const v1::Step& step) {
  if (step.evaluate().has_program()) return &step.evaluate().program();
  return step.predict().has_program() ? &step.predict().program() : nullptr;
}

TEST_F(AskedModelsTest, NobodyWritesAProgramIntoAStepThatAsks) {
  Publish({});
  for (const char* kind : {"evaluate", "predict"}) {
    const auto registered = Ask(kind, kOwn);
    ASSERT_TRUE(registered.ok()) << "it starts none, and may: " << registered.status();
    EXPECT_EQ(ProgramOf(registered->definition().steps(0)), nullptr);

    const auto trained =
        RunOf(absl::StrCat("  - name: fit\n    train:\n      data: {input: points, target: y}\n"
                           "      network: {layers: [{dense: {units: 1}}], epochs: 1}\n"
                           "  - name: ask\n    ",
                           kind, ": {model: fit, part: train", kOwn, "}\n"));
    ASSERT_TRUE(trained.ok()) << trained.status();
    EXPECT_EQ(ProgramOf(trained->definition().steps(1)), nullptr);

    // The version that was stored with the run.
    v1::CreateRunRequest again;
    again.set_parent("projects/optics");
    again.set_pipeline_name(trained->pipeline());
    again.set_pipeline_version(trained->pipeline_version());
    (*again.mutable_inputs())["points"] = Upload("optics", kCsv);
    const auto stored = Call(server_->runs(), &RunApi::CreateRun, User("ada"), again);
    ASSERT_TRUE(stored.ok()) << stored.status();
    ASSERT_EQ(stored->definition().steps_size(), 2);
    EXPECT_EQ(ProgramOf(stored->definition().steps(1)), nullptr);
  }
}

TEST_F(AskedModelsTest, TheProgramIsTheRegisteredOne) {
  v1::ModelCard card;
  card.mutable_data()->set_input("points");
  card.mutable_learner()->mutable_command()->mutable_program()->add_arguments("registered");
  Publish(card);
  for (const char* kind : {"evaluate", "predict"}) {
    const absl::Status refused = Ask(kind, kOwn).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("runs a program of the user's own"));
  }
  AllowPrograms();
  for (const char* kind : {"evaluate", "predict"}) {
    const auto run = Ask(kind, kOwn);
    ASSERT_TRUE(run.ok()) << run.status();
    const v1::Program* program = ProgramOf(run->definition().steps(0));
    ASSERT_NE(program, nullptr);
    ASSERT_EQ(program->arguments_size(), 1);
    EXPECT_EQ(program->arguments(0), "registered");
  }
}

}  // namespace
}  // namespace beamline::server
