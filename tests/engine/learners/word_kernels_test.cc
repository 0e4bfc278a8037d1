// The loops of word vectors: each instruction set gives the same bits, near those of plain loops.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/backend/cpu/isa.h"
#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;

// A place with tables of 10 vectors and 20 contexts.
struct Asked {
  Asked(int64_t size, int64_t inputs, int64_t outputs, bool mean)
      : size(size), inputs(inputs), outputs(outputs), mean(mean) {
    const Philox random(7, 1);
    for (int64_t i = 0; i < 10 * size; ++i) vectors.push_back(random.Normal(Next()));
    for (int64_t i = 0; i < 20 * size; ++i) contexts.push_back(random.Normal(Next()));
    for (int32_t i = 0; i < inputs; ++i) input_codes.push_back(i * 3 % 10);
    for (int32_t j = 0; j < outputs; ++j) {
      output_codes.push_back(j * 7 % 20);
      signs.push_back(j == 0 ? 1.0f : j == 2 ? 0.0f : -1.0f);
    }
  }
  uint64_t Next() const { return vectors.size() + contexts.size(); }
  int64_t told() const { return mean ? 1 : inputs; }
  int64_t width() const { return (size + kLanes - 1) / kLanes * kLanes; }

  const int64_t size, inputs, outputs;
  const bool mean;
  std::vector<float> vectors, contexts, signs;
  std::vector<int32_t> input_codes, output_codes;
};

struct Answer {
  double loss = 0;
  std::vector<double> changes;
};

// By the definition, in double.
Answer ByHand(const Asked& asked) {
  const auto told = asked.told(), width = asked.width();
  std::vector<double> x(static_cast<size_t>(told * asked.size));
  for (int64_t i = 0; i < asked.inputs; ++i) {
    const float* from =
        asked.vectors.data() + asked.input_codes[static_cast<size_t>(i)] * asked.size;
    double* to = x.data() + (asked.mean ? 0 : i * asked.size);
    for (int64_t k = 0; k < asked.size; ++k) {
      to[k] += double{from[k]} / static_cast<double>(asked.mean ? asked.inputs : 1);
    }
  }
  Answer answer;
  answer.changes.resize(static_cast<size_t>((told + asked.outputs) * width));
  for (int64_t i = 0; i < told; ++i) {
    const double* of_input = x.data() + i * asked.size;
    for (int64_t j = 0; j < asked.outputs; ++j) {
      const float* y =
          asked.contexts.data() + asked.output_codes[static_cast<size_t>(j)] * asked.size;
      const double sign = asked.signs[static_cast<size_t>(j)];
      double product = 0;
      for (int64_t k = 0; k < asked.size; ++k) product += of_input[k] * double{y[k]};
      answer.loss += std::abs(sign) * std::log1p(std::exp(-sign * product));
      const double error = sign / (1 + std::exp(sign * product));
      for (int64_t k = 0; k < asked.size; ++k) {
        answer.changes[static_cast<size_t>(i * width + k)] += error * double{y[k]};
        answer.changes[static_cast<size_t>((told + j) * width + k)] += error * of_input[k];
      }
    }
  }
  return answer;
}

// What one instruction set makes of it, and of a row to which three of the changes are added.
std::vector<float> Told(const cpu::LearnerKernels& kernels, const Asked& asked,
                        const Answer& expected) {
  const int64_t width = asked.width();
  std::vector<float> room(
      static_cast<size_t>(cpu::RoomOfPlace(asked.told(), asked.outputs, width)));
  std::vector<float> changes(expected.changes.size());
  cpu::WordPlace place{.vectors = asked.vectors.data(),
                       .contexts = asked.contexts.data(),
                       .input_codes = asked.input_codes.data(),
                       .output_codes = asked.output_codes.data(),
                       .signs = asked.signs.data(),
                       .inputs = asked.inputs,
                       .outputs = asked.outputs,
                       .size = asked.size,
                       .width = width,
                       .takes_mean = asked.mean,
                       .room = room.data(),
                       .changes = changes.data()};
  const double loss = kernels.TellPlace(place);
  EXPECT_NEAR(loss, expected.loss, 1e-5 * expected.loss);
  for (size_t i = 0; i < changes.size(); ++i) EXPECT_NEAR(changes[i], expected.changes[i], 1e-5);
  place.changes = nullptr;
  EXPECT_EQ(kernels.TellPlace(place), loss);
  const std::vector<float> first(asked.contexts.begin(), asked.contexts.begin() + asked.size + 1);
  std::vector<float> row = first;
  const std::vector<int32_t> which = {0, 2, 1};
  kernels.AddChanges(changes.data(), width, which.data(), 3, 0.5f, asked.size, row.data());
  const auto step = static_cast<size_t>(width);
  for (size_t k = 0; k + 1 < row.size(); ++k) {
    EXPECT_NEAR(row[k], first[k] + 0.5f * (changes[k] + changes[k + step] + changes[k + 2 * step]),
                1e-5);
  }
  EXPECT_EQ(row.back(), first.back());
  changes.insert(changes.end(), row.begin(), row.end());
  changes.push_back(static_cast<float>(loss));
  return changes;
}

TEST(WordKernelsTest, PlacesAreThoseOfTheDefinition) {
  for (const Asked& asked : {Asked(5, 1, 2, false), Asked(36, 4, 6, false),
                             Asked(100, 7, 15, false), Asked(19, 3, 9, true)}) {
    const Answer expected = ByHand(asked);
    std::vector<std::vector<float>> made;
    for (const cpu::Isa& isa : cpu::Isas()) {
      SCOPED_TRACE(isa.name);
      if (isa.Runs()) made.push_back(Told(isa.learner_kernels, asked, expected));
    }
    for (const std::vector<float>& one : made) EXPECT_EQ(one, made[0]);
  }
}

}  // namespace
}  // namespace beamline::engine
