#include "store/store.h"

#include "store/identity.h"
#include "store/migrations.h"
#include "store/runs.h"
#include "store/trials.h"
#include "tests/store/fixture.h"

namespace beamline::store {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

bool HasUser(const View& view, const char* user) { return GetUser(view, user).ok(); }

TEST_F(StoreTest, WhatIsCommittedIsThereAfterARestart) {
  ASSERT_TRUE(Write([](Writer& w) { return InsertUser(w, "ada", false, kNow); }).ok());
  Reopen();
  EXPECT_TRUE(HasUser(Read(), "ada"));
}

TEST_F(StoreTest, ACommandThatFailsIsUndoneAlone) {
  Writer& writer = store_->writer();
  ASSERT_TRUE(writer.BeginBatch().ok());
  EXPECT_TRUE(writer.RunCommand([&] { return InsertUser(writer, "ada", false, kNow); }).ok());
  EXPECT_TRUE(absl::IsAborted(writer.RunCommand([&] {
    EXPECT_TRUE(InsertUser(writer, "bob", false, kNow).ok());
    return absl::AbortedError("changed my mind");
  })));
  EXPECT_TRUE(absl::IsAlreadyExists(
      writer.RunCommand([&] { return InsertUser(writer, "ada", false, kNow); })));
  EXPECT_TRUE(writer.RunCommand([&] { return InsertUser(writer, "eve", false, kNow); }).ok());
  EXPECT_FALSE(HasUser(Read(), "ada")) << "visible before the commit";
  ASSERT_TRUE(writer.Commit().ok());
  EXPECT_FALSE(writer.broken());
  EXPECT_TRUE(HasUser(Read(), "ada"));
  EXPECT_FALSE(HasUser(Read(), "bob"));
  EXPECT_TRUE(HasUser(Read(), "eve"));
}

TEST_F(StoreTest, AReaderKeepsItsSnapshot) {
  const Reader before = Read();
  EXPECT_FALSE(HasUser(before, "ada"));
  ASSERT_TRUE(Write([](Writer& w) { return InsertUser(w, "ada", false, kNow); }).ok());
  EXPECT_FALSE(HasUser(before, "ada"));
  EXPECT_TRUE(HasUser(Read(), "ada"));
}

TEST_F(StoreTest, AReaderCannotWrite) {
  const Reader reader = Read();
  EXPECT_FALSE(reader.connection().Execute("DELETE FROM users").ok());
}

TEST_F(StoreTest, ANewerSchemaIsRefused) {
  ASSERT_TRUE(store_->writer().connection().Script("PRAGMA user_version = 99").ok());
  store_.reset();
  const auto opened = Store::Open(path());
  ASSERT_TRUE(absl::IsFailedPrecondition(opened.status()));
  EXPECT_NE(opened.status().message().find("schema version 99"), absl::string_view::npos);
}

TEST_F(StoreTest, AnotherProgramsFileIsRefused) {
  const std::string foreign = folder_.path() + "/foreign.db";
  {
    auto connection = Connection::Open(foreign, Connection::Mode::kReadWrite);
    ASSERT_TRUE((*connection)->Script("CREATE TABLE theirs (x)").ok());
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(Store::Open(foreign).status()));
  ASSERT_TRUE(WriteFileAtomically(foreign, std::string(8192, 'x')).ok());
  EXPECT_TRUE(absl::IsDataLoss(Store::Open(foreign).status()));
}

TEST_F(StoreTest, AMigrationThatFailsLeavesTheVersionBefore) {
  const Migration migrations[] = {{"CREATE TABLE one (x INTEGER) STRICT"},
                                  {"CREATE TABLE two (x INTEGER) STRICT; INSERT INTO nowhere"}};
  auto connection = Connection::Open(folder_.path() + "/other.db", Connection::Mode::kReadWrite);
  ASSERT_TRUE(connection.ok());
  EXPECT_FALSE(Migrate(**connection, migrations).ok());
  EXPECT_TRUE((*connection)->Execute("INSERT INTO one VALUES (1)").ok());
  EXPECT_FALSE((*connection)->Execute("INSERT INTO two VALUES (1)").ok());
  int64_t version = 0;
  ASSERT_TRUE((*connection)
                  ->Query("PRAGMA user_version", [&](const Row& row) { version = row.Int(0); })
                  .ok());
  EXPECT_EQ(version, 1);
  const Migration repaired[] = {migrations[0], {"CREATE TABLE two (x INTEGER) STRICT"}};
  EXPECT_TRUE(Migrate(**connection, repaired).ok());
  EXPECT_TRUE((*connection)->Execute("INSERT INTO two VALUES (1)").ok());
}

TEST_F(StoreTest, RunsOfAnOlderSchemaAreCounted) {
  auto connection = Connection::Open(folder_.path() + "/old.db", Connection::Mode::kReadWrite);
  ASSERT_TRUE(connection.ok());
  ASSERT_TRUE(Migrate(**connection, Migrations().first(1)).ok());
  ASSERT_TRUE((*connection)
                  ->Script("PRAGMA foreign_keys = OFF;"
                           "INSERT INTO runs (id, project, pipeline, state, last_sequence, message,"
                           " definition) VALUES ('a', 'p', 'x', 1, 0, x'', x''),"
                           " ('b', 'p', 'x', 1, 0, x'', x''), ('c', 'q', 'x', 3, 0, x'', x'')")
                  .ok());
  ASSERT_TRUE(Migrate(**connection, Migrations()).ok());
  std::vector<int64_t> counts;
  ASSERT_TRUE((*connection)
                  ->Query("SELECT runs FROM run_counts ORDER BY project",
                          [&](const Row& row) { counts.push_back(row.Int(0)); })
                  .ok());
  EXPECT_EQ(counts, (std::vector<int64_t>{2, 1}));
}

TEST_F(StoreTest, TasksAndAttemptsOfAnOlderSchemaKeepTheirNames) {
  const std::string path = folder_.path() + "/old.db";
  {
    auto connection = Connection::Open(path, Connection::Mode::kReadWrite);
    ASSERT_TRUE(connection.ok());
    ASSERT_TRUE(Migrate(**connection, Migrations().first(2)).ok());
    ASSERT_TRUE(
        (*connection)
            ->Script("INSERT INTO projects VALUES ('p', 0, x'');"
                     "INSERT INTO workers VALUES ('w', '', '', '', 0, 0, x'');"
                     "INSERT INTO runs (id, project, pipeline, state, last_sequence, message,"
                     " definition) VALUES ('r', 'p', 'x', 2, 0, x'', x'');"
                     "INSERT INTO tasks (run, step, position, state, queued_at, message)"
                     " VALUES ('r', 'fit', 0, 3, 0, x'');"
                     "INSERT INTO attempts (run, step, number, worker, live, cpu_millis,"
                     " memory_bytes, message) VALUES ('r', 'fit', 1, 'w', 1, 1000, 1, x'')")
            .ok());
  }
  const auto store = Store::Open(path);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(GetTask((*store)->writer(), "r", "fit").ok());
  EXPECT_EQ(ListLiveAttempts((*store)->writer(), "w")->size(), 1u);
  EXPECT_EQ(*CountLiveTasks((*store)->writer(), "r"), 1);
  EXPECT_TRUE(ListTrials((*store)->writer(), "r", "fit")->empty());
}

}  // namespace
}  // namespace beamline::store
