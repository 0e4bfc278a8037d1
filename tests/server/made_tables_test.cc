// Tables that workers say they have made: which become datasets, and what is believed of them.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "server/names.h"
#include "store/runs.h"
#include "store/store.h"
#include "tests/server/played.h"

namespace beamline::server {
namespace {

using ::testing::UnorderedElementsAre;

constexpr char kForeign[] = "projects/acoustics/models/higgs/versions/1";

// Behind kHead.
constexpr char kRest[] = R"(    cross_validation: {k_fold: {folds: 2}}
  - name: plain
    train:
      data: {input: points, target: y}
      network:
        layers: [{dense: {units: 1}}]
        epochs: 1
  - name: clean
    prepare: {input: points, operations: [{filter: {where: 'x > 2'}}]}
  - name: ask
    predict: {model: fit, input: points}
)";

constexpr char kPublished[] = R"(
name: tiny
inputs:
  points: {file: points.csv}
  others: {file: others.csv}
steps:
  - name: clean
    prepare: {input: points, operations: [{filter: {where: 'x > 2'}}]}
  - name: fit
    train:
      data: {input: clean, target: y, target_kind: classification}
      network:
        layers: [{dense: {}}]
        epochs: 1
  - name: ask
    predict: {model: fit, input: others}
  - name: release
    after: [ask]
    publish: {model: fit, name: tiny}
)";

class MadeTablesTest : public PlayedTest {
 protected:
  // Runs the definition to its end; the run's name.
  std::string Run(const std::string& yaml, const std::map<std::string, std::string>& inputs) {
    v1::CreateRunRequest request;
    request.set_parent("projects/optics");
    request.mutable_source()->set_yaml(yaml);
    for (const auto& [name, dataset] : inputs) (*request.mutable_inputs())[name] = dataset;
    const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
    EXPECT_TRUE(run.ok()) << run.status();
    if (!run.ok()) return "";
    Play();
    EXPECT_EQ(GetRun(run->name()).state(), v1::RUN_STATE_SUCCEEDED)
        << GetRun(run->name()).failure().message();
    return run->name();
  }
  std::string Run() {
    return Run(absl::StrCat(kHead, kRest), {{"points", Upload("optics", kCsv)}});
  }

  // An artifact whose bytes say what it is: "table of ask".
  void Add(const v1::Attempt& attempt, const std::string& what, v1::TaskResult& result) {
    const auto blob =
        worker_->WriteBlob(*server_, attempt, absl::StrCat(what, " of ", IdOf(attempt)));
    ASSERT_TRUE(blob.ok()) << blob.status();
    (*result.mutable_artifacts())[what] = *blob;
  }

  v1::AttemptReport Trained(const v1::Attempt& attempt) override {
    v1::AttemptReport end = FakeWorker::Success(1);
    v1::TaskResult& result = *end.mutable_result()->mutable_result();
    (*result.mutable_metrics())["validation_loss"] = 0.5;
    end.mutable_result()->mutable_card()->set_target("y");
    for (const char* what : {"model", "predictions", "table"}) Add(attempt, what, result);
    if (leaves_) leaves_(attempt, result);
    return end;
  }

  // Names of all that is related to it.
  std::vector<std::string> Related(const std::string& name) {
    v1::GetLineageRequest request;
    request.set_name(name);
    const auto lineage = Call(server_->models(), &ModelApi::GetLineage, User("ada"), request);
    EXPECT_TRUE(lineage.ok()) << lineage.status();
    std::vector<std::string> names;
    if (!lineage.ok()) return names;
    for (const auto& node : lineage->nodes()) names.push_back(node.name());
    return names;
  }

  // What else the worker says of an attempt that has succeeded.
  std::function<void(const v1::Attempt&, v1::TaskResult&)> leaves_;
};

TEST_F(MadeTablesTest, NothingIsBelievedOfThemButRowsAndColumns) {
  leaves_ = [](const v1::Attempt&, v1::TaskResult& result) {
    v1::Dataset lie;
    lie.set_name(kForeign);
    lie.set_display_name("mine");
    lie.set_creator("users/root");
    lie.mutable_create_time()->set_seconds(1);
    lie.mutable_source()->set_digest(std::string(64, 'a'));
    lie.mutable_table()->set_digest(std::string(64, 'b'));
    lie.set_row_count(3);
    lie.add_columns()->set_name("x");
    *result.mutable_table() = lie;
    lie.set_name("no name at all");
    *result.mutable_out_of_fold() = lie;
    result.set_model(kForeign);
    result.set_taken_from("projects/acoustics/runs/r1/tasks/fit");
    (*result.mutable_cross_validation())["lie"].set_mean(1);
  };
  const std::string run = Run();
  for (const char* step : {"fit", "plain", "clean", "ask"}) {
    SCOPED_TRACE(step);
    const v1::TaskResult result = GetTask(run, step).result();
    v1::Dataset table = result.table();
    EXPECT_EQ(table.row_count(), 3);
    EXPECT_EQ(table.columns_size(), 1);
    table.clear_row_count();
    table.clear_columns();
    EXPECT_EQ(table.ByteSizeLong(), 0u) << table.DebugString();
    EXPECT_FALSE(result.has_out_of_fold());
    EXPECT_EQ(result.model(), "");
    EXPECT_EQ(result.taken_from(), "");
    EXPECT_FALSE(result.cross_validation().contains("lie"));
  }
  EXPECT_EQ(GetRun(run).models_size(), 0);
  EXPECT_THAT(Related(run), UnorderedElementsAre(run, Upload("optics", kCsv)));
}

TEST_F(MadeTablesTest, HeldOutRowsAndPredictionsBecomeDatasets) {
  leaves_ = [this](const v1::Attempt& attempt, v1::TaskResult& result) {
    for (const char* what : {"out_of_fold", "out_of_fold_table", "table_csv"}) {
      Add(attempt, what, result);
    }
    for (v1::Dataset* made : {result.mutable_out_of_fold(), result.mutable_table()}) {
      made->set_name(kForeign);
      made->set_creator("users/root");
      made->set_row_count(3);
    }
  };
  const std::string run = Run();
  const v1::Dataset held_out = GetTask(run, "fit").result().out_of_fold();
  EXPECT_EQ(held_out.name(), DatasetName("optics", Sha256Hex("out_of_fold of fit")));
  EXPECT_EQ(held_out.display_name(), "tiny-fit-out-of-fold.csv");
  const v1::Dataset said = GetTask(run, "ask").result().table();
  EXPECT_EQ(said.name(), DatasetName("optics", Sha256Hex("table_csv of ask")));
  EXPECT_EQ(said.display_name(), "tiny-ask.csv");
  EXPECT_EQ(said.table().digest(), Sha256Hex("table of ask"));
  for (const v1::Dataset& made : {held_out, said}) {
    EXPECT_EQ(made.creator(), "users/ada");
    EXPECT_EQ(made.row_count(), 3);
    v1::GetDatasetRequest get;
    get.set_name(made.name());
    EXPECT_TRUE(Call(server_->datasets(), &DatasetApi::GetDataset, User("ada"), get).ok());
  }
  EXPECT_FALSE(GetTask(run, "plain").result().has_out_of_fold()) << "it has no folds";
  for (const char* step : {"fit", "plain", "clean"}) {
    EXPECT_EQ(GetTask(run, step).result().table().name(), "") << step;
  }
  EXPECT_FALSE(GetTask(run, "ask").result().has_out_of_fold());
  EXPECT_THAT(Related(run),
              UnorderedElementsAre(run, Upload("optics", kCsv), held_out.name(), said.name()));
}

// As a server of before may have stored them.
TEST_F(MadeTablesTest, StoredNamesOfOtherProjectsAreNoRelations) {
  const std::string points = Upload("optics", kCsv);
  const std::string run = Run();
  server_.reset();
  {
    const auto opened = store::Store::Open(Options().state_folder + "/beamline.db");
    ASSERT_TRUE(opened.ok()) << opened.status();
    store::Writer& writer = (*opened)->writer();
    ASSERT_TRUE(writer.BeginBatch().ok());
    const absl::Status written = writer.RunCommand([&]() -> absl::Status {
      ASSIGN_OR_RETURN(store::StoredTask task, store::GetTask(writer, store::IdOf(run), "fit"));
      task.message.mutable_result()->mutable_table()->set_name(kForeign);
      task.message.mutable_result()->mutable_out_of_fold()->set_name("no name at all");
      RETURN_IF_ERROR(store::UpdateTask(writer, task));
      ASSIGN_OR_RETURN(store::StoredRun stored, store::GetRun(writer, store::IdOf(run)));
      stored.message.add_models(kForeign);
      return store::UpdateRun(writer, stored.message);
    });
    ASSERT_TRUE(written.ok()) << written;
    ASSERT_TRUE(writer.Commit().ok());
  }
  Start();
  EXPECT_THAT(Related(run), UnorderedElementsAre(run, points));
}

TEST_F(MadeTablesTest, AModelComesOfWhatItsStepReadAndNotOfItsPredictions) {
  const std::string run = Run(kPublished, {{"points", Upload("optics", kCsv)},
                                           {"others", Upload("optics", "x,y\n7,0\n8,1\n")}});
  EXPECT_THAT(order_, ::testing::ElementsAre("clean", "fit", "ask", "release"));
  v1::GetModelRequest get;
  get.set_name("projects/optics/models/tiny");
  const auto model = Call(server_->models(), &ModelApi::GetModel, User("ada"), get);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->lineage().run(), run);
  const auto& digests = model->lineage().data_digests();
  EXPECT_EQ((std::map<std::string, std::string>(digests.begin(), digests.end())),
            (std::map<std::string, std::string>{{"points", Sha256Hex(kCsv)},
                                                {"clean", Sha256Hex("table of clean")}}));
}

}  // namespace
}  // namespace beamline::server
