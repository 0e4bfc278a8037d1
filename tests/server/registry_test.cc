// What models are for, where they came from, and making them again.
#include "gmock/gmock.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class RegistryTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    worker_.emplace(*server_);
    worker_->Synchronize(*server_);
  }

  // A run of the tiny pipeline, played to its end; its name.
  std::string Publish(const std::string& weights = "weights") {
    v1::CreateRunRequest request = RunRequest();
    request.set_fresh(true);
    const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
    EXPECT_TRUE(run.ok()) << run.status();
    PlayAll(weights);
    return run.ok() ? run->name() : "";
  }
  // Ends all that is to be done, training with these weights.
  void PlayAll(const std::string& weights) {
    while (true) {
      const auto work = worker_->Synchronize(*server_);
      if (work.start_size() == 0) return;
      for (const v1::Attempt& attempt : work.start()) {
        if (attempt.step() == "fit") {
          worker_->Train(*server_, attempt, weights);
        } else {
          ASSERT_TRUE(worker_->Report(*server_, attempt, {FakeWorker::Success(1)}).ok());
          worker_->Drop(attempt.task());
        }
      }
    }
  }
  absl::StatusOr<v1::Model> Get(const std::string& name) {
    v1::GetModelRequest request;
    request.set_name(name);
    return Call(server_->models(), &ModelApi::GetModel, User("ada"), request);
  }
  absl::StatusOr<v1::Model> SetStage(const std::string& name, v1::ModelStage stage) {
    v1::SetModelStageRequest request;
    request.set_name(name);
    request.set_stage(stage);
    return Call(server_->models(), &ModelApi::SetModelStage, User("ada"), request);
  }
  absl::StatusOr<v1::GetLineageResponse> Lineage(const std::string& name) {
    v1::GetLineageRequest request;
    request.set_name(name);
    return Call(server_->models(), &ModelApi::GetLineage, User("ada"), request);
  }
  absl::StatusOr<v1::ReproduceModelResponse> Reproduce(const std::string& name,
                                                       const std::string& request_id = "") {
    v1::ReproduceModelRequest request;
    request.set_name(name);
    request.set_request_id(request_id);
    return Call(server_->models(), &ModelApi::ReproduceModel, User("ada"), request);
  }
  void DeleteDataset(const std::string& name) {
    v1::DeleteDatasetRequest request;
    request.set_name(name);
    ASSERT_TRUE(Call(server_->datasets(), &DatasetApi::DeleteDataset, User("ada"), request).ok());
  }

  const std::string model_ = "projects/optics/models/tiny";
  std::optional<FakeWorker> worker_;
};

TEST_F(RegistryTest, OneVersionIsInProductionAndIsFoundByThat) {
  Publish();
  Publish("others");
  EXPECT_EQ(Get(model_ + "/versions/1")->stage(), v1::MODEL_STAGE_NONE);
  EXPECT_TRUE(absl::IsNotFound(Get(model_ + "/stages/production").status()));
  ASSERT_TRUE(SetStage(model_ + "/versions/1", v1::MODEL_STAGE_PRODUCTION).ok());
  EXPECT_EQ(Get(model_ + "/stages/production")->name(), model_ + "/versions/1");
  ASSERT_TRUE(SetStage(model_ + "/versions/2", v1::MODEL_STAGE_STAGING).ok());
  EXPECT_EQ(Get(model_ + "/stages/staging")->name(), model_ + "/versions/2");
  EXPECT_EQ(SetStage(model_ + "/versions/2", v1::MODEL_STAGE_PRODUCTION)->stage(),
            v1::MODEL_STAGE_PRODUCTION);
  Restart();
  EXPECT_EQ(Get(model_ + "/stages/production")->name(), model_ + "/versions/2");
  EXPECT_EQ(Get(model_ + "/versions/1")->stage(), v1::MODEL_STAGE_ARCHIVED);
  EXPECT_EQ(Get(model_)->name(), model_ + "/versions/2");
  // Once more is the same.
  ASSERT_TRUE(SetStage(model_ + "/versions/2", v1::MODEL_STAGE_PRODUCTION).ok());
  EXPECT_EQ(Get(model_ + "/stages/production")->name(), model_ + "/versions/2");
}

TEST_F(RegistryTest, StagesAreOfVersionsThatAreThere) {
  Publish();
  EXPECT_TRUE(absl::IsInvalidArgument(SetStage(model_, v1::MODEL_STAGE_STAGING).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      SetStage(model_ + "/versions/1", v1::MODEL_STAGE_UNSPECIFIED).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      SetStage(model_ + "/versions/1", static_cast<v1::ModelStage>(77)).status()));
  EXPECT_TRUE(absl::IsNotFound(SetStage(model_ + "/versions/9", v1::MODEL_STAGE_STAGING).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Get(model_ + "/stages/archived").status()));
}

TEST_F(RegistryTest, LineageGoesUpAndDown) {
  const std::string first = Publish();
  const std::string second = Publish("others");
  const std::string dataset = RunRequest().inputs().at("points");
  const auto arcs = [&](const std::string& name) {
    std::vector<std::pair<std::string, std::string>> arcs;
    const auto lineage = Lineage(name);
    EXPECT_TRUE(lineage.ok()) << lineage.status();
    EXPECT_EQ(lineage->nodes(0).name(), name);
    for (const auto& arc : lineage->arcs()) arcs.emplace_back(arc.from(), arc.to());
    return arcs;
  };
  EXPECT_THAT(arcs(model_ + "/versions/1"),
              UnorderedElementsAre(Pair(dataset, first), Pair(first, model_ + "/versions/1")))
      << "what else was made of the same data is no relation";
  EXPECT_THAT(arcs(dataset),
              UnorderedElementsAre(Pair(dataset, first), Pair(first, model_ + "/versions/1"),
                                   Pair(dataset, second), Pair(second, model_ + "/versions/2")));
  EXPECT_THAT(arcs(second),
              UnorderedElementsAre(Pair(dataset, second), Pair(second, model_ + "/versions/2")));
  DeleteDataset(dataset);
  const auto lineage = Lineage(model_ + "/versions/1");
  ASSERT_TRUE(lineage.ok());
  EXPECT_THAT(lineage->nodes(), ::testing::Contains(::testing::Truly([&](const auto& node) {
                return node.name() == dataset && node.gone();
              })));
  EXPECT_TRUE(absl::IsNotFound(Lineage(dataset).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Lineage("projects/optics").status()));
}

TEST_F(RegistryTest, AModelIsMadeAgainByItsStepAloneAndNothingIsPublished) {
  Publish();
  const auto made = Reproduce(model_ + "/versions/1", "again");
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->step(), "fit");
  EXPECT_EQ(made->digest(), Sha256Hex("weights"));
  const v1::Run run = GetRun(made->run());
  ASSERT_EQ(run.definition().steps_size(), 1);
  EXPECT_EQ(run.definition().steps(0).name(), "fit");
  EXPECT_TRUE(run.fresh()) << "nothing is taken from the run that made it";
  EXPECT_EQ(Reproduce(model_ + "/versions/1", "again")->run(), made->run());
  PlayAll("weights");
  EXPECT_EQ(GetRun(made->run()).state(), v1::RUN_STATE_SUCCEEDED);
  EXPECT_EQ(GetTask(made->run(), "fit").result().artifacts().at("model").digest(), made->digest());
  EXPECT_EQ(Get(model_)->name(), model_ + "/versions/1");
}

TEST_F(RegistryTest, WithoutItsDataAModelCannotBeMadeAgain) {
  Publish();
  DeleteDataset(RunRequest().inputs().at("points"));
  const absl::Status refused = Reproduce(model_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("points"));
}

TEST_F(RegistryTest, DataThatItsStepDoesNotReadIsNotNeeded) {
  v1::CreateRunRequest request = RunRequest();
  request.mutable_source()->set_yaml(R"(
name: tiny
inputs:
  points: {file: points.csv}
  others: {file: others.csv}
steps:
  - name: fit
    train:
      data: {input: points, target: y}
      network:
        layers: [{dense: {units: 1}}]
        epochs: 1
  - name: check
    evaluate: {model: fit, input: others}
  - name: release
    publish: {model: fit, name: tiny}
)");
  const std::string others = Upload("optics", "x,y\n7,0\n8,1\n");
  (*request.mutable_inputs())["others"] = others;
  const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
  ASSERT_TRUE(run.ok()) << run.status();
  PlayAll("weights");
  ASSERT_EQ(GetRun(run->name()).state(), v1::RUN_STATE_SUCCEEDED);
  DeleteDataset(others);
  const auto made = Reproduce(model_);
  ASSERT_TRUE(made.ok()) << made.status();
  const v1::PipelineDefinition definition = GetRun(made->run()).definition();
  EXPECT_EQ(definition.steps_size(), 1);
  EXPECT_EQ(definition.inputs_size(), 1);
  EXPECT_EQ(definition.inputs().count("points"), 1u);
}

TEST_F(RegistryTest, WithoutTheModelThatItBeganWithAModelCannotBeMadeAgain) {
  Publish();
  v1::CreateRunRequest request = RunRequest();
  std::string yaml = kPipeline;
  yaml.replace(yaml.find("      network:"), 0,
               "      initial_model: projects/optics/models/tiny/versions/1\n");
  request.mutable_source()->set_yaml(yaml);
  const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
  ASSERT_TRUE(run.ok()) << run.status();
  PlayAll("more weights");
  ASSERT_EQ(Get(model_)->name(), model_ + "/versions/2");
  EXPECT_TRUE(Reproduce(model_ + "/versions/2").ok());
  v1::DeleteModelRequest remove;
  remove.set_name(model_ + "/versions/1");
  ASSERT_TRUE(Call(server_->models(), &ModelApi::DeleteModel, User("ada"), remove).ok());
  const absl::Status refused = Reproduce(model_ + "/versions/2").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("versions/1"));
}

TEST_F(RegistryTest, TheAuditHasWhatBecameOfModels) {
  Publish();
  ASSERT_TRUE(SetStage(model_ + "/versions/1", v1::MODEL_STAGE_STAGING).ok());
  ASSERT_TRUE(Reproduce(model_).ok());
  v1::DeleteModelRequest remove;
  remove.set_name(model_);
  ASSERT_TRUE(Call(server_->models(), &ModelApi::DeleteModel, User("ada"), remove).ok());
  const auto listed = Call(server_->audit(), &AuditApi::ListAuditEntries, Operator(),
                           v1::ListAuditEntriesRequest());
  ASSERT_TRUE(listed.ok()) << listed.status();
  std::vector<std::string> methods;
  for (const v1::AuditEntry& entry : listed->entries()) {
    if (entry.code() == 0 && entry.principal() == "users/ada") methods.push_back(entry.method());
  }
  for (const char* method :
       {"ModelService.SetModelStage", "ModelService.ReproduceModel", "ModelService.DeleteModel"}) {
    EXPECT_THAT(methods, ::testing::Contains(method));
  }
}

}  // namespace
}  // namespace beamline::server
