#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/clock.h"
#include "base/digest.h"
#include "base/edit_distance.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/random.h"

namespace beamline {
namespace {

TEST(Sha256, AgreesWithFips180Examples) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, PiecesAndFilesGiveTheSameDigest) {
  Sha256 digest;
  digest.Update("a");
  EXPECT_TRUE(IsSha256Hex(digest.Hex()));
  digest.Update("bc");
  EXPECT_EQ(digest.Hex(), Sha256Hex("abc"));
  const TemporaryDirectory folder;
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/x", "abc").ok());
  EXPECT_EQ(*Sha256HexOfFile(folder.path() + "/x"), Sha256Hex("abc"));
  EXPECT_EQ(Sha256HexOfFile(folder.path() + "/y").status().code(), absl::StatusCode::kNotFound);
}

TEST(File, AtomicWriteReplacesAndSetsMode) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/secret";
  ASSERT_TRUE(WriteFileAtomically(path, "one", 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(path, "two", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "two");
  EXPECT_EQ(ReadFile(path, 2).status().code(), absl::StatusCode::kResourceExhausted);
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(File, FailedWriteSaysWhere) {
  const absl::Status status = WriteFileAtomically("/nonexistent/x", "");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/nonexistent/x"));
}

TEST(Ids, SortByTimeAndKeepTheForm) {
  SeededRandom random(1);
  const absl::Time t = absl::FromUnixSeconds(1'700'000'000);
  const std::string a = NewId("r", t, random);
  const std::string b = NewId("r", t + absl::Milliseconds(1), random);
  EXPECT_LT(a, b);
  EXPECT_EQ(a.size(), 18u);
  EXPECT_TRUE(CheckUserId(a).ok());
}

TEST(Ids, RefusesWhatIsUnsafeInAPath) {
  for (const char* bad : {"", "-a", "a-", "A", "a/b", "..", "a b", "a\n"}) {
    EXPECT_FALSE(CheckUserId(bad).ok()) << bad;
  }
  EXPECT_FALSE(CheckUserId(std::string(64, 'a')).ok());
  EXPECT_TRUE(CheckUserId(std::string(63, 'a')).ok());
}

TEST(DidYouMean, FindsTheNearestOrNothing) {
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("dense", "desne"), 1);
  EXPECT_EQ(DidYouMean("lerning_rate", {"momentum", "learning_rate"}), "learning_rate");
  EXPECT_EQ(DidYouMean("xyz", {"momentum", "learning_rate"}), "");
}

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock;
  const absl::Time start = clock.Now();
  clock.AdvanceMillis(1500);
  EXPECT_EQ(clock.Now() - start, absl::Milliseconds(1500));
  EXPECT_EQ(clock.MonotonicMillis(), 1500);
}

}  // namespace
}  // namespace beamline
