// The definitions that examples come with are understood.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "pipeline/violation.h"
#include "pipeline/yaml.h"

namespace beamline {
namespace {

TEST(Examples, EveryDefinitionIsUnderstood) {
  int found = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(BEAMLINE_SOURCE_DIR "/examples")) {
    if (entry.path().extension() != ".yaml") continue;
    ++found;
    const std::string path = entry.path().string();
    const pipeline::ParsedDefinition parsed = pipeline::ParseDefinition(*ReadFile(path));
    EXPECT_EQ(pipeline::FormatViolations(parsed.violations, path), "");
    EXPECT_GT(parsed.definition.steps_size(), 0) << path;
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace beamline
