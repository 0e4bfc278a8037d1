#include "tests/engine/classics/fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

namespace beamline::engine::testing {
namespace {

std::map<std::string, Case> ReadCases() {
  std::ifstream file(std::string(BEAMLINE_SOURCE_DIR) + "/tests/engine/classics/fixture.txt");
  std::map<std::string, Case> cases;
  Case* recorded = nullptr;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "case") {
      words >> key;
      recorded = &cases[key];
      continue;
    }
    for (std::string word; words >> word;) (*recorded)[key].push_back(std::stod(word));
  }
  return cases;
}

template <typename T>
std::vector<T> As(const std::vector<double>& numbers) {
  return std::vector<T>(numbers.begin(), numbers.end());
}

std::string BytesOf(const Learner& learner) {
  std::string bytes;
  for (const NamedTensor& weight : learner.Weights()) {
    bytes += weight.name;
    bytes.append(reinterpret_cast<const char*>(weight.tensor.raw()),
                 static_cast<size_t>(weight.tensor.size_bytes()));
  }
  return bytes;
}

std::string Checkpoint(const Learner& learner) {
  std::string bytes;
  learner.Save(&bytes);
  return bytes;
}

}  // namespace

const Case& FixtureCase(const std::string& name) {
  static const std::map<std::string, Case> kCases = ReadCases();
  static const Case kNone;
  const auto found = kCases.find(name);
  if (found != kCases.end()) return found->second;
  ADD_FAILURE() << "the fixture has no case " << name;
  return kNone;
}

MemoryBatchSource RowsOf(const Case& recorded, bool weighted) {
  MemoryBatch batch;
  batch.features = As<float>(recorded.at("x"));
  const bool classes = recorded.contains("labels");
  if (classes) {
    batch.labels = As<int32_t>(recorded.at("labels"));
    batch.layout.classes = *std::max_element(batch.labels.begin(), batch.labels.end()) + 1;
  } else {
    batch.targets = As<float>(recorded.at("y"));
    batch.layout.targets = 1;
  }
  batch.rows = static_cast<int64_t>(recorded.at("weights").size());
  batch.layout.features = static_cast<int64_t>(batch.features.size()) / batch.rows;
  batch.layout.has_weights = weighted;
  if (weighted) batch.weights = As<float>(recorded.at("weights"));
  return MemoryBatchSource(std::move(batch));
}

MemoryBatchSource ProbesOf(const Case& recorded, const std::vector<double>& features) {
  MemoryBatch batch;
  batch.layout = RowsOf(recorded, false).layout();
  batch.features = As<float>(features);
  batch.rows = static_cast<int64_t>(features.size()) / batch.layout.features;
  if (batch.layout.classes > 0) batch.labels.resize(static_cast<size_t>(batch.rows));
  batch.targets.resize(static_cast<size_t>(batch.rows * batch.layout.targets));
  return MemoryBatchSource(std::move(batch));
}

std::vector<double> Said(Learner& learner, const BatchSource& rows) {
  const Predictions said = learner.Predict(rows);
  const std::span<const float> values = said.probabilities.values<float>();
  return {values.begin(), values.end()};
}

std::vector<double> WeightOf(const Learner& learner, const std::string& name) {
  for (const NamedTensor& weight : learner.Weights()) {
    if (weight.name != name) continue;
    const std::span<const float> values = weight.tensor.values<float>();
    return {values.begin(), values.end()};
  }
  ADD_FAILURE() << "no weight " << name;
  return {};
}

void ExpectNear(const std::vector<double>& got, const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], tolerance * (1 + std::abs(want[i]))) << i;
  }
}

void ExpectSameBits(const std::function<std::unique_ptr<Learner>(int threads, bool trains)>& make,
                    const BatchSource& rows) {
  StepReport report;
  const auto first = make(1, true);
  while (first->Step(&report)) continue;
  EXPECT_TRUE(first->done());
  EXPECT_FALSE(first->Step(&report));
  const std::string model = BytesOf(*first);
  const std::vector<double> said = Said(*first, rows);
  for (const int threads : {2, 3, 4, 8}) {
    const auto other = make(threads, true);
    while (other->Step(&report)) continue;
    EXPECT_EQ(Checkpoint(*other), Checkpoint(*first)) << threads << " threads";
    EXPECT_EQ(BytesOf(*other), model) << threads << " threads";
    EXPECT_EQ(Said(*other, rows), said) << threads << " threads";
  }
  auto resumed = make(2, true);
  while (resumed->Step(&report)) {
    const std::string bytes = Checkpoint(*resumed);
    resumed = make(3, true);
    resumed->Load(bytes);
    EXPECT_EQ(resumed->step(), report.step);
    EXPECT_EQ(Checkpoint(*resumed), bytes) << report.step;
  }
  EXPECT_EQ(resumed->step(), first->step());
  EXPECT_EQ(BytesOf(*resumed), model);
  std::string damaged = Checkpoint(*first);
  damaged[damaged.size() / 2] ^= 1;
  EXPECT_ANY_THROW(resumed->Load(damaged));
  const auto alone = make(2, false);
  EXPECT_ANY_THROW(alone->Step(&report));
  alone->SetWeights(first->Weights());
  EXPECT_EQ(Said(*alone, rows), said);
  EXPECT_EQ(BytesOf(*alone), model);
}

}  // namespace beamline::engine::testing
