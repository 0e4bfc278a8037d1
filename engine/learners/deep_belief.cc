#include "engine/learners/deep_belief.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/checkpoint.h"
#include "engine/learners/network_learner.h"
#include "engine/learners/products.h"
#include "engine/learners/row_reader.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kMachineStream = 0x64626e;

class DeepBelief : public Learner {
 public:
  DeepBelief(const DeepBeliefSpec& spec, const LearnerData& data);

  bool Step(StepReport* report) override;
  bool done() const override { return training_ == nullptr || network_->done(); }
  int64_t step() const override;
  int64_t total_steps() const override;
  bool ReportMetric(std::string_view name, double value) override {
    return network_->ReportMetric(name, value);
  }
  Evaluation Evaluate(const BatchSource& source) override { return network_->Evaluate(source); }
  using Learner::Predict;
  Predictions Predict(const BatchSource& source, std::span<const int64_t> rows) override {
    return network_->Predict(source, rows);
  }
  void Save(std::string* bytes) const override;
  void Load(std::string_view bytes) override;
  std::vector<NamedTensor> Weights() const override { return network_->Weights(); }
  void SetWeights(const std::vector<NamedTensor>& weights) override {
    network_->SetWeights(weights);
  }
  int64_t PeakBytes() const override;

 private:
  // A machine that is being trained, and the rows that it sees, if they are not the data's.
  struct Stage {
    std::unique_ptr<MemoryBatchSource> rows;
    std::unique_ptr<Learner> machine;  // null: all are trained
  };

  int64_t stages() const {
    return spec_.pretraining_epochs > 0 ? static_cast<int64_t>(spec_.hidden.size()) : 0;
  }
  int64_t StepsOfStage() const {
    return (training_->rows() + spec_.batch_size - 1) / spec_.batch_size * spec_.pretraining_epochs;
  }
  std::unique_ptr<Learner> MakeNetwork() const;
  Stage MakeStage(int64_t stage, const Learner& network);
  MemoryBatchSource Hide(int64_t layers, const Learner& network);
  void TakeLayer();

  const DeepBeliefSpec spec_;
  const BatchLayout layout_;
  const BatchSource* training_;
  const BatchSource* validation_;
  ThreadPool pool_;
  std::unique_ptr<Learner> network_;
  int64_t stage_ = 0;  // machines that are trained
  Stage now_;
};

const DeepBeliefSpec& Checked(const DeepBeliefSpec& spec, const BatchLayout& layout) {
  if (spec.hidden.empty()) Fail("deep_belief needs hidden layers: give the units of each");
  for (const int64_t units : spec.hidden) {
    if (units < 1) Fail("deep_belief needs hidden layers of at least one unit");
  }
  if (layout.features < 1 || layout.code_columns > 0) {
    Fail("deep_belief takes numbers: encode categories by one_hot");
  }
  if (layout.classes < 2 && layout.targets < 1) Fail("deep_belief needs a target");
  return spec;
}

DeepBelief::DeepBelief(const DeepBeliefSpec& spec, const LearnerData& data)
    : spec_(Checked(spec, data.layout)),
      layout_(data.layout),
      training_(data.training),
      validation_(data.validation),
      pool_(spec.threads),
      network_(MakeNetwork()) {
  if (training_ != nullptr) now_ = MakeStage(0, *network_);
}

std::unique_ptr<Learner> DeepBelief::MakeNetwork() const {
  NetworkSpec network;
  if (layout_.steps > 0) {  // the steps of a window side by side
    network.layers.emplace_back().kind = LayerKind::kReshape;
  }
  for (size_t i = 0; i < spec_.hidden.size(); ++i) {
    LayerSpec& layer = network.layers.emplace_back();
    layer.name = "hidden" + std::to_string(i);
    layer.units = spec_.hidden[i];
    layer.activation = Activation::kSigmoid;
  }
  network.layers.emplace_back();
  network.layers.back().name = "output";
  network.loss.kind = layout_.classes > 0 ? LossKind::kCrossEntropy : LossKind::kMeanSquaredError;
  network.optimizer.kind = OptimizerKind::kAdam;
  network.optimizer.learning_rate = spec_.learning_rate;
  network.batch_size = spec_.batch_size;
  network.epochs = spec_.epochs;
  network.seed = spec_.seed;
  network.threads = spec_.threads;
  LearnerConfig config;
  config.network = &network;
  config.layout = layout_;
  config.training = training_;
  config.validation = validation_;
  return MakeNetworkLearner(config);
}

// Hidden probabilities of all training rows behind so many layers.
MemoryBatchSource DeepBelief::Hide(int64_t layers, const Learner& network) {
  const std::vector<NamedTensor> weights = network.Weights();
  const auto find = [&](const std::string& name) {
    for (const NamedTensor& weight : weights) {
      if (weight.name == name) return weight.tensor.values<float>().data();
    }
    Fail("the network has no weight \"", name, "\"");
  };
  MemoryBatch batch;
  batch.rows = training_->rows();
  batch.layout.features = spec_.hidden[static_cast<size_t>(layers - 1)];
  batch.layout.has_weights = layout_.has_weights;
  RowReader(*training_, &pool_).ForEach([&](const RowBlock& block) {
    std::vector<float> x(block.features, block.features + block.rows * layout_.features);
    int64_t width = layout_.features;
    for (int64_t i = 0; i < layers; ++i) {
      const std::string layer = "hidden" + std::to_string(i);
      const int64_t units = spec_.hidden[static_cast<size_t>(i)];
      std::vector<float> y(static_cast<size_t>(block.rows * units));
      Multiply({x.data(), block.rows, width}, {find(layer + ".weight"), width, units},
               find(layer + ".bias"), Activation::kSigmoid, y.data(), &pool_);
      x = std::move(y);
      width = units;
    }
    batch.features.insert(batch.features.end(), x.begin(), x.end());
    if (block.weights == nullptr) return;
    batch.weights.insert(batch.weights.end(), block.weights, block.weights + block.rows);
  });
  return MemoryBatchSource(std::move(batch));
}

DeepBelief::Stage DeepBelief::MakeStage(int64_t stage, const Learner& network) {
  Stage made;
  if (stage >= stages()) return made;
  const bool first = stage == 0;
  if (!first) made.rows = std::make_unique<MemoryBatchSource>(Hide(stage, network));
  RestrictedBoltzmannSpec machine;
  machine.hidden = spec_.hidden[static_cast<size_t>(stage)];
  machine.visible = first ? spec_.visible : VisibleUnits::kBinary;
  machine.learning_rate =
      spec_.pretraining_rate * (machine.visible == VisibleUnits::kGaussian ? 0.01 : 1);
  machine.epochs = spec_.pretraining_epochs;
  machine.batch_size = spec_.batch_size;
  machine.seed = Philox(spec_.seed, kMachineStream).Bits(static_cast<uint64_t>(stage));
  machine.threads = spec_.threads;
  const BatchSource* rows = first ? training_ : made.rows.get();
  made.machine = MakeRestrictedBoltzmann(machine, {rows->layout(), rows});
  return made;
}

// The machine that is trained becomes a layer.
void DeepBelief::TakeLayer() {
  const std::string layer = "hidden" + std::to_string(stage_);
  std::vector<NamedTensor> weights = network_->Weights();
  for (NamedTensor& own : now_.machine->Weights()) {
    const std::string name = own.name == "weights"       ? layer + ".weight"
                             : own.name == "hidden_bias" ? layer + ".bias"
                                                         : "";
    for (NamedTensor& weight : weights) {
      if (weight.name == name) weight.tensor = std::move(own.tensor);
    }
  }
  network_->SetWeights(weights);
  now_ = MakeStage(++stage_, *network_);
}

int64_t DeepBelief::step() const {
  if (now_.machine != nullptr) return stage_ * StepsOfStage() + now_.machine->step();
  return (training_ != nullptr ? stages() * StepsOfStage() : 0) + network_->step();
}

int64_t DeepBelief::total_steps() const {
  return (training_ != nullptr ? stages() * StepsOfStage() : 0) + network_->total_steps();
}

bool DeepBelief::Step(StepReport* report) {
  if (now_.machine == nullptr) {
    if (!network_->Step(report)) return false;
    report->examples_seen += stages() * spec_.pretraining_epochs * training_->rows();
    report->step = step();
    return true;
  }
  StepReport own;
  now_.machine->Step(&own);
  *report = StepReport();
  report->loss = report->main_loss = own.loss;
  report->learning_rate = own.learning_rate;
  report->examples_seen = stage_ * spec_.pretraining_epochs * training_->rows() + own.examples_seen;
  report->step = step();
  if (now_.machine->done()) TakeLayer();
  return true;
}

void DeepBelief::Save(std::string* bytes) const {
  std::string network, machine;
  network_->Save(&network);
  if (now_.machine != nullptr) now_.machine->Save(&machine);
  CheckpointWriter out(bytes);
  out.Text("deep_belief");
  out.Text(Concat(std::hexfloat, spec_.pretraining_epochs, ' ', spec_.pretraining_rate, ' ',
                  static_cast<int>(spec_.visible)));
  out.Integer(static_cast<uint64_t>(stage_));
  out.Text(network);
  out.Text(machine);
  out.Finish();
}

void DeepBelief::Load(std::string_view bytes) {
  CheckpointReader in(bytes);
  const bool own =
      in.Text() == "deep_belief" &&
      in.Text() == Concat(std::hexfloat, spec_.pretraining_epochs, ' ', spec_.pretraining_rate, ' ',
                          static_cast<int>(spec_.visible));
  if (!own) Fail("the checkpoint belongs to another definition: start the training anew");
  const int64_t stage = in.Count();
  const std::string_view network_bytes = in.Text();
  const std::string_view machine_bytes = in.Text();
  in.Finish();
  if (stage < 0 || stage > stages()) Fail("the checkpoint is damaged: start the training anew");
  std::unique_ptr<Learner> network = MakeNetwork();
  network->Load(network_bytes);
  Stage now;
  if (training_ != nullptr) now = MakeStage(stage, *network);
  if (now.machine != nullptr) now.machine->Load(machine_bytes);
  network_ = std::move(network);
  now_ = std::move(now);
  stage_ = stage;
}

int64_t DeepBelief::PeakBytes() const {
  int64_t bytes = network_->PeakBytes();
  if (training_ == nullptr || stages() == 0) return bytes;
  // The machine that is largest, and the rows of the layer that is widest but for the last.
  int64_t width = layout_.features, machine = 0, rows = 0;
  for (size_t i = 0; i < spec_.hidden.size(); ++i) {
    machine = std::max(machine, 12 * (width + 1) * spec_.hidden[i]);
    if (i + 1 < spec_.hidden.size()) {
      rows = std::max(rows, 4 * training_->rows() * spec_.hidden[i]);
    }
    width = spec_.hidden[i];
  }
  return bytes + machine + rows;
}

}  // namespace

std::unique_ptr<Learner> MakeDeepBelief(const DeepBeliefSpec& spec, const LearnerData& data) {
  return std::make_unique<DeepBelief>(spec, data);
}

}  // namespace beamline::engine
