#include "clients/cli/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"

namespace beamline::cli {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  TemporaryDirectory folder_;
  const std::string path_ = folder_.path() + "/new/config.json";
};

TEST_F(ConfigTest, ReadsWhatItWrote) {
  Config config;
  config.current = "dev";
  config.contexts["dev"] = {"127.0.0.1:7447", "/path/ca.pem", "bl_a_b", "default"};
  config.contexts["lab"] = {"lab:7447", "", "bl_c_d", "physics"};
  ASSERT_TRUE(SaveConfig(path_, config).ok());
  struct stat info = {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto loaded = LoadConfig(path_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->current, "dev");
  EXPECT_EQ(loaded->contexts.at("dev").token, "bl_a_b");
  EXPECT_EQ(loaded->contexts.at("dev").ca, "/path/ca.pem");
  EXPECT_EQ(loaded->contexts.at("lab").project, "physics");
}

TEST_F(ConfigTest, NoFileIsAnEmptyConfig) {
  const auto config = LoadConfig(path_);
  ASSERT_TRUE(config.ok());
  EXPECT_TRUE(config->contexts.empty());
  EXPECT_THAT(std::string(FindContext(*config, "").status().message()), HasSubstr("beamline dev"));
}

TEST_F(ConfigTest, BrokenFilesAreNamed) {
  const std::string path = folder_.path() + "/c.json";
  for (const char* text : {"{", "[]", "{\"contexts\": {\"x\": {}}}"}) {
    ASSERT_TRUE(WriteFileAtomically(path, text).ok());
    const auto config = LoadConfig(path);
    EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << text;
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(path));
  }
}

TEST_F(ConfigTest, FindsAndSuggestsContexts) {
  Config config;
  config.current = "lab";
  config.contexts["dev"].server = "a:1";
  config.contexts["lab"].server = "b:2";
  EXPECT_EQ(FindContext(config, "")->server, "b:2");
  EXPECT_EQ(FindContext(config, "dev")->server, "a:1");
  EXPECT_THAT(std::string(FindContext(config, "dve").status().message()),
              HasSubstr("did you mean \"dev\"?"));
}

}  // namespace
}  // namespace beamline::cli
