#include "store/audit.h"

#include "base/hash_chain.h"
#include "gmock/gmock.h"
#include "store/backup.h"
#include "store/migrations.h"
#include "store/time.h"
#include "tests/store/fixture.h"

namespace beamline::store {
namespace {

using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

class AuditTest : public StoreTest {
 protected:
  void Append(const std::string& method, const std::string& resource,
              const std::string& principal = "users/ada", absl::Time time = kNow) {
    v1::AuditEntry entry;
    *entry.mutable_time() = ToProto(time);
    entry.set_principal(principal);
    entry.set_method(method);
    entry.set_resource(resource);
    const absl::Status status = Write([&](Writer& w) { return AppendAudit(w, entry); });
    ASSERT_TRUE(status.ok()) << status;
  }
  // Five entries.
  void Fill() {
    Append("RunService.CreateRun", "projects/optics/runs/a");
    Append("RunService.CancelRun", "projects/optics/runs/a", "users/bob", kNow + absl::Hours(1));
    Append("RunService.CreateRun", "projects/acoustics/runs/b");
    Append("AuthService.CreateUser", "users/eve", "users/root");
    Append("ProjectService.SetMember", "projects/optics", "users/root", kNow + absl::Hours(2));
  }
  // What somebody with a tool for SQLite does.
  void Tamper(const std::string& sql) {
    auto connection = Connection::Open(path(), Connection::Mode::kReadWrite);
    ASSERT_TRUE(connection.ok());
    const absl::Status status =
        (*connection)->Script("DROP TRIGGER audit_keeps; DROP TRIGGER audit_stays;" + sql);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::string Wrong(const std::string& known = "") {
    const auto head = CheckAudit(path(), known);
    EXPECT_TRUE(head.ok() || absl::IsDataLoss(head.status())) << head.status();
    return std::string(head.status().message());
  }
  std::vector<int64_t> Listed(const AuditFilter& filter, int64_t before = INT64_MAX,
                              int64_t limit = 100) {
    std::vector<int64_t> sequences;
    const auto entries = ListAudit(Read(), filter, before, limit);
    EXPECT_TRUE(entries.ok()) << entries.status();
    for (const v1::AuditEntry& entry : *entries) sequences.push_back(entry.sequence());
    return sequences;
  }
};

TEST_F(AuditTest, EntriesAreAChainThatAnybodyCanCheck) {
  Fill();
  const auto links = ReadAuditChain(Read(), 0, 100);
  ASSERT_TRUE(links.ok());
  ASSERT_EQ(links->size(), 5u);
  std::string before(64, '0');
  for (const v1::AuditLink& link : *links) {
    EXPECT_EQ(link.hash(), HashChain::Hash(before, link.record()));
    before = link.hash();
  }
  const auto head = CheckAudit(path(), "");
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->sequence, 5);
  EXPECT_EQ(head->hash, before);
  EXPECT_EQ(GetAuditHead(Read())->hash, before);
  EXPECT_EQ(ReadAuditChain(Read(), 3, 1)->front().hash(), (*links)[3].hash());
}

TEST_F(AuditTest, AnEmptyAuditIsWhole) {
  const auto head = CheckAudit(path(), "");
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->sequence, 0);
}

TEST_F(AuditTest, AnEntryOfACommandThatFailsIsNotThere) {
  Append("A", "users/a");
  EXPECT_FALSE(Write([](Writer& w) {
                 EXPECT_TRUE(AppendAudit(w, v1::AuditEntry()).ok());
                 return absl::AbortedError("changed my mind");
               }).ok());
  Append("B", "users/b");
  EXPECT_EQ(Listed({}), (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(Wrong(), "");
}

TEST_F(AuditTest, ListsAreOfAProjectACallerATime) {
  Fill();
  EXPECT_EQ(Listed({}), (std::vector<int64_t>{5, 4, 3, 2, 1}));
  EXPECT_EQ(Listed({}, 4, 2), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(Listed({.project = "optics"}), (std::vector<int64_t>{5, 2, 1}));
  EXPECT_EQ(Listed({.project = "opt"}), std::vector<int64_t>());
  EXPECT_EQ(Listed({.principal = "users/root"}), (std::vector<int64_t>{5, 4}));
  EXPECT_EQ(Listed({.project = "optics", .principal = "users/bob"}), std::vector<int64_t>{2});
  EXPECT_EQ(Listed({.since = kNow + absl::Hours(1)}), (std::vector<int64_t>{5, 2}));
}

TEST_F(AuditTest, TheDatabaseItselfRefusesToChangeEntries) {
  Fill();
  auto connection = Connection::Open(path(), Connection::Mode::kReadWrite);
  EXPECT_FALSE((*connection)->Execute("DELETE FROM audit WHERE sequence = 3").ok());
  EXPECT_FALSE((*connection)->Execute("UPDATE audit SET record = x''").ok());
  EXPECT_EQ(Wrong(), "");
}

TEST_F(AuditTest, AChangedRecordIsFound) {
  Fill();
  Tamper(
      "UPDATE audit SET record = (SELECT record FROM audit WHERE sequence = 2) "
      "WHERE sequence = 3");
  EXPECT_THAT(Wrong(), HasSubstr("entry 3 is not what was written"));
}

TEST_F(AuditTest, AChangedHashIsFound) {
  Fill();
  Tamper("UPDATE audit SET hash = replace(hash, 'a', 'b') WHERE sequence = 3");
  EXPECT_THAT(Wrong(), HasSubstr("entry 3 is not what was written"));
}

TEST_F(AuditTest, AnEntryThatWasTakenOutIsFound) {
  Fill();
  Tamper("DELETE FROM audit WHERE sequence = 3");
  EXPECT_THAT(Wrong(), HasSubstr("entry 3 is missing"));
}

TEST_F(AuditTest, EntriesThatWereRenumberedAreFound) {
  Fill();
  Tamper(
      "DELETE FROM audit WHERE sequence = 3;"
      "UPDATE audit SET sequence = sequence - 1 WHERE sequence > 3;"
      "UPDATE audit_head SET sequence = 4;");
  EXPECT_THAT(Wrong(), HasSubstr("entry 3 is not what was written"));
}

TEST_F(AuditTest, AnEntryThatIsHiddenFromAListIsFound) {
  Fill();
  Tamper("UPDATE audit SET project = 'other' WHERE sequence = 2");
  EXPECT_THAT(Wrong(), HasSubstr("entry 2 is filed under"));
}

// Also by those who ask the server for the chain: it ends there.
TEST_F(AuditTest, TheChainEndsBeforeAnEntryThatIsHiddenFromAList) {
  Fill();
  Tamper("UPDATE audit SET principal = 'users/eve' WHERE sequence = 3");
  EXPECT_EQ(ReadAuditChain(Read(), 0, 100)->size(), 2u);
  EXPECT_EQ(ReadAuditChain(Read(), 0, 2)->size(), 2u);
  const absl::Status wrong = ReadAuditChain(Read(), 2, 100).status();
  EXPECT_TRUE(absl::IsDataLoss(wrong)) << wrong;
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("entry 3 is filed under"));
  EXPECT_EQ(ReadAuditChain(Read(), 3, 100)->size(), 2u);
}

TEST_F(AuditTest, AnEndThatWasCutOffIsFound) {
  Fill();
  Tamper("DELETE FROM audit WHERE sequence > 3");
  EXPECT_THAT(Wrong(), HasSubstr("the end was cut off: there are 3 entries, and 5 were written"));
}

// Whoever also moves the head is found by those who know a hash from before.
TEST_F(AuditTest, AnEndThatWasCutOffWithCareIsFoundByAKnownHead) {
  Fill();
  const std::string known = GetAuditHead(Read())->hash;
  EXPECT_EQ(Wrong(known), "");
  Tamper(
      "DELETE FROM audit WHERE sequence > 3;"
      "UPDATE audit_head SET sequence = 3, hash = (SELECT hash FROM audit WHERE sequence = 3)");
  EXPECT_EQ(Wrong(), "");
  EXPECT_THAT(Wrong(known), HasSubstr("no entry has the hash " + known));
  // The same if others are written in their place.
  Append("X", "users/x");
  Append("Y", "users/y");
  EXPECT_EQ(Wrong(), "");
  EXPECT_THAT(Wrong(known), HasSubstr("no entry has the hash"));
}

TEST_F(AuditTest, ABackupHasTheChain) {
  Fill();
  const std::string copy = folder_.path() + "/copy.db";
  ASSERT_TRUE(CopyDatabase(path(), copy).ok());
  EXPECT_EQ(CheckAudit(copy, "")->hash, GetAuditHead(Read())->hash);
}

TEST_F(AuditTest, EntriesOfAnOlderSchemaBecomeTheBeginningOfTheChain) {
  const std::string old = folder_.path() + "/old.db";
  {
    auto connection = Connection::Open(old, Connection::Mode::kReadWrite);
    ASSERT_TRUE(connection.ok());
    ASSERT_TRUE(Migrate(**connection, Migrations().first(4)).ok());
    ASSERT_TRUE((*connection)
                    ->Script("INSERT INTO users VALUES ('ada', 1, 0);"
                             "INSERT INTO tokens (id, user, secret_hash, description, create_time)"
                             " VALUES ('t', 'ada', x'00', '', 0);"
                             "INSERT INTO audit (time, principal, method, resource, code, peer)"
                             " VALUES (7000000, 'users/ada', 'A', 'projects/p/runs/r', 0, 'x'),"
                             " (8000000, 'users/bob', 'B', 'users/c', 0, 'y')")
                    .ok());
    EXPECT_TRUE(absl::IsFailedPrecondition(CheckAudit(old, "").status()));
  }
  const auto store = Store::Open(old);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto entries = ListAudit((*store)->writer(), {.project = "p"}, INT64_MAX, 10);
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().method(), "A");
  EXPECT_EQ(entries->front().time().seconds(), 7);
  EXPECT_EQ(entries->front().count(), 1);
  EXPECT_EQ(CheckAudit(old, "")->sequence, 2);
  EXPECT_FALSE((*store)->writer().connection().Script("SELECT 1 FROM audit_without_chain").ok());
}

}  // namespace
}  // namespace beamline::store
