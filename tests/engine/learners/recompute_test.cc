// Activations that are computed again: less memory, the same bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/learners/network_learner.h"
#include "engine/learners/training_plan.h"
#include "engine/nn/network.h"
#include "engine/passes/memory_plan.h"
#include "tests/engine/learners/families.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using testing::Family;

class RecomputeTest : public ::testing::TestWithParam<Family> {};

TEST_P(RecomputeTest, GivesTheSameBits) {
  const MemoryBatchSource data = GetParam().data();
  NetworkSpec spec = GetParam().network();
  spec.threads = 2;
  const auto kept = testing::Make(spec, data);
  testing::Train(kept.get());
  for (const int parts : {2, 3, 7}) {
    spec.recomputed_parts = parts;
    const auto again = testing::Make(spec, data);
    testing::Train(again.get());
    EXPECT_EQ(testing::WeightBytes(*again) == testing::WeightBytes(*kept), true) << parts;
    EXPECT_EQ(again->Evaluate(data).loss, kept->Evaluate(data).loss) << parts;
  }
  // A checkpoint does not know how much memory there was.
  std::string checkpoint;
  const auto half = testing::Make(spec, data);
  testing::Train(half.get(), 2);
  half->Save(&checkpoint);
  spec.recomputed_parts = 1;
  const auto rest = testing::Make(spec, data);
  rest->Load(checkpoint);
  testing::Train(rest.get());
  EXPECT_EQ(testing::WeightBytes(*rest) == testing::WeightBytes(*kept), true);
}

INSTANTIATE_TEST_SUITE_P(Families, RecomputeTest, ::testing::ValuesIn(testing::Families()),
                         [](const auto& info) { return std::string(info.param.name); });

// Many layers of one width: what they keep is most of the memory.
NetworkSpec Deep(int layers) {
  NetworkSpec spec;
  for (int i = 0; i < layers; ++i) {
    LayerSpec dense;
    dense.kind = LayerKind::kDense;
    dense.name = "d" + std::to_string(i);
    dense.units = 16;
    dense.activation = i % 3 == 0 ? Activation::kGelu : Activation::kTanh;
    spec.layers.push_back(dense);
  }
  LayerSpec last;
  last.kind = LayerKind::kDense;
  last.name = "last";
  spec.layers.push_back(last);
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  spec.batch_size = 4096;
  spec.epochs = 1;
  return spec;
}

BatchLayout LayoutOf(const MemoryBatchSource& data) { return data.layout(); }

TEST(Recompute, TakesMemoryLikeTheRootOfTheDepth) {
  const MemoryBatchSource data = testing::Circle(4096, 1);
  NetworkSpec spec = Deep(64);
  const auto arena = [&](int parts) {
    spec.recomputed_parts = parts;
    return PlanMemory(BuildNetwork(spec, LayoutOf(data), 4096, NetworkMode::kTraining).graph)
        .arena_bytes;
  };
  const int64_t kept = arena(1);
  const int64_t layer = 4096 * 16 * 4;
  EXPECT_GE(kept, 64 * layer);
  EXPECT_LE(arena(8), (8 + 8 + 8 + 1) * layer) << "ends of parts, one part, its gradients, inputs";
  EXPECT_LT(arena(8), kept / 2);
  EXPECT_LT(arena(2), kept);
  EXPECT_LE(arena(1000), kept) << "no more parts than there are layers";
}

TEST(Recompute, ComputesNoMoreThanOnceAgain) {
  const MemoryBatchSource data = testing::Circle(4096, 1);
  NetworkSpec spec = Deep(64);
  const int64_t once = EstimateCost(spec, LayoutOf(data)).flops_per_step;
  spec.recomputed_parts = 8;
  const int64_t again = EstimateCost(spec, LayoutOf(data)).flops_per_step;
  EXPECT_GT(again, once * 5 / 4);
  EXPECT_LT(again, once * 4 / 3 + once / 100) << "a forward pass is a third of a step";
}

TEST(Recompute, TheFewestPartsThatFitAreFound) {
  const MemoryBatchSource data = testing::Circle(4096, 1);
  NetworkSpec spec = Deep(64);
  const BatchLayout layout = LayoutOf(data);
  const int64_t most = PlanTraining(spec, layout, 4096, 0).peak_bytes;
  EXPECT_EQ(FittingParts(spec, layout, 4096, 0, most), 1);
  const int parts = FittingParts(spec, layout, 4096, 0, most / 2);
  ASSERT_GT(parts, 1);
  spec.recomputed_parts = parts;
  EXPECT_LE(PlanTraining(spec, layout, 4096, 0).peak_bytes, most / 2);
  EXPECT_EQ(testing::Make(spec, data)->PeakBytes(), PlanTraining(spec, layout, 4096, 0).peak_bytes);
  spec.recomputed_parts = parts - 1;
  EXPECT_GT(PlanTraining(spec, layout, 4096, 0).peak_bytes, most / 2);
  EXPECT_EQ(FittingParts(spec, layout, 4096, 0, most / 100), 0);
}

TEST(Recompute, TheLeastIsChosenWhereNothingFits) {
  const MemoryBatchSource data = testing::Circle(4096, 1);
  NetworkSpec spec = Deep(64);
  for (const bool updates_at_end : {false, true}) {
    const PlanOptions options{.updates_at_end = updates_at_end};
    const Recomputation least = ChooseParts(spec, LayoutOf(data), 4096, 0, 1, options);
    EXPECT_GT(least.parts, 1);
    for (const int parts : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32}) {
      NetworkSpec other = spec;
      other.recomputed_parts = parts;
      const int64_t peak = PlanTraining(other, LayoutOf(data), 4096, 0, options).peak_bytes;
      EXPECT_GE(peak, least.peak_bytes) << parts;
      if (parts == least.parts) {
        EXPECT_EQ(peak, least.peak_bytes);
      }
    }
  }
}

}  // namespace
}  // namespace beamline::engine
