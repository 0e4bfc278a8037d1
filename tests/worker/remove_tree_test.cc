// Removing what programs leave: deep, closed, and in disguise.
#include "worker/remove_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"

namespace beamline::worker {
namespace {

namespace fs = std::filesystem;

// In memory, where that is possible: disks take milliseconds for each of many folders.
class InMemory {
 public:
  InMemory() {
    if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 1);
  }
};

class RemoveTreeTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  void Write(const std::string& name) const {
    fs::create_directories(fs::path(Path(name)).parent_path());
    std::ofstream(Path(name)) << "text";
  }
  void ExpectRemoved() const {
    const absl::Status status = RemoveTree(Path("tree"));
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_FALSE(fs::exists(fs::symlink_status(Path("tree"))));
  }
  // Folders "d" in each other below "tree", each with a file beside the next.
  void MakeDeep(int levels) const {
    ASSERT_EQ(mkdir(Path("tree").c_str(), 0700), 0);
    UniqueFd at(open(Path("tree").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (int level = 0; level < levels; ++level) {
      ASSERT_EQ(mkdirat(at.get(), "d", 0700), 0);
      const UniqueFd file(openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      ASSERT_TRUE(file);
      at = UniqueFd(openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      ASSERT_TRUE(at);
    }
  }

  const InMemory in_memory_;
  const TemporaryDirectory folder_;
};

TEST_F(RemoveTreeTest, Nothing) { ExpectRemoved(); }

TEST_F(RemoveTreeTest, AFile) {
  Write("tree");
  ExpectRemoved();
}

TEST_F(RemoveTreeTest, Folders) {
  Write("tree/a/b/c");
  Write("tree/a/b/d/e");
  Write("tree/a/f");
  // Names that it gives itself.
  Write("tree/moved-0/moved-0/moved-0/x");
  Write("tree/moved-1/moved-2/x");
  fs::create_directories(Path("tree/empty/empty/empty"));
  for (int i = 0; i < 1000; ++i)
    Write("tree/many/" + std::to_string(i % 50) + "/" + std::to_string(i));
  ExpectRemoved();
}

TEST_F(RemoveTreeTest, LinksAndFifos) {
  Write("kept/file");
  fs::create_directories(Path("tree/a"));
  fs::create_directory_symlink(Path("kept"), Path("tree/link"));
  fs::create_directory_symlink(Path("kept"), Path("tree/a/link"));
  fs::create_symlink(Path("kept/file"), Path("tree/a/file"));
  fs::create_symlink("loop", Path("tree/a/loop"));
  ASSERT_EQ(mkfifo(Path("tree/a/fifo").c_str(), 0600), 0);
  ASSERT_EQ(mkfifo(Path("tree/fifo").c_str(), 0000), 0);
  ExpectRemoved();
  EXPECT_TRUE(fs::exists(Path("kept/file")));
}

TEST_F(RemoveTreeTest, ALinkInsteadOfATree) {
  Write("kept/file");
  fs::create_directory_symlink(Path("kept"), Path("tree"));
  ExpectRemoved();
  EXPECT_TRUE(fs::exists(Path("kept/file")));
}

TEST_F(RemoveTreeTest, DeepWithFewDescriptors) {
  MakeDeep(20'000);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = 32, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  ExpectRemoved();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(RemoveTreeTest, ClosedFolders) {
  if (geteuid() == 0) GTEST_SKIP() << "root reads and writes whatever the mode is";
  Write("tree/a/b/c/file");
  Write("tree/a/d/file");
  for (const char* name : {"tree/a/b/c", "tree/a/b", "tree/a/d", "tree/a", "tree"}) {
    ASSERT_EQ(chmod(Path(name).c_str(), 0), 0);
  }
  ExpectRemoved();
}

}  // namespace
}  // namespace beamline::worker
