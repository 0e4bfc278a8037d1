// Predictions through the API, by models that were really trained.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/pipeline/bench.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

constexpr char kHalves[] = R"(
name: halves
seed: 1
inputs: {nodes: {file: nodes.csv}, arcs: {file: arcs.csv}}
steps:
  - name: fit
    train:
      data:
        input: nodes
        target: half
        features: [hint]
        graph: {arcs: arcs, node: id}
      network:
        layers: [{graph_conv: {units: 8, activation: relu}}, {graph_conv: {}}]
        optimizer: {adam: {learning_rate: 0.05}}
        batch_size: 16
        epochs: 40
  - name: release
    publish: {model: fit, name: halves}
)";

// Two rings of ten nodes each; what a node knows of itself is its half and some noise.
struct Halves {
  std::string nodes = "id,hint,half\n";
  std::string arcs = "a,b\n";

  Halves() {
    for (int i = 0; i < 20; ++i) {
      absl::StrAppend(&nodes, "n", i, ",", (i < 10 ? 0 : 10) + i % 3, "e-1,",
                      i < 10 ? "first" : "second", "\n");
      absl::StrAppend(&arcs, "n", i, ",n", i / 10 * 10 + (i + 1) % 10, "\n");
    }
  }
};

class PredictTest : public ServerTest {
 protected:
  // Runs the pipeline with a worker that has trained it elsewhere.
  void Publish() {
    const Halves halves;
    pipeline::testing::Bench bench(kHalves);
    const TemporaryDirectory files;
    for (const auto& [input, text] : {std::pair{"nodes", halves.nodes}, {"arcs", halves.arcs}}) {
      const std::string path = absl::StrCat(files.path(), "/", input, ".csv");
      ASSERT_TRUE(WriteFileAtomically(path, text).ok());
      bench.AddFile(input, path);
    }
    ASSERT_EQ(bench.Run("fit").result().failure().message(), "");
    v1::CreateRunRequest request;
    request.set_parent("projects/optics");
    request.mutable_source()->set_yaml(kHalves);
    (*request.mutable_inputs())["nodes"] = nodes_ = Upload("optics", halves.nodes);
    (*request.mutable_inputs())["arcs"] = Upload("optics", halves.arcs);
    FakeWorker worker(*server_);
    worker.Synchronize(*server_);
    const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
    ASSERT_TRUE(run.ok()) << run.status();
    auto work = worker.Synchronize(*server_);
    ASSERT_EQ(work.start_size(), 1);
    worker.Train(*server_, work.start(0), bench.ModelBytes("fit"));
    work = worker.Synchronize(*server_);
    ASSERT_EQ(work.start_size(), 1);
    ASSERT_TRUE(worker.Report(*server_, work.start(0), {FakeWorker::Success(1)}).ok());
    request_.set_name("projects/optics/models/halves");
  }
  void AddNode(const std::string& id) {
    (*request_.add_rows()->mutable_fields())["id"].set_string_value(id);
  }
  void AddNode(const std::string& id, double hint) {
    AddNode(id);
    (*request_.mutable_rows()->rbegin()->mutable_fields())["hint"].set_number_value(hint);
  }
  void AddArc(const std::string& from, const std::string& to) {
    auto& fields = *request_.add_arcs()->mutable_fields();
    fields["a"].set_string_value(from);
    fields["b"].set_string_value(to);
  }
  absl::StatusOr<v1::PredictResponse> Ask() {
    return Call(server_->models(), &ModelApi::Predict, User("ada"), request_);
  }

  v1::PredictRequest request_;
  std::string nodes_;  // the dataset
};

TEST_F(PredictTest, NodesOfAGraphThatTheModelNeverSaw) {
  Publish();
  AddNode("x", 0);
  AddNode("y", 0.1);
  AddNode("z", 1.1);
  AddArc("x", "y");
  const auto response = Ask();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model(), "projects/optics/models/halves/versions/1");
  ASSERT_EQ(response->predictions_size(), 3);
  EXPECT_EQ(response->predictions(0).label(), "first");
  EXPECT_EQ(response->predictions(1).label(), "first");
  EXPECT_EQ(response->predictions(2).label(), "second");

  AddArc("x", "nobody");
  const absl::Status unknown = Ask().status();
  EXPECT_TRUE(absl::IsInvalidArgument(unknown)) << unknown;
  EXPECT_EQ(unknown.message(), "arcs, row 2, column \"b\": there is no node \"nobody\"");
  request_.clear_arcs();
  EXPECT_TRUE(absl::IsInvalidArgument(Ask().status()));
}

TEST_F(PredictTest, NodesOfTheTrainingGraphAsLongAsItIsThere) {
  Publish();
  AddNode("n15");
  AddNode("n4");
  const auto response = Ask();
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->predictions_size(), 2);
  EXPECT_EQ(response->predictions(0).label(), "second");
  EXPECT_EQ(response->predictions(1).label(), "first");

  v1::DeleteDatasetRequest deletion;
  deletion.set_name(nodes_);
  const auto deleted = Call(server_->datasets(), &DatasetApi::DeleteDataset, User("ada"), deletion);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  const absl::Status gone = Ask().status();
  EXPECT_TRUE(absl::IsInvalidArgument(gone)) << gone;
  EXPECT_EQ(gone.message(),
            "arcs: are missing, and the data that the model was trained on is not here: give a "
            "whole graph, nodes and arcs");
}

}  // namespace
}  // namespace beamline::server
