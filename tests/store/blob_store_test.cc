#include "store/blob_store.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "store/upload_files.h"

namespace beamline::store {
namespace {

namespace fs = std::filesystem;

class BlobStoreTest : public ::testing::Test {
 protected:
  BlobStoreTest() : store_(Open()) {}

  std::string folder() const { return folder_.path() + "/blobs"; }

  BlobStore Open() {
    auto store = BlobStore::Open(folder());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  absl::StatusOr<v1::Blob> Put(std::string_view bytes, std::string_view digest = "") {
    auto writer = store_.Create();
    EXPECT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE(writer->Append(bytes.substr(0, 3)).ok());
    EXPECT_TRUE(writer->Append(bytes.substr(3)).ok());
    return writer->Finish(digest);
  }

  size_t FilesUnder(const std::string& path) {
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  }

  TemporaryDirectory folder_;
  BlobStore store_;
};

TEST_F(BlobStoreTest, WhatIsWrittenIsReadBackByItsDigest) {
  const auto blob = Put("a particle");
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ(blob->digest(), Sha256Hex("a particle"));
  EXPECT_EQ(blob->size_bytes(), 10);
  const auto reader = store_.OpenForReading(blob->digest());
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(*reader->ReadAt(0, 100), "a particle");
  EXPECT_EQ(*reader->ReadAt(2, 4), "part");
  EXPECT_EQ(*reader->ReadAt(10, 4), "");
  EXPECT_TRUE(absl::IsOutOfRange(reader->ReadAt(11, 4).status()));
  EXPECT_EQ(fs::path(*store_.PathOf(blob->digest())).parent_path().filename(),
            blob->digest().substr(0, 2));
}

TEST_F(BlobStoreTest, AnotherDigestLeavesNothing) {
  EXPECT_TRUE(absl::IsDataLoss(Put("a particle", Sha256Hex("a wave")).status()));
  EXPECT_EQ(FilesUnder(folder()), 0u);
  EXPECT_TRUE(absl::IsNotFound(store_.Stat(Sha256Hex("a particle")).status()));
}

TEST_F(BlobStoreTest, ADigestIsNeverAPath) {
  for (const char* digest : {"", "..", "../../etc/passwd", "ABCDEF"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(store_.OpenForReading(digest).status())) << digest;
  }
}

TEST_F(BlobStoreTest, WhatADeadWriterLeftGoesAtTheNextStart) {
  const auto kept = Put("a particle");
  std::ofstream(store_.TemporaryPath()) << "half a par";
  EXPECT_EQ(FilesUnder(folder()), 2u);
  store_ = Open();
  EXPECT_EQ(FilesUnder(folder()), 1u);
  EXPECT_EQ(store_.Stat(kept->digest())->size_bytes(), 10);
}

TEST_F(BlobStoreTest, ManyWriteTheSameBlob) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 20; ++j) EXPECT_TRUE(Put("a particle").ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(FilesUnder(folder()), 1u);
}

TEST_F(BlobStoreTest, AFileIsAdopted) {
  const std::string path = store_.TemporaryPath();
  std::ofstream(path) << "a wave";
  EXPECT_TRUE(absl::IsDataLoss(store_.Adopt(path, Sha256Hex("a particle")).status()));
  EXPECT_TRUE(fs::exists(path));
  ASSERT_TRUE(store_.Adopt(path, Sha256Hex("a wave")).ok());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(*store_.OpenForReading(Sha256Hex("a wave"))->ReadAt(0, 10), "a wave");
}

TEST(UploadFilesTest, GoesOnFromWhatWasCommitted) {
  const TemporaryDirectory folder;
  const auto files = UploadFiles::Open(folder.path() + "/uploads");
  ASSERT_TRUE(files.ok());
  {
    auto file = files->OpenForAppending("u-1", 0);
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE(file->Append("abcdef").ok());
    EXPECT_TRUE(file->Sync().ok());
  }
  auto again = files->OpenForAppending("u-1", 4);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->Append("EF").ok());
  EXPECT_EQ(*ReadFile(files->PathOf("u-1")), "abcdEF");
  EXPECT_TRUE(absl::IsDataLoss(files->OpenForAppending("u-1", 100).status()));
  EXPECT_EQ(files->List()->size(), 1u);
  EXPECT_TRUE(files->Remove("u-1").ok());
  EXPECT_TRUE(files->Remove("u-1").ok());
  EXPECT_TRUE(files->List()->empty());
}

TEST_F(BlobStoreTest, OnlyWhatIsOldAndWasNotRenewedIsRemoved) {
  const auto put = [&](std::string_view bytes, int hours) {
    const std::string digest = Put(bytes)->digest();
    fs::last_write_time(*store_.PathOf(digest),
                        fs::file_time_type::clock::now() - std::chrono::hours(hours));
    return digest;
  };
  const std::string young = put("young one", 1);
  const std::string old = put("old one", 3);
  const std::string renewed = put("renewed", 3);
  const absl::Time before = absl::FromChrono(std::chrono::system_clock::now()) - absl::Hours(2);
  std::vector<std::string> listed = *store_.ListOld(before);
  std::sort(listed.begin(), listed.end());
  std::vector<std::string> expected = {old, renewed};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(listed, expected);
  EXPECT_EQ(store_.Renew(renewed)->size_bytes(), 7);
  EXPECT_EQ(*store_.RemoveOld(old, before), 7);
  EXPECT_EQ(*store_.RemoveOld(old, before), 0);
  EXPECT_EQ(*store_.RemoveOld(renewed, before), 0);
  EXPECT_EQ(*store_.RemoveOld(young, before), 0);
  EXPECT_TRUE(absl::IsNotFound(store_.Renew(old).status()));
  EXPECT_TRUE(store_.Stat(renewed).ok());
  EXPECT_EQ(FilesUnder(folder()), 2u);
}

}  // namespace
}  // namespace beamline::store
