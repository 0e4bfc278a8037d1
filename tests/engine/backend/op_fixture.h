// The fixture of tests that run an op on every backend present.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/error.h"
#include "tests/engine/backend/numeric_gradient.h"

namespace beamline::engine::testing {

inline std::vector<std::string> AllBackends() {
  return {"reference", "cpu/generic", "cpu/avx2", "cpu/avx512", "cuda", "cuda/emulated"};
}

inline std::string BackendTestName(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name) c = c == '/' ? '_' : c;
  return name;
}

inline Value P(Graph& g, const std::string& name, const Shape& shape) {
  return g.Parameter(name, shape, {});
}

class BackendTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    try {
      FindBackend(GetParam());
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
  void Check(const BuildFn& build, const GradientCheck& check = {}) {
    CheckGradients(GetParam(), build, check);
  }
};

}  // namespace beamline::engine::testing
