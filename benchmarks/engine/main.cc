// How fast the engine trains and predicts. One JSON line per measurement:
//   {"benchmark": "higgs-b100", "threads": 2, "metric": "samples_per_s", "value": 12345.6}
// The value is the median of the repeats.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/engine/autoencoder_workloads.h"
#include "benchmarks/engine/conv_workloads.h"
#include "benchmarks/engine/graph_workloads.h"
#include "benchmarks/engine/recurrent_workloads.h"
#include "benchmarks/engine/transformer_workloads.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/registry.h"

namespace beamline::engine {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int threads = 2;
  double seconds = 1;
  int repeats = 5;
  std::string only;
  std::string backend = "cpu";
};

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

MemoryBatch Data(int64_t rows, int64_t features, int64_t classes) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = features;
  batch.layout.classes = classes;
  const Philox random(1, 1);
  for (int64_t i = 0; i < rows * features; ++i) {
    batch.features.push_back(random.Normal(static_cast<uint64_t>(i)));
  }
  for (int64_t i = 0; i < rows; ++i) {
    batch.labels.push_back(static_cast<int32_t>(
        random.Below(static_cast<uint64_t>(rows * features + i), static_cast<uint64_t>(classes))));
  }
  return batch;
}

NetworkSpec Mlp(const std::vector<int64_t>& hidden, Activation activation) {
  NetworkSpec spec;
  for (const int64_t units : hidden) {
    LayerSpec layer;
    layer.units = units;
    layer.activation = activation;
    spec.layers.push_back(layer);
  }
  spec.layers.emplace_back();
  spec.epochs = 1'000'000;
  return spec;
}

NetworkSpec Higgs(int64_t batch) {
  NetworkSpec spec = Mlp({300, 300, 300, 300}, Activation::kTanh);
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  spec.optimizer.learning_rate = 0.01;
  spec.optimizer.momentum = 0.9;
  spec.batch_size = batch;
  return spec;
}

NetworkSpec Small() {
  NetworkSpec spec = Mlp({64, 64}, Activation::kRelu);
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.001;
  spec.batch_size = 32;
  return spec;
}

// Calls work() until `seconds` are over, `repeats` times; the median of units per second.
template <typename Work>
double Rate(const Options& options, double units, const Work& work) {
  std::vector<double> rates;
  for (int repeat = -1; repeat < options.repeats; ++repeat) {
    const Clock::time_point start = Clock::now();
    int64_t calls = 0;
    do {
      for (int i = 0; i < 10; ++i) work();
      calls += 10;
    } while (Seconds(Clock::now() - start) < options.seconds);
    // The first one warms up.
    if (repeat >= 0) {
      rates.push_back(static_cast<double>(calls) * units / Seconds(Clock::now() - start));
    }
  }
  std::nth_element(rates.begin(), rates.begin() + static_cast<ptrdiff_t>(rates.size() / 2),
                   rates.end());
  return rates[rates.size() / 2];
}

void Report(const Options& options, const std::string& name, const char* metric, double value) {
  std::printf(
      "{\"benchmark\": \"%s\", \"threads\": %d, \"backend\": \"%s\", \"metric\": \"%s\", "
      "\"value\": %.1f}\n",
      name.c_str(), options.threads, options.backend.c_str(), metric, value);
  std::fflush(stdout);
}

// A network in training: one step counts as so many units of the metric.
struct Workload {
  const char* name;
  NetworkSpec (*network)();
  MemoryBatch (*data)();
  const char* metric = "samples_per_s";
  double units = 0;  // 0: as many as the batch has rows
};

const Workload kTrainings[] = {
    {"higgs-b100", [] { return Higgs(100); }, [] { return Data(200'000, 28, 2); }},
    {"higgs-b1024", [] { return Higgs(1024); }, [] { return Data(200'000, 28, 2); }},
    {"mlp-b32", Small, [] { return Data(4096, 30, 2); }},
    {"lenet-b64", Lenet5, [] { return Data(8192, 784, 10); }},
    {"resnet20-b128", Resnet20, [] { return Data(2048, 3072, 10); }},
    {"lstm-b64", LstmClassifier, LstmRows},
    {"transformer-b16", benchmark::CausalLanguageModel, [] { return benchmark::TokenRows(1024); },
     "tokens_per_s", 16.0 * benchmark::kLanguageModelSteps},
    {"autoencoder-b128", benchmark::Autoencoder, benchmark::RandomImages},
    {"vae-b128", benchmark::VariationalAutoencoder, benchmark::RandomImages},
    {"gcn-cora", benchmark::GraphConvolutions, benchmark::CitationRows, "epochs_per_s", 1},
};

void Training(const Options& options, const Workload& workload) {
  NetworkSpec spec = workload.network();
  spec.threads = options.threads;
  spec.backend = options.backend;
  spec.epochs = 1'000'000;
  const MemoryBatchSource source(workload.data());
  const LearnerConfig config{.network = &spec, .layout = source.layout(), .training = &source};
  const auto learner = MakeLearner("network", config);
  StepReport report;
  const double units = workload.units > 0 ? workload.units : static_cast<double>(spec.batch_size);
  Report(options, workload.name, workload.metric,
         Rate(options, units, [&] { learner->Step(&report); }));
}

void Inference(const Options& options, const std::string& name, int64_t batch) {
  if (!options.only.empty() && options.only != name) return;
  NetworkSpec spec = Higgs(100);
  spec.threads = options.threads;
  spec.backend = options.backend;
  const MemoryBatchSource source(Data(4096, 28, 2));
  const LearnerConfig config{.network = &spec, .layout = source.layout()};
  const auto learner = MakeLearner("network", config);
  std::vector<int64_t> rows(static_cast<size_t>(batch));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
  const double rate =
      Rate(options, static_cast<double>(batch), [&] { learner->Predict(source, rows); });
  Report(options, name, "samples_per_s", rate);
}

int Run(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const char* value = argv[i + 1];
    if (flag == "--threads") options.threads = std::atoi(value);
    if (flag == "--seconds") options.seconds = std::atof(value);
    if (flag == "--repeats") options.repeats = std::atoi(value);
    if (flag == "--workload") options.only = value;
    if (flag == "--backend") options.backend = value;
  }
  for (const Workload& workload : kTrainings) {
    if (options.only.empty() || options.only == workload.name) Training(options, workload);
  }
  Inference(options, "higgs-infer-b1", 1);
  Inference(options, "higgs-infer-b256", 256);
  return 0;
}

}  // namespace
}  // namespace beamline::engine

int main(int argc, char** argv) {
  try {
    return beamline::engine::Run(argc, argv);
  } catch (const beamline::engine::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
