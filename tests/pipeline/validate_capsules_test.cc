// Definitions of networks of capsules.
#include <gtest/gtest.h>

#include <string>

#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::Case;
using testing::ValidateTest;

// Changes that make the base definition a network of capsules.
constexpr char kCapsules[] =
    "steps.train.train.network.loss: {margin: {}}, "
    "steps.train.train.network.layers: [{reshape: {shape: [2, 2, 1]}}, {name: first, "
    "primary_capsules: {count: 2, dimension: 4, kernel: [2], padding: same}}, {name: digits, "
    "capsules: {count: 3, dimension: 5}}, {capsule_length: {}}]";

constexpr Case kCases[] = {
    {"", ""},
    {"steps.train.train.network.loss: {margin: {absent_weight: 0.25}, balanced: true}", ""},
    {"steps.train.train.network.loss: {cross_entropy: {}}", ""},
    {"steps.train.train.network.layers.digits.capsules.count: 4",
     "steps.train.train.network.layers.3: the last layer gives 4 numbers but the target has 3 "
     "classes: set count of the capsules before it to 3\n"},
    {"steps.train.train.network.layers.digits.capsules.iterations: 101",
     "steps.train.train.network.layers.2.capsules.iterations: must be from 1 to 100, not 101\n"},
    {"steps.train.train.network.layers: [{reshape: {shape: [2, 2, 1]}}, {primary_capsules: "
     "{stride: [0]}}, {capsules: {dimension: 2000}}, {capsule_length: {}}]",
     "steps.train.train.network.layers.1.primary_capsules.count: must be from 1 to 65536, not 0\n"
     "steps.train.train.network.layers.1.primary_capsules.dimension: must be from 1 to 1024, not "
     "0\n"
     "steps.train.train.network.layers.1.primary_capsules.kernel: is missing: one number for all "
     "axes, or one per axis\n"
     "steps.train.train.network.layers.1.primary_capsules.stride.0: must be from 1 to 65536, not "
     "0\n"
     "steps.train.train.network.layers.2.capsules.count: must be from 1 to 65536, not 0\n"
     "steps.train.train.network.layers.2.capsules.dimension: must be from 1 to 1024, not 2000\n"},
    {"steps.train.train.network.layers: [{reshape: {shape: [2, 2, 1]}}, {primary_capsules: {count: "
     "2, dimension: 4, kernel: [2]}}, {capsules: {count: 3, dimension: 5}}]",
     "steps.train.train.network.layers.2: the loss margin is of the lengths of capsules: add \"- "
     "capsule_length: {}\" after it\n"},
    {"steps.train.train.network.layers: [{dense: {}}]",
     "steps.train.train.network.layers.0: the loss margin is of the lengths of capsules: add \"- "
     "capsule_length: {}\" after it\n"},
    {"steps.train.train.network.layers: [{name: hidden, dense: {units: 8}}, {name: digits, "
     "capsules: {count: 3, dimension: 5}}, {capsule_length: {}}]",
     "steps.train.train.network: layer \"digits\" expects capsules [batch, capsules, dimension] "
     "but gets [32, 8]: put primary_capsules before it\n"},
    {"steps.train.train.network.layers: [{name: first, primary_capsules: {count: 2, dimension: 4, "
     "kernel: [2]}}, {capsules: {count: 3, dimension: 5}}, {capsule_length: {}}]",
     "steps.train.train.network: layer \"first\" expects images [batch, height, width, channels] "
     "or sequences [batch, steps, channels] but gets [32, 4]: put \"reshape: {shape: [2, 2, 1]}\" "
     "before it\n"},
};

TEST_F(ValidateTest, ChecksCapsules) {
  for (const Case& test : kCases) {
    const std::string base = test.changes[0] == '\0' ? kCapsules : std::string(kCapsules) + ", ";
    EXPECT_EQ(Check("{" + base + test.changes + "}"), test.errors) << test.changes;
  }
}

}  // namespace
}  // namespace beamline::pipeline
