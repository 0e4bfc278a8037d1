#include "pipeline/plan/measure_rates.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/stopwatch.h"
#include "engine/core/philox.h"
#include "engine/data/columnar.h"
#include "engine/data/statistics.h"
#include "engine/learners/network_runner.h"
#include "engine/optim/optimizer.h"
#include "engine/passes/kernel_work.h"
#include "pipeline/judge.h"
#include "pipeline/plan/sample_networks.h"
#include "pipeline/plan/task_time.h"
#include "pipeline/training.h"

namespace beamline::pipeline {
namespace {

// A figure is the median of at least so many runs; more as long as they are short.
constexpr int kLeastRuns = 3;
constexpr int kMostRuns = 15;
constexpr double kEnoughSeconds = 0.01;
// Of one kernel; more sizes say nothing new.
constexpr size_t kMostSizes = 6;

double Median(std::vector<double> seconds) {
  const auto middle = seconds.begin() + static_cast<ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

// The median time of `body`, which is called once before.
template <typename Body>
double Time(const Body& body) {
  body();
  std::vector<double> seconds;
  double spent = 0;
  while (static_cast<int>(seconds.size()) < kLeastRuns ||
         (spent < kEnoughSeconds && static_cast<int>(seconds.size()) < kMostRuns)) {
    const double before = MonotonicSeconds();
    body();
    seconds.push_back(MonotonicSeconds() - before);
    spent += seconds.back();
  }
  return Median(std::move(seconds));
}

// Gathers what was measured, a kernel by a kernel.
class Rates {
 public:
  explicit Rates(int threads) : threads_(threads) {}

  void Add(const engine::KernelWork& work, double seconds) {
    // A clock of nanoseconds may see nothing of the smallest kernels.
    by_kernel_[work.kernel][{work.flops, work.bytes}].push_back(std::max(seconds, 1e-9));
  }

  // Of each kernel the smallest size, the largest, and some between.
  std::vector<v1::MeasuredRate> List() const {
    std::vector<v1::MeasuredRate> rates;
    for (const auto& [kernel, sizes] : by_kernel_) {
      const size_t kept = std::min(sizes.size(), kMostSizes);
      auto size = sizes.begin();
      size_t at = 0;
      for (size_t i = 0; i < kept; ++i) {
        const size_t wanted = kept == 1 ? 0 : i * (sizes.size() - 1) / (kept - 1);
        for (; at < wanted; ++at) ++size;
        v1::MeasuredRate& rate = rates.emplace_back();
        rate.set_kernel(kernel);
        rate.set_threads(threads_);
        rate.set_flops(size->first.first);
        rate.set_bytes(size->first.second);
        rate.set_seconds(Median(size->second));
      }
    }
    return rates;
  }

 private:
  const int threads_;
  std::map<std::string, std::map<std::pair<double, double>, std::vector<double>>> by_kernel_;
};

// Trains a few steps and times each kernel of them, and what feeds them.
void MeasureNetwork(const SampleNetwork& sample, int64_t batch, engine::NetworkMode mode,
                    int threads, Rates* rates) {
  engine::NetworkSpec spec = sample.spec;
  spec.threads = threads;
  engine::ThreadPool pool(threads);
  engine::Variables variables;
  const double before = MonotonicSeconds();
  engine::NetworkRunner runner(spec, sample.layout, batch, mode, &variables, &pool);
  const double made = MonotonicSeconds() - before;
  const engine::MemoryBatchSource source(SampleRows(sample, batch));
  std::vector<int64_t> rows(static_cast<size_t>(batch));
  std::iota(rows.begin(), rows.end(), 0);
  const auto feed = [&] { runner.Feed(source, rows, 0); };
  feed();
  if (mode == engine::NetworkMode::kTraining) {
    runner.SetUpdate(engine::UpdateNumbers(spec.optimizer, 1e-4, 0));
  }
  std::vector<std::vector<double>> seconds;
  std::vector<double> once;
  Time([&] {
    feed();
    runner.RunTimed(1, MonotonicSeconds, &once);
    seconds.push_back(once);
  });
  seconds.erase(seconds.begin());
  const std::vector<engine::KernelWork> work = engine::WorkOf(runner.graph());
  rates->Add({kStartRate, static_cast<double>(work.size()), 0}, made);
  for (size_t i = 0; i < work.size(); ++i) {
    std::vector<double> runs;
    for (const auto& run : seconds) runs.push_back(run[i]);
    rates->Add(work[i], Median(std::move(runs)));
  }
}

// A table of numbers with a class, split so that there are rows to validate on.
engine::data::Dataset SampleTable(int64_t rows, int64_t columns) {
  const engine::Philox random(0, 1);
  uint64_t drawn = 0;
  std::vector<engine::data::Column> made;
  for (int64_t c = 0; c < columns; ++c) {
    std::vector<double> values(static_cast<size_t>(rows));
    for (double& value : values) value = random.Normal(drawn++);
    made.push_back(engine::data::Column::Of(absl::StrCat("x", c), std::move(values)));
  }
  std::vector<int64_t> classes(static_cast<size_t>(rows));
  for (int64_t& value : classes) value = static_cast<int64_t>(random.Below(drawn++, 2));
  made.push_back(engine::data::Column::Of("y", std::move(classes)));
  engine::data::Dataset dataset;
  dataset.table = engine::data::Table(std::move(made));
  dataset.statistics = engine::data::Describe(dataset.table);
  return dataset;
}

v1::TrainStep SampleStep() {
  v1::TrainStep train;
  train.mutable_data()->set_target("y");
  train.mutable_data()->mutable_split()->mutable_random()->set_validation(0.5);
  v1::NetworkLearner& network = *train.mutable_network();
  network.add_layers()->mutable_dense()->set_units(1);
  network.mutable_optimizer()->mutable_adam();
  network.set_batch_size(32);
  return train;
}

// What is beside the kernels: rows into numbers, into graphs, and into metrics.
void MeasureData(int64_t rows, int64_t columns, int threads, Rates* rates) {
  const engine::data::Dataset dataset = SampleTable(rows, columns);
  const v1::TrainStep train = SampleStep();
  const auto values = static_cast<double>(rows * columns);
  Training training;
  const auto prepare = [&] {
    training =
        PrepareTraining(dataset, nullptr, train, 0, "sample", {.memory_bytes = int64_t{1} << 30});
  };
  rates->Add({kPrepareRate, values, 0}, Time(prepare));
  training.Use(threads, "cpu");
  const auto learner = MakeLearner(training);

  std::vector<int64_t> order(static_cast<size_t>(rows));
  rates->Add({kShuffleRate, static_cast<double>(rows), 0},
             Time([&] { engine::Philox(0, 0).Permute(order); }));

  const auto train_rows = training.training->rows();
  std::vector<float> features(static_cast<size_t>(train_rows * columns));
  std::vector<float> targets(static_cast<size_t>(train_rows));
  order.resize(static_cast<size_t>(train_rows));
  engine::Philox(0, 0).Permute(order);
  engine::BatchView view;
  view.features = features.data();
  rates->Add({kFeedRate, 0, static_cast<double>(train_rows * columns * 4)},
             Time([&] { training.training->Gather(order, view); }));

  const auto validated = static_cast<double>(training.validation->rows());
  const double said = Time([&] { learner->Predict(*training.validation); });
  const double judged = Time([&] {
    JudgeMetrics(*learner, *training.validation, training.validation_truth, training.card, {});
  });
  rates->Add({kJudgeRate, validated, 0}, std::max(judged - said, 0.0));

  // The smallest of networks: a step is hardly more than what every step is.
  engine::StepReport report;
  rates->Add({kStepRate, 1, 0}, Time([&] { learner->Step(&report); }));
}

// Columns of bytes become numbers on their way into a graph.
void MeasureImages(int64_t rows, Rates* rates) {
  constexpr int64_t kPixels = 784;
  std::vector<uint8_t> pixels(static_cast<size_t>(rows * kPixels));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7);
  engine::data::Dataset dataset;
  std::vector<int64_t> classes(static_cast<size_t>(rows));
  for (size_t i = 0; i < classes.size(); ++i) classes[i] = static_cast<int64_t>(i % 2);
  dataset.table =
      engine::data::Table({engine::data::Column::Of("image", std::move(pixels), {28, 28}),
                           engine::data::Column::Of("y", std::move(classes))});
  dataset.statistics = engine::data::Describe(dataset.table);
  const Training training = PrepareTraining(dataset, nullptr, SampleStep(), 0, "sample",
                                            {.memory_bytes = int64_t{1} << 30});
  const int64_t train_rows = training.training->rows();
  std::vector<float> features(static_cast<size_t>(train_rows * kPixels));
  std::vector<int64_t> order(static_cast<size_t>(train_rows));
  engine::Philox(0, 0).Permute(order);
  engine::BatchView view;
  view.features = features.data();
  rates->Add({kFeedImagesRate, 0, static_cast<double>(train_rows * kPixels * 4)},
             Time([&] { training.training->Gather(order, view); }));
}

}  // namespace

std::vector<v1::MeasuredRate> MeasureRates(int threads, const std::function<bool()>& stopped) {
  Rates rates(threads);
  for (const SampleNetwork& sample : SampleNetworks()) {
    for (const int64_t batch : sample.batches) {
      if (stopped()) return {};
      MeasureNetwork(sample, batch, engine::NetworkMode::kTraining, threads, &rates);
    }
    MeasureNetwork(sample, sample.batches.back(), engine::NetworkMode::kPrediction, threads,
                   &rates);
    MeasureNetwork(sample, sample.batches.back(), engine::NetworkMode::kEvaluation, threads,
                   &rates);
  }
  if (stopped()) return {};
  MeasureData(1000, 8, threads, &rates);
  MeasureData(4000, 28, threads, &rates);
  MeasureImages(64, &rates);
  MeasureImages(512, &rates);
  return rates.List();
}

std::vector<int> ThreadsToMeasure(double cpus) {
  const int most = std::max(1, static_cast<int>(std::lround(cpus)));
  std::vector<int> threads;
  for (int count = 1; count < most; count *= 2) threads.push_back(count);
  threads.push_back(most);
  return threads;
}

}  // namespace beamline::pipeline
