// What a learner says of the order in which it is going to read its rows is what it then does: else
// a source that reads ahead reads in vain, and nothing but the time tells.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "tests/engine/learners/adversarial_data.h"
#include "tests/engine/learners/families.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

// Rows of another source; counts those that are read as it was told, one behind the other.
class Told : public BatchSource {
 public:
  explicit Told(const BatchSource& rows) : rows_(rows) {}

  int64_t rows() const override { return rows_.rows(); }
  const BatchLayout& layout() const override { return rows_.layout(); }
  void Gather(std::span<const int64_t> rows, const BatchView& out) const override {
    if (rows.data() == next_) {
      next_ += rows.size();
      as_told_ += static_cast<int64_t>(rows.size());
    } else {
      otherwise_ += static_cast<int64_t>(rows.size());
    }
    rows_.Gather(rows, out);
  }
  void Expect(std::span<const int64_t> order, int64_t position) const override {
    next_ = order.data() + position;
  }

  int64_t as_told() const { return as_told_; }
  int64_t otherwise() const { return otherwise_; }

 private:
  const BatchSource& rows_;
  mutable const int64_t* next_ = nullptr;
  mutable int64_t as_told_ = 0;
  mutable int64_t otherwise_ = 0;
};

class ExpectedOrderTest : public ::testing::TestWithParam<testing::Family> {};

TEST_P(ExpectedOrderTest, OfNetworks) {
  const MemoryBatchSource data = GetParam().data();
  const Told told(data);
  const NetworkSpec spec = GetParam().network();
  const auto learner = testing::Make(spec, told);
  testing::Train(learner.get());
  if (data.layout().nodes != nullptr) return;  // Graphs are read whole.
  EXPECT_EQ(told.as_told(), spec.epochs * data.rows());
  EXPECT_EQ(told.otherwise(), 0);

  // Also where it goes on within an epoch.
  const auto half = testing::Make(spec, data);
  testing::Train(half.get(), 1);
  std::string checkpoint;
  half->Save(&checkpoint);
  const Told rest(data);
  const auto resumed = testing::Make(spec, rest);
  resumed->Load(checkpoint);
  testing::Train(resumed.get());
  EXPECT_EQ(rest.as_told(), spec.epochs * data.rows() - std::min(spec.batch_size, data.rows()));
  EXPECT_EQ(rest.otherwise(), 0);
}

INSTANTIATE_TEST_SUITE_P(Families, ExpectedOrderTest, ::testing::ValuesIn(testing::Families()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ExpectedOrder, OfAdversarialPairs) {
  const MemoryBatchSource data = testing::Ring(100, 1);
  const Told told(data);
  AdversarialSpec spec = testing::DensePair(AdversarialLoss::kNonSaturating);
  const auto learner = testing::Make(spec, told);
  testing::Train(learner.get(), 5);
  EXPECT_GT(told.as_told(), 0);
  EXPECT_EQ(told.otherwise(), 0);
}

}  // namespace
}  // namespace beamline::engine
