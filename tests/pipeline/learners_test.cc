// Every learner that is no network goes the whole way: from definition to predictions.
#include "pipeline/learners/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/core/philox.h"
#include "pipeline/model_file.h"
#include "pipeline/predict.h"
#include "pipeline/reconstruction.h"
#include "pipeline/validate.h"
#include "pipeline/violation.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;

// A learner as a definition has it, what its data says beside input and columns, and how good it
// has to be. A learner has a line for each thing that it can do.
struct Line {
  const char* learner;
  const char* data;
  const char* metric = "";
  double at_least = 0;  // of metrics that are to be small: minus at most
};

constexpr char kClasses[] =
    "target: kind, exclude: [size], split: {random: {validation: 0.2, test: 0.2}}";
constexpr char kNumbers[] =
    "target: size, exclude: [kind], split: {random: {validation: 0.2, test: 0.2}}";

constexpr char kPlaces[] =
    "objective: reconstruct, features: [x, y], split: {random: {validation: 0.2, test: 0.2}}";
constexpr char kShares[] =
    "objective: reconstruct, features: [x, y], transforms: [{columns: [x, y], min_max_scale: {}}], "
    "split: {random: {validation: 0.2, test: 0.2}}";
constexpr char kTokens[] =
    "objective: next_token, features: [kind], windows: {steps: 12}, split: {ordered: {validation: "
    "0.2, test: 0.2}}";

constexpr char kNeighbours[] =
    "objective: embed, features: [kind], windows: {steps: 12}, split: {ordered: {validation: 0.2, "
    "test: 0.2}}";

// Windows of three rows, whose kinds take turns.
constexpr char kWindowClasses[] =
    "target: kind, exclude: [size], windows: {steps: 3}, split: {ordered: {validation: 0.2, test: "
    "0.2}}";
constexpr char kWindowNumbers[] =
    "target: size, exclude: [kind], windows: {steps: 3}, split: {ordered: {validation: 0.2, test: "
    "0.2}}";

constexpr char kForecasts[] =
    "objective: forecast, features: [x, y], windows: {steps: 3, horizon: 1}, split: {ordered: "
    "{validation: 0.2, test: 0.2}}";

constexpr Line kLines[] = {
    {"linear: {}", kClasses, "accuracy", 0.95},
    {"linear: {penalty: 0.1}", kNumbers, "r2", 0.9},
    {"nearest_neighbours: {neighbours: 7, weights: distance}", kClasses, "accuracy", 0.95},
    {"nearest_neighbours: {}", kNumbers, "r2", 0.85},
    {"naive_bayes: {smoothing: 0.001}", kClasses, "accuracy", 0.95},
    {"support_vectors: {}", kClasses, "accuracy", 0.95},
    {"support_vectors: {kernel: linear, epsilon: 0.05}", kNumbers, "r2", 0.9},
    {"boosted_trees: {trees: 20, row_share: 0.8, patience: 5}", kClasses, "accuracy", 0.9},
    {"boosted_trees: {trees: 30, max_depth: 3}", kNumbers, "r2", 0.85},
    {"random_forest: {trees: 20}", kClasses, "accuracy", 0.9},
    {"random_forest: {trees: 20, feature_share: 1}", kNumbers, "r2", 0.85},
    {"isolation_forest: {trees: 20}", kPlaces, "loss", -0.7},
    {"k_means: {clusters: 3}", kPlaces, "mse", -0.5},
    {"principal_components: {components: 2}", kPlaces, "mse", -1e-9},
    {"kohonen_map: {rows: 3, columns: 3, epochs: 6}", kPlaces, "mse", -0.5},
    {"kohonen_map: {rows: 3, columns: 3, epochs: 6, rule: online, last_learning_rate: 0.02}",
     kPlaces, "mse", -0.5},
    {"markov_chain: {order: 2, smoothing: witten_bell}", kTokens, "accuracy", 0.99},
    {"hopfield: {rule: pseudo_inverse}",
     "objective: reconstruct, features: [x, y], limit: 2, split: {random: {validation: 0.2, test: "
     "0.2}}",
     "mse", -100},
    {"boltzmann: {hidden: 2, epochs: 2}", kShares, "mse", -0.3},
    {"restricted_boltzmann: {hidden: 8, epochs: 2}", kShares, "mse", -0.2},
    {"deep_belief: {hidden: [12, 8], visible: gaussian, pretraining_epochs: 2, epochs: 12, "
     "learning_rate: 0.05}",
     kClasses, "accuracy", 0.95},
    {"deep_belief: {hidden: [12], visible: gaussian, pretraining_epochs: 1, epochs: 12, "
     "learning_rate: 0.05}",
     kNumbers, "r2", 0.8},
    {"radial_basis: {centres: 20}", kClasses, "accuracy", 0.95},
    {"radial_basis: {centres: 30}", kNumbers, "r2", 0.9},
    {"extreme_learning_machine: {hidden: 30}", kClasses, "accuracy", 0.95},
    {"extreme_learning_machine: {hidden: 60, activation: sigmoid}", kNumbers, "r2", 0.85},
    {"echo_state: {reservoir: 40}", kWindowClasses, "accuracy", 0.95},
    {"echo_state: {reservoir: 40}", kWindowNumbers, "r2", 0.7},
    {"deep_belief: {hidden: [12], visible: gaussian, pretraining_epochs: 1, epochs: 12, "
     "learning_rate: 0.05}",
     kForecasts, "mse", -0.35},
    {"radial_basis: {centres: 30}", kForecasts, "mse", -0.35},
    {"extreme_learning_machine: {hidden: 30, penalty: 1}", kForecasts, "mse", -0.35},
    {"echo_state: {reservoir: 40, penalty: 1}", kForecasts, "mse", -0.35},
    {"liquid_state: {cells: 60, penalty: 1}", kForecasts, "mse", -0.6},
    {"liquid_state: {cells: 60}", kWindowClasses, "accuracy", 0.8},
    {"liquid_state: {cells: 60}", kWindowNumbers, "r2", 0.2},
    {"word_vectors: {dimensions: 8, reach: 1, subsample: 0, learning_rate: 0.3, epochs: 30, "
     "batch_size: 4}",
     kNeighbours, "loss", -2.2},
    {"word_vectors: {architecture: bag_of_words, dimensions: 8, reach: 1, subsample: 0, "
     "learning_rate: 0.3, epochs: 30, batch_size: 4}",
     kNeighbours, "loss", -2.2},
};

std::string Definition(const Line& line, const std::string& step = "") {
  return std::string(R"(
name: points
seed: 3
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, )") +
         line.data + "}\n      " + line.learner + "\n      checkpoint: {every_steps: 1}" + step +
         R"(
  - name: evaluate
    evaluate: {model: train}
  - name: publish
    publish: {model: train, name: points}
)";
}

// Three clouds of points, and a number that depends on place and color.
Table Points(int64_t rows) {
  const engine::Philox random(1, 2);
  std::vector<double> x, y, size;
  std::vector<std::string> color, kind;
  for (int64_t i = 0; i < rows; ++i) {
    const auto k = static_cast<int>(i % 3);
    const auto at = static_cast<uint64_t>(8 * i);
    x.push_back(4.0 * (k == 1) + random.Normal(at));
    y.push_back(4.0 * (k == 2) + random.Normal(at + 1));
    color.push_back(random.Uniform(at + 2) < 0.5 ? "red" : "blue");
    kind.push_back(std::string(1, static_cast<char>('a' + k)));
    size.push_back(10 + 3 * x.back() - 2 * y.back() + (color.back() == "red" ? 4 : 0) +
                   random.Normal(at + 3));
  }
  return Table({Column::Of("x", x), Column::Of("y", y), Column::OfStrings("color", color),
                Column::OfStrings("kind", kind), Column::Of("size", size)});
}

bool IsClasses(const Line& line) { return line.data == kClasses || line.data == kWindowClasses; }
bool IsNumbers(const Line& line) { return line.data == kNumbers || line.data == kWindowNumbers; }

// Two rows to predict, in JSON.
std::string TwoRows(const Line& line) {
  if (line.data == kTokens || line.data == kNeighbours)
    return R"([{"kind": ["a"]}, {"kind": ["c", "a", "b"]}])";
  if (line.data == kWindowClasses || line.data == kWindowNumbers) {
    return R"([{"x": [0, 0, 4], "y": [4, 0, 0], "color": ["red", "red", "red"]},
               {"x": [0, 4, 0], "y": [0, 0, 4], "color": ["red", "blue", "blue"]}])";
  }
  if (line.data == kForecasts) {
    return R"([{"x": [0, 4, 0], "y": [0, 0, 4]}, {"x": [4, 0, 0], "y": [0, 4, 0]}])";
  }
  if (IsClasses(line) || IsNumbers(line)) {
    return R"([{"x": 4, "y": 0, "color": "red"}, {"x": 0, "y": 4, "color": "blue"}])";
  }
  return R"([{"x": 4, "y": 0}, {"x": 0, "y": 40}])";
}

class Learners : public ::testing::TestWithParam<Line> {};

TEST_P(Learners, TrainAreMeasuredPublishedAndPredict) {
  Bench bench(Definition(GetParam()));
  const Verdict verdict = Validate(bench.definition());
  EXPECT_EQ(FormatViolations(verdict.violations, "") + FormatViolations(verdict.unimplemented, ""),
            "");
  bench.AddTable("points", Points(300));
  const v1::TaskEnd trained = bench.Run("train");
  ASSERT_EQ(trained.result().failure().message(), "");
  EXPECT_NE(FindLearnerKind(trained.result().card()), nullptr);
  EXPECT_GT(trained.result().card().parameter_count(), 0);
  EXPECT_TRUE(std::isfinite(trained.result().result().metrics().at("validation_loss")));
  const v1::TaskEnd measured = bench.Run("evaluate");
  const double value = testing::Metric(measured, GetParam().metric);
  EXPECT_GE(GetParam().at_least < 0 ? -value : value, GetParam().at_least);
  ASSERT_EQ(bench.Run("publish").result().failure().message(), "");

  const auto predictor = Predictor::Load(bench.ModelBytes("train"));
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const auto said = (*predictor)->Predict(testing::Rows(TwoRows(GetParam())));
  ASSERT_TRUE(said.ok()) << said.status();
  ASSERT_EQ(said->size(), 2);
  if (GetParam().data == kForecasts) {
    ASSERT_EQ((*said)[1].forecast_size(), 2);
    EXPECT_NEAR((*said)[1].forecast(0), 4, 2);  // x behind "a"
    EXPECT_NEAR((*said)[0].forecast(0), 0, 2);
  } else if (IsClasses(GetParam())) {
    EXPECT_EQ((*said)[0].label(), "b");
    EXPECT_EQ((*said)[1].label(), "c");
    EXPECT_EQ((*said)[1].probabilities_size(), 3);
  } else if (GetParam().data == kNumbers ||
             std::string(GetParam().learner).starts_with("echo_state")) {
    EXPECT_NEAR((*said)[0].value(), 26, 4);
    EXPECT_NEAR((*said)[1].value(), 2, 4);
  } else if (GetParam().data == kNeighbours) {
    EXPECT_EQ((*said)[1].embedding_size(), 8);
  } else if (GetParam().data == kTokens) {
    EXPECT_EQ((*said)[0].label(), "b");
    EXPECT_EQ((*said)[1].label(), "c");
  } else if (GetParam().data == kPlaces) {
    // The second is far from all that was seen, but for the components: they are all there are.
    const bool whole = std::string(GetParam().learner).starts_with("principal_components");
    EXPECT_EQ((*said)[1].reconstruction_error() > (*said)[0].reconstruction_error(), !whole);
  }
}

TEST_P(Learners, GiveTheSameModelForAnyThreadsAndFromAnyCheckpoint) {
  Bench bench(Definition(GetParam()));
  bench.AddTable("points", Points(200));
  ASSERT_EQ(bench.Run("train").result().failure().message(), "");
  const std::string model = bench.ModelBytes("train");
  std::vector<v1::CheckpointFile> checkpoints = bench.sink().checkpoints;
  if (checkpoints.size() > 4) checkpoints.resize(4);
  for (const int threads : {2, 3, 8}) {
    bench.threads = threads;
    ASSERT_EQ(bench.Run("train").result().failure().message(), "");
    EXPECT_EQ(bench.ModelBytes("train"), model) << threads << " threads";
  }
  for (const v1::CheckpointFile& checkpoint : checkpoints) {
    v1::TaskStart start = bench.Start("train");
    start.mutable_attempt()->mutable_checkpoint()->set_digest(std::string(64, 'c'));
    (*start.mutable_input_paths())["checkpoint"] = checkpoint.path();
    bench.sink().events.clear();
    ASSERT_EQ(bench.Run("train", start).result().failure().message(), "");
    EXPECT_EQ(bench.ModelBytes("train"), model) << "from step " << checkpoint.step();
    const bool goes_on = std::any_of(
        bench.sink().events.begin(), bench.sink().events.end(), [](const v1::Event& event) {
          return event.log().text().find("goes on from step") != std::string::npos;
        });
    EXPECT_TRUE(goes_on);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Learners, ::testing::ValuesIn(kLines), [](const auto& info) {
  const std::string learner = info.param.learner;
  return learner.substr(0, learner.find(':')) + std::to_string(info.index);
});

TEST(LearnersTable, HasALineForEveryKindAndEachThingItCanDo) {
  std::set<std::string> lines;
  for (const Line& line : kLines) {
    Bench bench(Definition(line));
    const v1::TrainStep& train = bench.definition().steps(0).train();
    const LearnerKind* kind = FindLearnerKind(train);
    ASSERT_NE(kind, nullptr) << line.learner;
    lines.insert(kind->name + (IsClasses(line)   ? " classes"
                               : IsNumbers(line) ? " numbers"
                                                 : " other"));
  }
  for (const LearnerKind& kind : LearnerKinds()) {
    // Needs a sandbox: tests/e2e/command_learner_test.py.
    if (kind.name == "command") continue;
    const LearnerAbilities& can = kind.abilities;
    EXPECT_TRUE(!can.classes || lines.contains(kind.name + " classes")) << kind.name;
    EXPECT_TRUE(!can.numbers || lines.contains(kind.name + " numbers")) << kind.name;
    EXPECT_TRUE(can.classes || can.numbers || lines.contains(kind.name + " other")) << kind.name;
  }
}

TEST(LearnersTable, IsInTheOrderOfFieldsOfTwoMessagesThatAgree) {
  int before = 0;
  for (const LearnerKind& kind : LearnerKinds()) {
    EXPECT_GT(kind.field, before) << kind.name;
    before = kind.field;
    const auto* field = v1::TrainStep::descriptor()->FindFieldByNumber(kind.field);
    ASSERT_NE(field, nullptr);
    EXPECT_EQ(field->name(), kind.name);
  }
}

// A learner that only predicts, and says of a row with the feature x: the code (x, 2 x), the
// cluster x, and as a reconstruction x + 1, or in place of one the score 3 x.
class Told : public engine::Learner {
 public:
  explicit Told(bool scores) : scores_(scores) {}
  engine::Predictions Predict(const engine::BatchSource& source,
                              std::span<const int64_t> rows) override {
    std::vector<float> x(rows.size()), codes, scores;
    std::vector<int64_t> clusters;
    source.Gather(rows, {.features = x.data()});
    for (float& value : x) {
      codes.insert(codes.end(), {value, 2 * value});
      clusters.push_back(static_cast<int64_t>(value));
      scores.push_back(3 * value);
      value += 1;
    }
    using engine::Tensor;
    const auto count = static_cast<int64_t>(rows.size());
    engine::Predictions said;
    if (scores_) x.clear();
    said.outputs = Tensor::From<float>({count, scores_ ? 0 : 1}, x);
    said.probabilities = said.outputs.Clone();
    said.row_losses = Tensor::From<float>({count}, scores);
    said.codes = Tensor::From<float>({count, 2}, codes);
    said.clusters = Tensor::From<int64_t>({count}, clusters);
    return said;
  }
  bool Step(engine::StepReport*) override { return false; }
  bool done() const override { return true; }
  int64_t step() const override { return 0; }
  int64_t total_steps() const override { return 0; }
  bool ReportMetric(std::string_view, double) override { return false; }
  engine::Evaluation Evaluate(const engine::BatchSource&) override { return {}; }
  void Save(std::string*) const override {}
  void Load(std::string_view) override {}
  std::vector<engine::NamedTensor> Weights() const override { return {}; }
  void SetWeights(const std::vector<engine::NamedTensor>&) override {}
  int64_t PeakBytes() const override { return 0; }

 private:
  bool scores_;
};

TEST(LearnersTable, CodesClustersAndScoresReachTheUser) {
  engine::MemoryBatch batch;
  batch.layout.features = 1;
  batch.features = {0, 2, 5};
  batch.rows = 3;
  const engine::MemoryBatchSource source(batch);
  engine::data::FittedTransforms transforms;
  transforms.columns.emplace_back().column = "x";
  Told clusters(false);
  const auto said = PredictReconstruction(clusters, source, transforms, true);
  ASSERT_EQ(said.size(), 3);
  EXPECT_EQ(said[1].reconstruction_error(), 1);
  EXPECT_EQ(said[1].reconstruction(0), 3);
  EXPECT_EQ(said[1].label(), "2");
  ASSERT_EQ(said[1].embedding_size(), 2);
  EXPECT_EQ(said[1].embedding(1), 4);
  EXPECT_EQ(MeasureErrors(ErrorsOf(clusters, source), {}, {}, {}).at("mse"), 1);

  Told scores(true);
  EXPECT_EQ(PredictReconstruction(scores, source, transforms, true)[2].reconstruction_error(), 15);
  // There is no reconstruction that an error could be the mean of.
  const std::vector<int32_t> anomalies = {0, 0, 1};
  const auto metrics = MeasureErrors(ErrorsOf(scores, source), anomalies, {}, {});
  EXPECT_FALSE(metrics.contains("mse"));
  EXPECT_FALSE(metrics.contains("mae"));
  EXPECT_EQ(metrics.at("auc"), 1);
}

// Two waves: what follows is a linear function of what was.
TEST(LearnersTable, ForecastsAreMadeFromWindows) {
  std::vector<double> fast, slow;
  for (int i = 0; i < 400; ++i) {
    fast.push_back(std::sin(0.9 * i));
    slow.push_back(100 + 30 * std::sin(0.31 * i + 1));
  }
  for (const auto& [learner, most] :
       {std::pair("linear: {}", 1e-6), std::pair("nearest_neighbours: {neighbours: 2}", 0.1)}) {
    Bench bench(Definition({.learner = learner,
                            .data = "objective: forecast, windows: {steps: 16, horizon: 3}, split: "
                                    "{ordered: {validation: 0.1, test: 0.2}}"}));
    bench.AddTable("points", Table({Column::Of("fast", fast), Column::Of("slow", slow)}));
    const v1::TaskEnd trained = bench.Run("train");
    ASSERT_EQ(trained.result().failure().message(), "");
    EXPECT_LT(testing::Metric(bench.Run("evaluate"), "mse"), most) << learner;
    const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
    std::string past = "[";
    for (int i = 0; i < 16; ++i) past += (i > 0 ? "," : "") + std::to_string(fast[100 + i]);
    std::string other = "[";
    for (int i = 0; i < 16; ++i) other += (i > 0 ? "," : "") + std::to_string(slow[100 + i]);
    const auto said = predictor->Predict(
        testing::Rows(R"([{"fast": )" + past + R"(], "slow": )" + other + "]}]"));
    ASSERT_TRUE(said.ok()) << said.status();
    ASSERT_EQ((*said)[0].forecast_size(), 6);
    EXPECT_NEAR((*said)[0].forecast(0), fast[116], 3 * most);
    EXPECT_NEAR((*said)[0].forecast(5), slow[118], 80 * most);
  }
}

// Folds, and the training on all of their rows that follows.
TEST(LearnersTable, KindsAreCrossValidated) {
  Bench bench(Definition(kLines[0], "\n    cross_validation: {k_fold: {folds: 3}}"));
  bench.AddTable("points", Points(120));
  v1::TaskStart start = bench.Start("train");
  start.mutable_attempt()->mutable_trial()->set_fold(2);
  const v1::TaskEnd end = bench.Run("train", start);
  ASSERT_EQ(end.result().failure().message(), "");
  EXPECT_GT(end.result().result().metrics().at("validation_accuracy"), 0.9);
  EXPECT_TRUE(end.artifact_paths().contains("predictions"));
}

}  // namespace
}  // namespace beamline::pipeline
