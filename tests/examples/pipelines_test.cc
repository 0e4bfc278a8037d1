// The definitions that examples come with are understood, and written as they are read. Every
// learner has one.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "base/file.h"
#include "pipeline/learners/registry.h"
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

TEST(Examples, EveryLearnerHasOne) {
  std::set<std::string> learners;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(BEAMLINE_SOURCE_DIR "/examples")) {
    if (entry.path().extension() != ".yaml") continue;
    const auto parsed = pipeline::ParseDefinition(*ReadFile(entry.path().string()));
    for (const v1::Step& step : parsed.definition.steps()) {
      if (step.has_train()) learners.insert(pipeline::LearnerField(step.train()));
    }
  }
  for (const pipeline::LearnerKind& kind : pipeline::LearnerKinds()) {
    EXPECT_TRUE(learners.contains(kind.name)) << kind.name;
  }
}

}  // namespace
}  // namespace beamline
