// What PyTorch did, as the fixtures tell it.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "engine/executor/variables.h"
#include "engine/learners/network_runner.h"

namespace beamline::engine::testing {

// Numbers by name.
using Recording = std::map<std::string, std::vector<float>>;

// The backend to compare: $BEAMLINE_TEST_BACKEND, or "cpu".
inline std::string ParityBackend() {
  const char* name = std::getenv("BEAMLINE_TEST_BACKEND");
  return name != nullptr ? name : "cpu";
}

// The cases of a file of this folder, by name.
inline std::map<std::string, Recording> ReadFixture(const std::string& name) {
  std::ifstream file(std::string(BEAMLINE_SOURCE_DIR) + "/tests/engine/parity/" + name);
  std::map<std::string, Recording> cases;
  Recording* recording = nullptr;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "case") {
      words >> key;
      recording = &cases[key];
      continue;
    }
    for (float x = 0; words >> x;) (*recording)[key].push_back(x);
  }
  return cases;
}

// Gives the variables their recorded initial values; how many there were.
inline int LoadInitial(const Recording& recording, Variables* variables) {
  int loaded = 0;
  for (const auto& [key, values] : recording) {
    if (!key.starts_with("initial:")) continue;
    const std::span<float> to = variables->Get(key.substr(8)).values<float>();
    EXPECT_EQ(to.size(), values.size()) << key;
    if (to.size() == values.size()) std::copy(values.begin(), values.end(), to.begin());
    ++loaded;
  }
  return loaded;
}

// Expects the recorded final values, to `tolerance` relative to 1 + their size.
// How many there were.
inline int ExpectFinal(const Recording& recording, Variables* variables, float tolerance) {
  int compared = 0;
  for (const auto& [key, values] : recording) {
    if (!key.starts_with("final:")) continue;
    const std::span<float> got = variables->Get(key.substr(6)).values<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(got[i], values[i], tolerance * (1 + std::abs(values[i])))
          << key << "[" << i << "]";
    }
    ++compared;
  }
  return compared;
}

// Relative to 1 + the size of what is compared.
struct Tolerance {
  double loss = 5e-6;
  float weights = 5e-5f;
};

// Ten steps of training from the recorded initial values, over batches of the rows in their order:
// expects the recorded loss of each, and the final values, of which there are at least `variables`.
// Returns how many there were.
inline int ExpectTenSteps(const Recording& recording, const NetworkSpec& spec,
                          const BatchSource& source, int64_t batch, int variables,
                          Tolerance tolerance = {}) {
  Variables trained;
  ThreadPool pool(2);
  NetworkRunner runner(spec, source.layout(), batch, NetworkMode::kTraining, &trained, &pool);
  EXPECT_GE(LoadInitial(recording, &trained), variables);
  const std::vector<float>& losses = recording.at("losses");
  EXPECT_EQ(losses.size(), 10u);
  for (size_t step = 0; step < losses.size(); ++step) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < batch; ++i) {
      rows.push_back((i + static_cast<int64_t>(step) * batch) % source.rows());
    }
    runner.Feed(source, rows);
    runner.SetUpdate(
        UpdateNumbers(spec.optimizer, spec.optimizer.learning_rate, static_cast<int64_t>(step)));
    runner.Run(step);
    EXPECT_NEAR(runner.loss(), losses[step], tolerance.loss * (1 + std::abs(losses[step]))) << step;
  }
  const int compared = ExpectFinal(recording, &trained, tolerance.weights);
  EXPECT_GE(compared, variables);
  return compared;
}

}  // namespace beamline::engine::testing
