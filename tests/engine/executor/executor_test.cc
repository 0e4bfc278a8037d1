#include "engine/executor/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "engine/learners/network_learner.h"
#include "engine/optim/schedule.h"
#include "tests/engine/learners/toy.h"
#include "tests/engine/learners/transformer.h"

// A sanitizer brings its own operators.
#ifdef BEAMLINE_SANITIZED
#define BEAMLINE_COUNTS_ALLOCATIONS 0
#else
#define BEAMLINE_COUNTS_ALLOCATIONS 1
#endif

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

#if BEAMLINE_COUNTS_ALLOCATIONS
// Counts every allocation of this program. Not inlined: the compiler warns of free otherwise.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace beamline::engine {
namespace {

TEST(ExecutorTest, StepsDoNotAllocate) {
  if (!BEAMLINE_COUNTS_ALLOCATIONS) GTEST_SKIP() << "a sanitizer has its own allocator";
  const MemoryBatchSource training = testing::Circle(3200, 1);
  NetworkSpec spec = testing::RichNetwork();
  spec.threads = 2;
  const auto learner = testing::Make(spec, training);
  StepReport report;
  ASSERT_TRUE(learner->Step(&report));
  const int64_t before = allocations;
  EXPECT_GT(before, 0);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(learner->Step(&report));
  EXPECT_EQ(allocations, before);
}

TEST(ExecutorTest, StepsOfATransformerDoNotAllocate) {
  if (!BEAMLINE_COUNTS_ALLOCATIONS) GTEST_SKIP() << "a sanitizer has its own allocator";
  const MemoryBatchSource training = testing::TokenRows(200, 9, 11, 1, true);
  for (const bool rotary : {false, true}) {
    testing::LanguageModel model;
    model.rotary = rotary;
    NetworkSpec spec = testing::MakeLanguageModel(model);
    spec.threads = 2;
    const auto learner = testing::Make(spec, training);
    StepReport report;
    ASSERT_TRUE(learner->Step(&report));
    const int64_t before = allocations;
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(learner->Step(&report));
    EXPECT_EQ(allocations, before);
  }
}

TEST(ExecutorTest, RefusesWhatTheBackendLacks) {
  Graph g(DType::kFloat64);
  g.MarkOutput(g.Activate("y", g.Input("x", {2}), Activation::kTanh));
  Variables variables;
  ThreadPool pool(1);
  EXPECT_THROW(Executor(g, FindBackend("cpu"), &variables, &pool, 0), Error);
  Executor executor(g, FindBackend("reference"), &variables, &pool, 0);
  EXPECT_THROW(executor.Data<float>(g.Find("x")), Error);
  EXPECT_THROW(executor.Data<double>(Value()), Error);
}

TEST(ExecutorTest, InitialValuesDependOnSeedAndNameOnly) {
  const auto value = [](uint64_t seed, const std::string& name, bool other_first) {
    Graph g;
    if (other_first) g.Parameter("other", {5}, {Initial::Kind::kNormal, 1});
    g.Parameter(name, {100}, {Initial::Kind::kNormal, 1});
    Variables variables;
    variables.Create(g, seed);
    return variables.Get(name).values<float>()[99];
  };
  EXPECT_EQ(value(1, "w", false), value(1, "w", true));
  EXPECT_NE(value(1, "w", false), value(2, "w", false));
  EXPECT_NE(value(1, "w", false), value(1, "v", false));
}

TEST(GraphTest, RefusesDoubleNames) {
  Graph g;
  g.Input("x", {2});
  EXPECT_THROW(g.Parameter("x", {2}, {}), Error);
  EXPECT_THROW(g.shape(Value{7}), Error);
}

TEST(ScheduleTest, FollowsItsFormulas) {
  ScheduleSpec schedule;
  schedule.warmup_steps = 4;
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.1, 0, 10, 100), 0.025);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.1, 3, 10, 100), 0.1);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.1, 50, 10, 100), 0.1);
  schedule.kind = ScheduleKind::kStep;
  schedule.every_epochs = 2;
  schedule.factor = 0.5;
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.1, 19, 10, 100), 0.1);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.1, 40, 10, 100), 0.025);
  schedule.kind = ScheduleKind::kExponential;
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.1, 35, 10, 100), 0.0125);
  schedule.kind = ScheduleKind::kCosine;
  schedule.final_fraction = 0.2;
  EXPECT_NEAR(LearningRate(schedule, 0.1, 4, 10, 100), 0.1, 1e-12);
  EXPECT_NEAR(LearningRate(schedule, 0.1, 52, 10, 100), 0.06, 1e-12);
  EXPECT_NEAR(LearningRate(schedule, 0.1, 100, 10, 100), 0.02, 1e-12);
  schedule.factor = 0;
  EXPECT_THROW(CheckSchedule(schedule), Error);
}

}  // namespace
}  // namespace beamline::engine
