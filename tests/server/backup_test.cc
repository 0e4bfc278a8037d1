// Backups of a live server, and what starts from them.
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "server/backup.h"
#include "store/connection.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

namespace fs = std::filesystem;

class BackupTest : public ServerTest {
 protected:
  ServerOptions Options() override {
    ServerOptions options = ServerTest::Options();
    options.state_folder = state_;
    return options;
  }
  absl::StatusOr<CopyReport> MakeBackup() {
    return Backup(state_, backup(), [](int64_t, int64_t) {});
  }
  absl::StatusOr<CopyReport> RestoreTo(const std::string& folder) {
    return Restore(backup(), folder, [](int64_t, int64_t) {});
  }
  // The server goes on from the backup, in another folder.
  void StartRestored() {
    server_.reset();
    const std::string folder = folder_.path() + "/restored";
    const auto restored = RestoreTo(folder);
    ASSERT_TRUE(restored.ok()) << restored.status();
    state_ = folder;
    Start();
  }
  std::string backup() const { return folder_.path() + "/backup"; }
  std::string BlobPath(const std::string& digest) const {
    return backup() + "/blobs/" + digest.substr(0, 2) + "/" + digest;
  }

  std::string state_ = folder_.path() + "/state";
};

TEST_F(BackupTest, AServerGoesOnFromItsBackup) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  const auto run = CreateRun("once");
  const auto work = worker.Synchronize(*server_);
  worker.Train(*server_, work.start(0));
  const auto report = MakeBackup();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->copied, report->blobs);
  EXPECT_GE(report->blobs, 3) << "the dataset's file and table, and the model";

  StartRestored();
  EXPECT_EQ(GetTask(run->name(), "fit").state(), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(CreateRun("once")->name(), run->name()) << "answers are still known";
  // It had been given the next step, which is lost with the worker's session.
  worker.Synchronize(*server_);
  Advance(2'000);
  const auto next = worker.Synchronize(*server_);
  ASSERT_EQ(next.start_size(), 1);
  EXPECT_EQ(next.start(0).step(), "release");
  ASSERT_TRUE(worker.Report(*server_, next.start(0), {FakeWorker::Success(1)}).ok());
  EXPECT_EQ(GetRun(run->name()).state(), v1::RUN_STATE_SUCCEEDED);
}

TEST_F(BackupTest, AWorkerOfLaterThanTheBackupHasToJoinAgain) {
  const auto run = CreateRun();
  ASSERT_TRUE(MakeBackup().ok());
  FakeWorker worker(*server_);
  const auto before = worker.Synchronize(*server_);
  ASSERT_EQ(before.start_size(), 1);
  ASSERT_TRUE(worker.Report(*server_, before.start(0), {FakeWorker::Metric(1, 0.5)}).ok());

  StartRestored();
  EXPECT_FALSE(
      Call(server_->workers(), &WorkerApi::Synchronize, worker.principal(), worker.Request(0))
          .ok());
  EXPECT_EQ(GetTask(run->name(), "fit").state(), v1::TASK_STATE_QUEUED);
}

TEST_F(BackupTest, AnAttemptOfLaterThanTheBackupIsForgottenBeforeItsNumberIsGivenAgain) {
  FakeWorker worker(*server_);
  worker.Synchronize(*server_);
  worker.Drain();
  worker.Synchronize(*server_);
  const auto run = CreateRun();
  ASSERT_TRUE(MakeBackup().ok());
  FakeWorker fresh = worker;
  fresh.SetSession("s2");
  const auto resumed = [&] {
    v1::SynchronizeRequest request = fresh.Request(0);
    request.mutable_worker()->set_state(v1::WORKER_STATE_READY);
    return Call(server_->workers(), &WorkerApi::Synchronize, fresh.principal(), request);
  };
  const auto work = resumed();
  ASSERT_TRUE(work.ok()) << work.status();
  ASSERT_EQ(work->start_size(), 1);
  const v1::Attempt later = work->start(0);
  EXPECT_EQ(later.number(), 1);

  StartRestored();
  v1::SynchronizeRequest holding = fresh.Request(0);
  holding.mutable_worker()->set_state(v1::WORKER_STATE_READY);
  holding.add_held()->set_task(later.task());
  holding.mutable_held(0)->set_number(1);
  for (int i = 0; i < 2; ++i) {
    const auto told = Call(server_->workers(), &WorkerApi::Synchronize, fresh.principal(), holding);
    ASSERT_TRUE(told.ok()) << told.status();
    ASSERT_EQ(told->stop_size(), 1);
    EXPECT_TRUE(told->stop(0).forget());
    EXPECT_EQ(told->start_size(), 0) << "not before it has forgotten";
    if (i == 0) Restart();
  }
  const auto again = resumed();
  ASSERT_EQ(again->start_size(), 1);
  EXPECT_EQ(again->start(0).number(), 1);
  ASSERT_TRUE(fresh.Report(*server_, again->start(0), {FakeWorker::Metric(1, 0.5)}).ok());
}

TEST_F(BackupTest, TheSecondBackupCopiesOnlyWhatIsNew) {
  Upload("optics", kCsv);
  const auto first = MakeBackup();
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = MakeBackup();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->blobs, first->blobs);
  EXPECT_EQ(second->copied, 0);
  Upload("optics", std::string(kCsv) + "11,0\n");
  EXPECT_EQ(MakeBackup()->copied, 2);
}

TEST_F(BackupTest, ABackupThatWasKilledLeavesTheOneBefore) {
  const std::string first = Upload("optics", kCsv);
  ASSERT_TRUE(MakeBackup().ok());
  Upload("optics", std::string(kCsv) + "11,0\n");
  // As a kill leaves it: another database begun, some blobs there.
  std::ofstream(backup() + "/beamline.db.new") << "half";
  std::ofstream(backup() + "/blobs/tmp/7") << "half";
  StartRestored();
  v1::ListDatasetsRequest list;
  list.set_parent("projects/optics");
  const auto datasets = Call(server_->datasets(), &DatasetApi::ListDatasets, User("ada"), list);
  ASSERT_EQ(datasets->datasets_size(), 1);
  EXPECT_EQ(datasets->datasets(0).name(), first);
  server_.reset();
  state_ = folder_.path() + "/state";
  EXPECT_TRUE(MakeBackup().ok());
}

TEST_F(BackupTest, DamageIsFound) {
  const std::string dataset = Upload("optics", kCsv);
  ASSERT_TRUE(MakeBackup().ok());
  const std::string digest = Sha256Hex(kCsv);
  std::ofstream(BlobPath(digest), std::ios::in | std::ios::out) << "9";
  const absl::Status damaged = RestoreTo(folder_.path() + "/r1").status();
  EXPECT_TRUE(absl::IsDataLoss(damaged)) << damaged;
  EXPECT_FALSE(fs::exists(folder_.path() + "/r1/beamline.db"));
  fs::remove(BlobPath(digest));
  const absl::Status missing = RestoreTo(folder_.path() + "/r2").status();
  EXPECT_TRUE(absl::IsDataLoss(missing)) << missing;
  EXPECT_NE(missing.message().find(digest), absl::string_view::npos) << missing;
  ASSERT_TRUE(MakeBackup().ok());
  {
    std::fstream database(backup() + "/beamline.db", std::ios::in | std::ios::out);
    database.seekp(8192);
    database << std::string(4096, 'x');
  }
  EXPECT_FALSE(RestoreTo(folder_.path() + "/r3").ok());
  EXPECT_FALSE(fs::exists(folder_.path() + "/r3/beamline.db"));
}

TEST_F(BackupTest, ADatabaseThatContradictsItselfIsNotRestored) {
  ASSERT_TRUE(MakeBackup().ok());
  {
    const auto database =
        store::Connection::Open(backup() + "/beamline.db", store::Connection::Mode::kReadWrite);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE((*database)
                    ->Script("PRAGMA foreign_keys = OFF;"
                             "INSERT INTO members VALUES ('nowhere', 'nobody', 1);")
                    .ok());
  }
  const absl::Status refused = RestoreTo(folder_.path() + "/r4").status();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_FALSE(fs::exists(folder_.path() + "/r4/beamline.db"));
}

TEST_F(BackupTest, FoldersAreNotOverwritten) {
  ASSERT_TRUE(MakeBackup().ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(RestoreTo(state_).status())) << "a server runs there";
  EXPECT_TRUE(absl::IsInvalidArgument(Backup(state_, state_, [](int64_t, int64_t) {}).status()));
  EXPECT_TRUE(absl::IsNotFound(
      Backup(folder_.path() + "/none", backup(), [](int64_t, int64_t) {}).status()));
  // A server may start on a backup itself; then it is one no more.
  server_.reset();
  const std::string state = std::exchange(state_, backup());
  Start();
  server_.reset();
  state_ = state;
  EXPECT_TRUE(absl::IsFailedPrecondition(MakeBackup().status()));
  EXPECT_EQ(fs::status(backup()).permissions() & fs::perms::others_all, fs::perms::none);
}

}  // namespace
}  // namespace beamline::server
