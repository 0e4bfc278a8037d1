// A definition, a table and a worker that the tests of plans change.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/core/philox.h"
#include "engine/data/columnar.h"
#include "pipeline/fitted.h"
#include "pipeline/plan/plan.h"
#include "pipeline/plan/task_time.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline::testing {

using engine::data::Column;
using engine::data::Table;

inline constexpr char kDefinition[] = R"(
name: clouds
seed: 3
inputs: {points: {dataset: d}}
steps:
  - name: train
    resources: {cpus: 2}
    train:
      data:
        input: points
        target: label
        split: {stratified: {validation: 0.2, test: 0.2}}
      network:
        layers:
          - dense: {units: 8, activation: relu}
          - dense: {}
        optimizer: {adam: {}}
        batch_size: 16
        epochs: 6
  - name: evaluate
    evaluate: {model: train}
)";

inline Table Points(int64_t rows) {
  const engine::Philox random(1, 2);
  std::vector<double> x;
  std::vector<double> y;
  std::vector<std::string> color;
  std::vector<std::string> label;
  for (int64_t i = 0; i < rows; ++i) {
    const auto n = static_cast<uint64_t>(i);
    x.push_back(random.Normal(2 * n));
    y.push_back(random.Normal(2 * n + 1));
    color.emplace_back(i % 3 == 0 ? "red" : "blue");
    label.emplace_back(i % 5 < 2 ? "in" : "out");
  }
  return Table({Column::Of("x", std::move(x)), Column::Of("y", std::move(y)),
                Column::OfStrings("color", color), Column::OfStrings("label", label)});
}

inline v1::Worker WorkerWith(double cpus, int64_t memory_bytes) {
  v1::Worker worker;
  worker.set_name("workers/w");
  worker.set_memory_bytes(memory_bytes);
  v1::Device& cpu = *worker.add_devices();
  cpu.set_id("cpu");
  cpu.set_kind(v1::DEVICE_KIND_CPU);
  cpu.set_model("Abacus");
  cpu.set_cpus(cpus);
  cpu.set_memory_bytes(memory_bytes);
  return worker;
}

// Every kernel takes a microsecond and a nanosecond for each FLOP.
inline void AddRates(v1::Worker* worker) {
  for (const char* kernel :
       {"matmul", "matmul.narrow", "matmul.transposed_a", "matmul.transposed_a.narrow",
        "matmul.transposed_b", "matmul.transposed_b.narrow", "loss.cross_entropy",
        "loss.binary_cross_entropy", "loss_grad.binary_cross_entropy", "column_sum",
        "activation_grad.relu", "update.adaptive", kPrepareRate, kJudgeRate, kShuffleRate}) {
    for (const double flops : {1e3, 1e6}) {
      v1::MeasuredRate& rate = *worker->mutable_devices(0)->add_rates();
      rate.set_kernel(kernel);
      rate.set_threads(1);
      rate.set_flops(flops);
      rate.set_seconds(1e-6 + 1e-9 * flops);
    }
  }
}

class PlanTest : public ::testing::Test {
 protected:
  // A definition whose input "points" is this table.
  void Use(std::string_view yaml, const Table& table) {
    bench_ = std::make_unique<Bench>(yaml);
    bench_->AddTable("points", table);
    const v1::TaskStart start = bench_->Start("train");
    const engine::data::Dataset opened =
        engine::data::OpenColumnar(start.input_paths().at("points"), {});
    dataset_.Clear();
    DescribeTable(opened.table, opened.statistics, &dataset_);
  }

  v1::PlanPipelineResponse Plan() {
    findings_ = Findings();
    ValidateOptions options;
    options.datasets = [this](std::string_view) { return &dataset_; };
    options.for_run = true;
    options.findings = &findings_;
    const Verdict verdict = Validate(bench_->definition(), options);
    EXPECT_EQ(FormatViolations(verdict.violations, ""), "");
    return MakePlan(
        {.definition = bench_->definition(),
         .findings = findings_,
         .datasets = options.datasets,
         .workers = workers_,
         .slots = [](const v1::Worker& worker, const v1::Step&, const v1::Resources& resources) {
           return static_cast<int>(worker.devices(0).cpus() / resources.cpus());
         }});
  }

  // What the task of a step logs.
  std::string LogOf(const std::string& step) {
    const size_t before = bench_->sink().events.size();
    EXPECT_EQ(bench_->Run(step).result().failure().message(), "");
    std::string log;
    for (size_t i = before; i < bench_->sink().events.size(); ++i) {
      absl::StrAppend(&log, bench_->sink().events[i].log().text(), "\n");
    }
    return log;
  }

  std::unique_ptr<Bench> bench_;
  v1::Dataset dataset_;
  Findings findings_;
  std::vector<v1::Worker> workers_ = {WorkerWith(4, int64_t{4} << 30)};
};

}  // namespace beamline::pipeline::testing
