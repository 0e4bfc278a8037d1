// What is measured is what plans need.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "engine/learners/training_plan.h"
#include "pipeline/plan/measure_rates.h"
#include "pipeline/plan/sample_networks.h"
#include "pipeline/plan/task_time.h"

namespace beamline::pipeline {
namespace {

TEST(RatesTest, AreOfAllThatIsAskedFor) {
  const std::vector<v1::MeasuredRate> rates = MeasureRates(1, [] { return false; });
  std::set<std::string> kernels;
  for (const v1::MeasuredRate& rate : rates) {
    EXPECT_GT(rate.seconds(), 0) << rate.kernel();
    EXPECT_LT(rate.seconds(), 1) << rate.kernel();
    EXPECT_EQ(rate.threads(), 1);
    kernels.insert(rate.kernel());
  }
  for (const char* name : {kStartRate, kPrepareRate, kFeedRate, kFeedImagesRate, kShuffleRate,
                           kJudgeRate, kStepRate}) {
    EXPECT_TRUE(kernels.contains(name)) << name;
  }
  for (const SampleNetwork& sample : SampleNetworks()) {
    const engine::TrainingPlan plan = engine::PlanTraining(sample.spec, sample.layout, 2000, 200);
    for (const engine::PlannedRuns& runs : plan.runs) {
      for (const engine::KernelWork& work : runs.kernels) {
        EXPECT_TRUE(kernels.contains(work.kernel)) << sample.name << ": " << work.kernel;
      }
    }
  }
  // The message with which a worker tells of them is sent every few seconds.
  EXPECT_LT(rates.size(), 700U);
}

TEST(RatesTest, StopWhenAsked) {
  int asked = 0;
  EXPECT_TRUE(MeasureRates(1, [&] { return ++asked > 2; }).empty());
  EXPECT_EQ(asked, 3);
}

TEST(RatesTest, AreMeasuredForPowersOfTwo) {
  EXPECT_EQ(ThreadsToMeasure(1), (std::vector<int>{1}));
  EXPECT_EQ(ThreadsToMeasure(2), (std::vector<int>{1, 2}));
  EXPECT_EQ(ThreadsToMeasure(6), (std::vector<int>{1, 2, 4, 6}));
}

}  // namespace
}  // namespace beamline::pipeline
