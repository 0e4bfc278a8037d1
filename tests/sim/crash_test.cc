// Deaths at every single change of the disk: while old databases are migrated, and while a backup
// is made. What the process would still do is refused from there on (FreezeAfter); then either the
// machine goes on, or its power is lost with all that was not synced.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/digest.h"
#include "base/file.h"
#include "server/backup.h"
#include "store/backup.h"
#include "store/blob_store.h"
#include "store/connection.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/migrations.h"
#include "store/store.h"
#include "tests/sim/disk.h"
#include "tests/sim/world.h"

namespace beamline::sim {
namespace {

namespace fs = std::filesystem;
using store::Connection;
using store::Row;

std::vector<std::string> Archives() {
  std::vector<std::string> found;
  const std::string folder = absl::StrCat(BEAMLINE_SOURCE_DIR, "/tests/upgrade/states");
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".xz") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Everything that the database at `path` has: a line for each row of each table.
std::string Contents(const std::string& path) {
  const auto connection = Connection::Open(path, Connection::Mode::kReadOnly);
  EXPECT_TRUE(connection.ok()) << connection.status();
  if (!connection.ok()) return "";
  std::vector<std::string> tables;
  EXPECT_TRUE((*connection)
                  ->Query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
                          [&](const Row& row) { tables.emplace_back(row.Text(0)); })
                  .ok());
  std::string all;
  for (const std::string& table : tables) {
    std::vector<std::string> columns;
    EXPECT_TRUE((*connection)
                    ->Query(
                        "SELECT name FROM pragma_table_info(?1)",
                        [&](const Row& row) {
                          columns.push_back(
                              absl::StrCat("quote(\"", std::string(row.Text(0)), "\")"));
                        },
                        table)
                    .ok());
    EXPECT_TRUE((*connection)
                    ->Query(absl::StrCat("SELECT ", absl::StrJoin(columns, " || ',' || "),
                                         " FROM \"", table, "\""),
                            [&](const Row& row) {
                              absl::StrAppend(&all, table, ":", std::string(row.Text(0)), "\n");
                            })
                    .ok());
  }
  return all;
}

int64_t VersionOf(const std::string& path) {
  int64_t version = -1;
  const auto connection = Connection::Open(path, Connection::Mode::kReadOnly);
  EXPECT_TRUE(connection.ok()) << connection.status();
  if (!connection.ok()) return version;
  std::string whole;
  EXPECT_TRUE((*connection)
                  ->Query("PRAGMA integrity_check", [&](const Row& row) { whole = row.Text(0); })
                  .ok());
  EXPECT_EQ(whole, "ok");
  EXPECT_TRUE((*connection)
                  ->Query("PRAGMA user_version", [&](const Row& row) { version = row.Int(0); })
                  .ok());
  return version;
}

// Names of all that its schema has, and the columns of its tables in any order.
std::set<std::string> ShapeOf(const std::string& path) {
  std::set<std::string> shape;
  const auto connection = Connection::Open(path, Connection::Mode::kReadOnly);
  EXPECT_TRUE(connection.ok()) << connection.status();
  if (!connection.ok()) return shape;
  EXPECT_TRUE((*connection)
                  ->Query("SELECT s.type, s.name, c.name, c.type FROM sqlite_schema s "
                          "LEFT JOIN pragma_table_info(s.name) c",
                          [&](const Row& row) {
                            std::string line;
                            for (int i = 0; i < 4; ++i) {
                              absl::StrAppend(&line, std::string(row.Text(i)), " ");
                            }
                            shape.insert(line);
                          })
                  .ok());
  return shape;
}

// Names and digests of all files below.
std::set<std::string> FilesOf(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const auto digest = Sha256HexOfFile(entry.path());
    EXPECT_TRUE(digest.ok()) << digest.status();
    files.insert(
        absl::StrCat(entry.path().lexically_relative(folder).string(), " ", digest.value_or("")));
  }
  return files;
}

class CrashTest : public testing::Test {
 protected:
  // The state of the archive, with a folder of its own.
  std::string Unpack(const std::string& archive) {
    const std::string folder = folder_.path() + "/pristine";
    fs::remove_all(folder);
    fs::create_directories(folder);
    const std::string command =
        absl::StrCat("/usr/bin/python3 -m tarfile -e ", archive, " ", folder);
    EXPECT_EQ(std::system(command.c_str()), 0);
    return folder + "/state";
  }
  // Copies of folders of these names from `from` are what is on the disk now.
  void Lay(const std::string& from, const std::vector<std::string>& names) {
    disk_.reset();
    fs::remove_all(disk_folder());
    fs::remove_all(disk_folder() + ".aside");
    fs::create_directories(disk_folder());
    for (const std::string& name : names) {
      fs::copy(from + "/" + name, disk_folder() + "/" + name, fs::copy_options::recursive);
    }
  }
  // Does `work` up to the change of that number, of which the process dies. False: it ended before.
  // Afterwards the disk works again, until Lay.
  bool DieAt(int64_t change, bool power, const std::function<void()>& work) {
    world_ = std::make_unique<World>(static_cast<uint64_t>(change));
    disk_ = std::make_unique<Disk>(*world_, disk_folder());
    disk_->FreezeAfter(change);
    work();
    const bool died = disk_->frozen();
    disk_->Thaw(died && power);
    return died;
  }
  // Does all of `work`, and then the power goes; what that takes depends on the seed.
  void LosePowerAfter(uint64_t seed, const std::function<void()>& work) {
    world_ = std::make_unique<World>(seed);
    disk_ = std::make_unique<Disk>(*world_, disk_folder());
    work();
    disk_->Thaw(true);
  }
  std::string disk_folder() const { return folder_.path() + "/disk"; }

  const TemporaryDirectory folder_;
  std::unique_ptr<World> world_;
  std::unique_ptr<Disk> disk_;
};

TEST_F(CrashTest, AMigrationThatDiesAnywhereLosesNothing) {
  const auto newest = static_cast<int64_t>(store::Migrations().size());
  ASSERT_FALSE(Archives().empty());
  const std::string fresh = folder_.path() + "/fresh.db";
  ASSERT_TRUE(store::Store::Open(fresh).ok());
  for (const std::string& archive : Archives()) {
    const std::string pristine = Unpack(archive);
    // Blobs have no part in it; and what the log of the killed server holds is copied back before,
    // so that there are few changes.
    fs::remove_all(pristine + "/blobs");
    ASSERT_TRUE(
        Connection::Open(pristine + "/beamline.db", Connection::Mode::kReadWrite).status().ok());
    const std::string path = disk_folder() + "/state/beamline.db";
    Lay(folder_.path() + "/pristine", {"state"});
    const int64_t oldest = VersionOf(path);
    ASSERT_TRUE(store::Store::Open(path).ok());
    const std::string expected = Contents(path);
    EXPECT_NE(expected.find("\nruns:"), std::string::npos);
    EXPECT_EQ(ShapeOf(path), ShapeOf(fresh)) << archive;
    std::set<int64_t> versions;
    int64_t deaths = 0;
    for (const bool power : {false, true}) {
      for (int64_t change = 1;; ++change) {
        SCOPED_TRACE(absl::StrCat(archive, ": change ", change, power ? ", power" : ""));
        Lay(folder_.path() + "/pristine", {"state"});
        const bool died = DieAt(change, power, [&] { store::Store::Open(path).IgnoreError(); });
        deaths += died ? 1 : 0;
        const int64_t version = VersionOf(path);
        EXPECT_GE(version, oldest);
        EXPECT_LE(version, newest);
        versions.insert(version);
        const absl::Status opened = store::Store::Open(path).status();
        ASSERT_TRUE(opened.ok()) << opened;
        ASSERT_EQ(Contents(path), expected);
        if (!died) break;
      }
    }
    std::printf("%s: %lld deaths\n", archive.c_str(), static_cast<long long>(deaths));
    EXPECT_EQ(versions.size(), static_cast<size_t>(newest - oldest + 1))
        << "each version that there is on the way was seen";
  }
}

class BackupCrashTest : public CrashTest {
 protected:
  BackupCrashTest() {
    Unpack(Archives().back());
    const std::string root = folder_.path() + "/pristine";
    EXPECT_TRUE(store::Store::Open(root + "/state/beamline.db").ok());
    fs::create_directories(root + "/state/tls");
    EXPECT_TRUE(WriteFileAtomically(root + "/state/tls/ca.key", "a key", 0600).ok());
    EXPECT_TRUE(MakeBackup(root).ok());
    // What the second backup has, and the first has not.
    const auto store = store::Store::Open(root + "/state/beamline.db");
    const auto blobs = store::BlobStore::Open(root + "/state/blobs");
    auto writer = blobs->Create();
    EXPECT_TRUE(writer->Append("later").ok());
    const auto blob = writer->Finish("");
    EXPECT_TRUE(blob.ok()) << blob.status();
    EXPECT_TRUE((*store)->writer().BeginBatch().ok());
    EXPECT_TRUE(store::InsertUser((*store)->writer(), "later", false, absl::UnixEpoch()).ok());
    EXPECT_TRUE((*store)
                    ->writer()
                    .connection()
                    .Execute("INSERT INTO blob_references VALUES ('default', ?1, 'runs/later', 5)",
                             blob->digest())
                    .ok());
    EXPECT_TRUE((*store)->writer().Commit().ok());
  }

  static absl::Status MakeBackup(const std::string& root) {
    return server::Backup(root + "/state", root + "/backup", [](int64_t, int64_t) {}).status();
  }
  // Whether a state that is restored from the backup has what came later. Everything that it refers
  // to is there, or restoring fails.
  bool RestoredHasLater() {
    const std::string restored = disk_folder() + "/restored";
    fs::remove_all(restored);
    const auto report =
        server::Restore(disk_folder() + "/backup", restored, [](int64_t, int64_t) {});
    EXPECT_TRUE(report.ok()) << report.status();
    if (!report.ok()) return false;
    EXPECT_EQ(ReadFile(restored + "/tls/ca.key").value_or(""), "a key");
    return Contents(restored + "/beamline.db").find("users:'later'") != std::string::npos;
  }
};

TEST_F(BackupCrashTest, ABackupThatDiesAnywhereHarmsNothing) {
  const std::string root = folder_.path() + "/pristine";
  const std::string live = disk_folder() + "/state/beamline.db";
  for (const bool first : {true, false}) {
    if (first) fs::rename(root + "/backup", root + "/backup.kept");
    Lay(root,
        first ? std::vector<std::string>{"state"} : std::vector<std::string>{"state", "backup"});
    const std::string contents = Contents(live);
    const std::set<std::string> blobs = FilesOf(disk_folder() + "/state/blobs");
    int whole = 0;
    int before = 0;
    for (const bool power : {false, true}) {
      for (int64_t change = 1;; ++change) {
        SCOPED_TRACE(
            absl::StrCat("change ", change, power ? ", power" : "", first ? "" : ", second"));
        Lay(root, first ? std::vector<std::string>{"state"}
                        : std::vector<std::string>{"state", "backup"});
        // A server has it open all the while.
        auto server = store::Store::Open(live);
        ASSERT_TRUE(server.ok()) << server.status();
        absl::Status outcome;
        const bool died = DieAt(change, power, [&] { outcome = MakeBackup(disk_folder()); });
        if (power) server = absl::UnavailableError("its power went as well");
        ASSERT_EQ(Contents(live), contents);
        ASSERT_EQ(FilesOf(disk_folder() + "/state/blobs"), blobs);
        if (!died) {
          ASSERT_TRUE(outcome.ok()) << outcome;
        }
        if (fs::exists(disk_folder() + "/backup/beamline.db")) {
          const bool later = RestoredHasLater();
          ++(later ? whole : before);
          EXPECT_FALSE(first && !later) << "a first backup was taken for whole";
          EXPECT_TRUE(later || died);
        } else {
          EXPECT_TRUE(first && died) << "the backup of before is gone";
          EXPECT_FALSE(outcome.ok());
        }
        const absl::Status again = MakeBackup(disk_folder());
        ASSERT_TRUE(again.ok()) << again;
        ASSERT_TRUE(RestoredHasLater());
        if (!died) break;
      }
    }
    std::printf("%d deaths left the backup of before, %d a new one\n", before, whole);
    EXPECT_GT(whole, 1);
    EXPECT_EQ(before > 0, !first);
    if (first) fs::rename(root + "/backup.kept", root + "/backup");
  }
}

TEST_F(BackupCrashTest, WhatWasMadeOutlivesALossOfPower) {
  const std::string root = folder_.path() + "/pristine";
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Lay(root, {"state"});
    absl::Status outcome;
    LosePowerAfter(seed, [&] { outcome = MakeBackup(disk_folder()); });
    ASSERT_TRUE(outcome.ok()) << outcome;
    ASSERT_TRUE(RestoredHasLater());
  }
}

}  // namespace
}  // namespace beamline::sim
