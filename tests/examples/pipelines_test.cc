// The definitions that examples come with are understood, and written as they are read.
#include <google/protobuf/util/message_differencer.h>
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
    const std::string text = pipeline::WriteYaml(parsed.definition);
    const pipeline::ParsedDefinition again = pipeline::ParseDefinition(text);
    EXPECT_EQ(pipeline::FormatViolations(again.violations, path), "") << text;
    EXPECT_TRUE(
        google::protobuf::util::MessageDifferencer::Equals(again.definition, parsed.definition))
        << text;
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace beamline
