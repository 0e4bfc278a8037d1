// What make_fixture.py recorded.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "engine/metrics/metrics.h"

namespace beamline::engine::metrics {

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

inline std::map<std::string, std::vector<double>> ReadFixture() {
  std::ifstream file(std::string(BEAMLINE_SOURCE_DIR) + "/tests/engine/metrics/fixture.txt");
  std::map<std::string, std::vector<double>> values;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    for (double x = 0; words >> x;) values[name].push_back(x);
  }
  return values;
}

class FixtureTest : public ::testing::Test {
 protected:
  Floats Numbers(const std::string& name) const {
    return {values_.at(name).begin(), values_.at(name).end()};
  }
  Ints Codes(const std::string& name) const {
    return {values_.at(name).begin(), values_.at(name).end()};
  }

  const std::map<std::string, std::vector<double>> values_ = ReadFixture();
};

}  // namespace beamline::engine::metrics
