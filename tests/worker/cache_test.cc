#include "worker/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/digest.h"
#include "base/file.h"

namespace beamline::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CacheTest : public ::testing::Test {
 protected:
  CacheTest() { Open(); }

  void Open(int64_t max_bytes = 100) {
    cache_.reset();
    auto cache = BlobCache::Open(Folder(), max_bytes);
    ASSERT_TRUE(cache.ok()) << cache.status();
    cache_ = *std::move(cache);
  }
  std::string Folder() const { return folder_.path() + "/cache"; }
  std::string PathOf(const std::string& content) const {
    return Folder() + "/" + Sha256Hex(content);
  }
  // Gets the blob with this content from a server that sends `sent`.
  absl::StatusOr<BlobCache::Pin> GetFrom(const std::string& content, const std::string& sent) {
    return cache_->Get(
        Sha256Hex(content), static_cast<int64_t>(content.size()), [&](const BlobCache::Sink& sink) {
          ++fetches_;
          const absl::Status first = sink(sent.substr(0, 4));
          return first.ok() ? sink(sent.substr(std::min<size_t>(4, sent.size()))) : first;
        });
  }
  absl::StatusOr<BlobCache::Pin> Get(const std::string& content) {
    return GetFrom(content, content);
  }
  size_t FileCount() const {
    const std::filesystem::directory_iterator files(Folder());
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

  TemporaryDirectory folder_;
  std::unique_ptr<BlobCache> cache_;
  std::atomic<int> fetches_ = 0;
};

TEST_F(CacheTest, FetchesOnceAndServesFromDisk) {
  auto first = Get("some content");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*ReadFile(first->path()), "some content");
  ASSERT_TRUE(Get("some content").ok());
  EXPECT_EQ(fetches_, 1);
  first = BlobCache::Pin();
  Open();
  ASSERT_TRUE(Get("some content").ok());
  EXPECT_EQ(fetches_, 1) << "survives a restart";
}

TEST_F(CacheTest, RefusesOtherBytesAndLeavesNothing) {
  EXPECT_TRUE(absl::IsDataLoss(GetFrom("right bytes", "wrong bytes").status()));
  EXPECT_TRUE(absl::IsDataLoss(GetFrom("right bytes", "right").status()));
  EXPECT_TRUE(absl::IsDataLoss(GetFrom("right bytes", "right bytes and more").status()));
  EXPECT_EQ(FileCount(), 0u);
  EXPECT_EQ(cache_->SizeBytes(), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(
      cache_->Get("../../etc/passwd", 1, [](const auto&) { return absl::OkStatus(); }).status()));
  ASSERT_TRUE(Get("right bytes").ok());
}

TEST_F(CacheTest, CorruptionOnDiskIsFoundAndRepaired) {
  ASSERT_TRUE(Get("precious").ok());
  std::filesystem::permissions(PathOf("precious"), std::filesystem::perms::owner_all);
  ASSERT_TRUE(WriteFileAtomically(PathOf("precious"), "precIous").ok());
  Open();
  auto again = Get("precious");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*ReadFile(again->path()), "precious");
  EXPECT_EQ(fetches_, 2);
  again = BlobCache::Pin();
  std::filesystem::permissions(PathOf("precious"), std::filesystem::perms::owner_all);
  std::filesystem::resize_file(PathOf("precious"), 3);
  Open();
  ASSERT_TRUE(Get("precious").ok());
  EXPECT_EQ(fetches_, 3);
}

TEST_F(CacheTest, CrashLeftoversGoAtTheStart) {
  ASSERT_TRUE(WriteFileAtomically(PathOf("half") + ".partial", "ha").ok());
  ASSERT_TRUE(WriteFileAtomically(Folder() + "/README", "not ours").ok());
  Open();
  EXPECT_EQ(FileCount(), 0u);
}

TEST_F(CacheTest, TheLeastRecentlyUsedGoesFirstAndNothingThatIsHeld) {
  const std::string a(40, 'a'), b(40, 'b'), c(40, 'c'), d(40, 'd');
  ASSERT_TRUE(Get(a).ok());
  auto held = Get(b);
  ASSERT_TRUE(held.ok());
  ASSERT_TRUE(Get(c).ok());
  EXPECT_THAT(cache_->Digests(10), ElementsAre(Sha256Hex(c), Sha256Hex(b)));
  auto also_held = Get(c);
  EXPECT_TRUE(absl::IsResourceExhausted(Get(d).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(Get(std::string(101, 'x')).status()));
  held = BlobCache::Pin();
  ASSERT_TRUE(Get(d).ok());
  EXPECT_THAT(cache_->Digests(1), ElementsAre(Sha256Hex(d)));
  EXPECT_EQ(cache_->SizeBytes(), 80);
  EXPECT_FALSE(std::filesystem::exists(PathOf(b)));
}

TEST_F(CacheTest, AFullDiskOfAnEarlierRunIsCutToSize) {
  ASSERT_TRUE(Get(std::string(40, 'a')).ok());
  ASSERT_TRUE(Get(std::string(40, 'b')).ok());
  Open(50);
  EXPECT_EQ(cache_->SizeBytes(), 40);
  EXPECT_EQ(FileCount(), 1u);
}

TEST_F(CacheTest, ConcurrentCallersShareOneDownloadAndAFailureGoesToTheNext) {
  std::atomic<int> fetches = 0;
  std::atomic<int> successes = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      const auto pin = cache_->Get(Sha256Hex("shared"), 6, [&](const BlobCache::Sink& sink) {
        // The first one to try fails.
        if (fetches++ == 0) return absl::UnavailableError("away");
        return sink("shared");
      });
      if (pin.ok()) ++successes;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(successes, 7);
  EXPECT_EQ(fetches, 2);
}

TEST_F(CacheTest, AdoptsAFile) {
  ASSERT_TRUE(WriteFileAtomically(folder_.path() + "/made", "made here").ok());
  cache_->Adopt(folder_.path() + "/made", Sha256Hex("made here"), 9);
  const auto pin = Get("made here");
  ASSERT_TRUE(pin.ok());
  EXPECT_EQ(fetches_, 0);
  EXPECT_THAT(cache_->Digests(0), IsEmpty());
}

}  // namespace
}  // namespace beamline::worker
