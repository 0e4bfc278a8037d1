#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/server/harness.h"

namespace beamline::server {
namespace {

class DatasetTest : public ServerTest {
 protected:
  ServerOptions Options() override {
    ServerOptions options = ServerTest::Options();
    options.limits.max_upload_bytes = 1 << 20;
    options.limits.max_storage_bytes = 100'000;
    options.limits.max_uploads = 3;
    return options;
  }
  absl::StatusOr<v1::Dataset> Get(const std::string& name) {
    v1::GetDatasetRequest request;
    request.set_name(name);
    return Call(server_->datasets(), &DatasetApi::GetDataset, User("ada"), request);
  }
  absl::StatusOr<v1::Upload> GetUpload(const std::string& name) {
    v1::GetUploadRequest request;
    request.set_name(name);
    return Call(server_->datasets(), &DatasetApi::GetUpload, User("ada"), request);
  }
};

TEST_F(DatasetTest, AFileBecomesATable) {
  const std::string name = Upload("optics", kCsv);
  EXPECT_EQ(name, "projects/optics/datasets/" + Sha256Hex(kCsv));
  const auto dataset = Get(name);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->row_count(), 10);
  ASSERT_EQ(dataset->columns_size(), 2);
  EXPECT_EQ(dataset->columns(0).name(), "x");
  EXPECT_EQ(dataset->columns(0).statistics().mean(), 5.5);
  EXPECT_EQ(dataset->creator(), "users/ada");
  v1::DownloadDatasetRequest download;
  download.set_name(name);
  download.set_offset(4);
  auto source = server_->datasets().DownloadDataset(User("ada"), download);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(*source->Next(), std::string(kCsv).substr(4));
  EXPECT_EQ(*source->Next(), "");
  v1::ListDatasetsRequest list;
  list.set_parent("projects/optics");
  const auto listed = Call(server_->datasets(), &DatasetApi::ListDatasets, User("ada"), list);
  ASSERT_EQ(listed->datasets_size(), 1);
  EXPECT_FALSE(listed->datasets(0).columns(0).has_statistics());
}

TEST_F(DatasetTest, AnUploadGoesOnWhereItStoppedAlsoAfterARestart) {
  const std::string bytes = kCsv;
  const auto begun = Begin("optics", bytes);
  ASSERT_TRUE(begun.ok()) << begun.status();
  const std::string upload = begun->upload().name();
  EXPECT_EQ(Write(upload, 0, bytes.substr(0, 10))->committed_size_bytes(), 10);
  EXPECT_TRUE(absl::IsOutOfRange(Write(upload, 20, bytes.substr(20)).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Finish(upload).status()));
  Restart();
  const auto again = Begin("optics", bytes);
  EXPECT_EQ(again->upload().name(), upload);
  EXPECT_EQ(again->upload().committed_size_bytes(), 10);
  EXPECT_EQ(Write(upload, 5, bytes.substr(5))->committed_size_bytes(),
            static_cast<int64_t>(bytes.size()))
      << "what is there already is skipped";
  const auto dataset = Finish(upload);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(Finish(upload)->name(), dataset->name()) << "finishing twice is the same";
  EXPECT_EQ(Begin("optics", bytes)->dataset().name(), dataset->name());
}

TEST_F(DatasetTest, AStreamThatBreaksKeepsWhatCame) {
  const auto begun = Begin("optics", kCsv);
  v1::WriteUploadRequest first;
  first.set_upload(begun->upload().name());
  {
    auto sink = server_->datasets().WriteUpload(User("ada"), first);
    ASSERT_TRUE(sink.ok());
    ASSERT_TRUE((*sink)->Write(0, "x,y\n").ok());
    EXPECT_TRUE(absl::IsAborted(server_->datasets().WriteUpload(User("ada"), first).status()));
  }
  v1::ListQueueRequest barrier;
  ASSERT_TRUE(Call(server_->cluster(), &ClusterApi::ListQueue, Operator(), barrier).ok());
  EXPECT_EQ(GetUpload(begun->upload().name())->committed_size_bytes(), 4);
}

TEST_F(DatasetTest, OtherBytesThanAnnouncedAreLost) {
  const auto begun = Begin("optics", kCsv);
  std::string damaged = kCsv;
  damaged[5] = '9';
  ASSERT_TRUE(Write(begun->upload().name(), 0, damaged).ok());
  EXPECT_TRUE(absl::IsDataLoss(Finish(begun->upload().name()).status()));
  EXPECT_TRUE(absl::IsNotFound(GetUpload(begun->upload().name()).status()));
  EXPECT_EQ(Begin("optics", kCsv)->upload().committed_size_bytes(), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(
      Write(Begin("optics", kCsv)->upload().name(), 0, std::string(kCsv) + "more").status()));
}

TEST_F(DatasetTest, AFileThatIsNoTableLeavesNothing) {
  const std::string bytes = "x,y\n1,2\n3\n";
  const auto begun = Begin("optics", bytes);
  ASSERT_TRUE(Write(begun->upload().name(), 0, bytes).ok());
  const absl::Status status = Finish(begun->upload().name()).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(status.message().find("line 3"), absl::string_view::npos) << status;
  EXPECT_TRUE(absl::IsNotFound(GetUpload(begun->upload().name()).status()));
  EXPECT_TRUE(absl::IsNotFound(Get("projects/optics/datasets/" + Sha256Hex(bytes)).status()));
}

TEST_F(DatasetTest, SeveralArraysAreOneTableButOtherFilesAreNot) {
  const std::string images("\0\0\x08\3\0\0\0\1\0\0\0\1\0\0\0\2\5\6", 18);
  const std::string labels("\0\0\x08\1\0\0\0\1\7", 9);
  const auto upload = [&](const std::string& bytes) {
    v1::BeginUploadRequest begin;
    begin.set_parent("projects/optics");
    begin.mutable_source()->set_digest(Sha256Hex(bytes));
    begin.mutable_source()->set_size_bytes(static_cast<int64_t>(bytes.size()));
    begin.set_display_name("two files");
    begin.set_file_count(2);
    const auto begun =
        Call(server_->datasets(), &DatasetApi::BeginUpload, User("ada"), begin).value();
    EXPECT_TRUE(Write(begun.upload().name(), 0, bytes).ok());
    return Finish(begun.upload().name());
  };
  const auto dataset = upload(images + labels);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->name(), "projects/optics/datasets/" + Sha256Hex(images + labels));
  ASSERT_EQ(dataset->columns_size(), 2);
  EXPECT_EQ(dataset->columns(0).name(), "image");
  EXPECT_EQ(dataset->columns(0).item_shape_size(), 2);
  EXPECT_EQ(dataset->columns(1).name(), "label");
  // One file of these bytes is the same dataset.
  EXPECT_EQ(Begin("optics", images + labels)->dataset().name(), dataset->name());
  const absl::Status refused = upload(std::string(kCsv) + kCsv).status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_NE(refused.message().find("2 files make no table"), absl::string_view::npos) << refused;
}

TEST_F(DatasetTest, AnotherProjectsBytesAreNeitherSeenNorSaved) {
  const std::string name = Upload("optics", kCsv);
  const auto begun = Begin("acoustics", kCsv);
  ASSERT_TRUE(begun.ok());
  EXPECT_FALSE(begun->has_dataset());
  EXPECT_EQ(begun->upload().committed_size_bytes(), 0) << "all bytes have to be sent again";
  EXPECT_TRUE(absl::IsNotFound(Get("projects/acoustics/datasets/" + Sha256Hex(kCsv)).status()));
  v1::CreateRunRequest run = RunRequest();
  run.set_parent("projects/acoustics");
  (*run.mutable_inputs())["points"] = name;
  EXPECT_FALSE(Call(server_->runs(), &RunApi::CreateRun, User("ada"), run).ok());
}

TEST_F(DatasetTest, OtherOptionsMakeAnotherDataset) {
  Upload("optics", kCsv);
  v1::BeginUploadRequest request;
  request.set_parent("projects/optics");
  request.mutable_source()->set_digest(Sha256Hex(kCsv));
  request.mutable_source()->set_size_bytes(static_cast<int64_t>(std::string(kCsv).size()));
  request.mutable_options()->set_header(v1::ImportOptions::HEADER_ABSENT);
  const auto begun = Call(server_->datasets(), &DatasetApi::BeginUpload, User("ada"), request);
  ASSERT_TRUE(begun.ok()) << begun.status();
  ASSERT_TRUE(Write(begun->upload().name(), 0, kCsv).ok());
  const auto dataset = Finish(begun->upload().name());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->row_count(), 11);
  EXPECT_EQ(dataset->name().size(), std::string("projects/optics/datasets/").size() + 64 + 9);
}

TEST_F(DatasetTest, BoundsAreKept) {
  const auto begin = [&](const std::string& digest, int64_t size) {
    v1::BeginUploadRequest request;
    request.set_parent("projects/optics");
    request.mutable_source()->set_digest(digest);
    request.mutable_source()->set_size_bytes(size);
    return Call(server_->datasets(), &DatasetApi::BeginUpload, User("ada"), request).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(begin("short", 10)));
  EXPECT_TRUE(absl::IsInvalidArgument(begin(Sha256Hex("a"), 0)));
  EXPECT_TRUE(absl::IsInvalidArgument(begin(Sha256Hex("a"), 2 << 20)));
  EXPECT_TRUE(absl::IsInvalidArgument(begin(Sha256Hex("a"), -1)));
  EXPECT_TRUE(absl::IsResourceExhausted(begin(Sha256Hex("a"), 200'000))) << "storage";
  for (const char* text : {"a", "b", "c"}) EXPECT_TRUE(begin(Sha256Hex(text), 10).ok());
  const absl::Status full = begin(Sha256Hex("d"), 10);
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_TRUE(full.GetPayload("type.googleapis.com/google.rpc.RetryInfo").has_value());
}

TEST_F(DatasetTest, TheTableCountsAsStorageToo) {
  std::string text = "x\n";
  for (int row = 0; text.size() < 60'000; ++row) absl::StrAppend(&text, row, "\n");
  const auto begun = Begin("optics", text);
  ASSERT_TRUE(begun.ok()) << begun.status();
  ASSERT_TRUE(Write(begun->upload().name(), 0, text).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Finish(begun->upload().name()).status()));
  EXPECT_TRUE(GetUpload(begun->upload().name()).ok()) << "can be finished when there is room";
  v1::UpdateProjectRequest update;
  update.mutable_project()->set_name("projects/optics");
  update.mutable_project()->mutable_quota()->set_max_storage_bytes(1 << 20);
  ASSERT_TRUE(Call(server_->projects(), &ProjectApi::UpdateProject, Operator(), update).ok());
  EXPECT_TRUE(Finish(begun->upload().name()).ok());
}

TEST_F(DatasetTest, ADatasetInUseIsNotDeleted) {
  const auto run = CreateRun();
  ASSERT_TRUE(run.ok()) << run.status();
  v1::DeleteDatasetRequest request;
  request.set_name("projects/optics/datasets/" + Sha256Hex(kCsv));
  const auto remove = [&] {
    return Call(server_->datasets(), &DatasetApi::DeleteDataset, User("ada"), request).status();
  };
  EXPECT_TRUE(absl::IsFailedPrecondition(remove()));
  v1::CancelRunRequest cancel;
  cancel.set_name(run->name());
  ASSERT_TRUE(Call(server_->runs(), &RunApi::CancelRun, User("ada"), cancel).ok());
  EXPECT_TRUE(remove().ok());
  EXPECT_TRUE(absl::IsNotFound(remove()));
}

class UnusedBlobsTest : public ServerTest {
 protected:
  ServerOptions Options() override {
    ServerOptions options = ServerTest::Options();
    // The fake clock knows nothing of the times of files: all are old.
    options.limits.blob_lifetime = -absl::Hours(24 * 365 * 100);
    return options;
  }
  bool IsThere(const std::string& bytes) const {
    const std::string digest = Sha256Hex(bytes);
    return std::filesystem::exists(folder_.path() + "/state/blobs/" + digest.substr(0, 2) + "/" +
                                   digest);
  }
};

TEST_F(UnusedBlobsTest, WhatNobodyRefersToAnyMoreGivesItsSpaceBack) {
  const std::string other = std::string(kCsv) + "11,0\n";
  const std::string gone = std::string(kCsv) + "12,0\n";
  const auto remove = [&](const std::string& dataset) {
    v1::DeleteDatasetRequest request;
    request.set_name(dataset);
    const auto answer = Call(server_->datasets(), &DatasetApi::DeleteDataset, User("ada"), request);
    ASSERT_TRUE(answer.ok()) << answer.status();
  };
  const auto wait_until_gone = [&](const std::string& bytes) {
    for (int i = 0; i < 3000 && IsThere(bytes); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_FALSE(IsThere(bytes));
  };
  remove(Upload("optics", kCsv));
  remove(Upload("optics", gone));
  const std::string last = Upload("acoustics", kCsv);
  Upload("optics", other);
  // A server looks for such bytes when it starts, and then every hour.
  Restart();
  wait_until_gone(gone);
  EXPECT_TRUE(IsThere(kCsv)) << "another project has it still";
  remove(last);
  Restart();
  wait_until_gone(kCsv);
  EXPECT_TRUE(IsThere(other));
}

// Calls a long method and waits for its answer.
template <class Request, class R>
absl::StatusOr<R> CallLong(DatasetApi& api,
                           void (DatasetApi::*method)(const auth::Principal&, const Request&,
                                                      Waiting, Done<R>),
                           const Request& request, Waiting waiting = nullptr) {
  Answer<R> answer;
  (api.*method)(User("ada"), request, std::move(waiting), answer.Take());
  return answer.Wait();
}

constexpr char kParticles[] = "mass,charge,kind\n1,2,b\n2,4,s\n3,,b\n4,8,s\n5,10,s\n";

TEST_F(DatasetTest, AHistogramByClass) {
  v1::ComputeHistogramRequest request;
  request.set_name(Upload("optics", kParticles));
  request.set_column("mass");
  request.set_bins(2);
  request.set_by_column("kind");
  const auto answer = CallLong(server_->datasets(), &DatasetApi::ComputeHistogram, request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(std::vector<double>(answer->edges().begin(), answer->edges().end()),
            (std::vector<double>{1, 3, 5}));
  ASSERT_EQ(answer->series_size(), 2);
  EXPECT_EQ(answer->series(0).category(), "b");
  EXPECT_EQ(answer->series(0).counts(0), 1);
  EXPECT_EQ(answer->series(0).counts(1), 1);
  EXPECT_EQ(answer->series(1).counts(1), 2);
  request.set_bins(1001);
  request.set_min(3);
  request.set_max(2);
  request.clear_column();
  const auto wrong = CallLong(server_->datasets(), &DatasetApi::ComputeHistogram, request);
  EXPECT_TRUE(absl::IsInvalidArgument(wrong.status()));
  EXPECT_NE(wrong.status().ToString().find("column"), std::string::npos) << wrong.status();
  EXPECT_NE(wrong.status().ToString().find("bins"), std::string::npos) << wrong.status();
  EXPECT_NE(wrong.status().ToString().find("max"), std::string::npos) << wrong.status();
}

TEST_F(DatasetTest, CorrelationsOfAllNumbers) {
  v1::ComputeCorrelationRequest request;
  request.set_name(Upload("optics", kParticles));
  for (const auto method : {v1::ComputeCorrelationRequest::METHOD_PEARSON,
                            v1::ComputeCorrelationRequest::METHOD_SPEARMAN}) {
    request.set_method(method);
    const auto answer = CallLong(server_->datasets(), &DatasetApi::ComputeCorrelation, request);
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_EQ(answer->columns_size(), 2);
    EXPECT_EQ(answer->columns(1), "charge");
    ASSERT_EQ(answer->values_size(), 4);
    for (const double value : answer->values()) EXPECT_NEAR(value, 1, 1e-12);
  }
  request.add_columns("kind");
  EXPECT_TRUE(absl::IsInvalidArgument(
      CallLong(server_->datasets(), &DatasetApi::ComputeCorrelation, request).status()));
}

TEST_F(DatasetTest, LookingEndsWhenNobodyWaits) {
  v1::ComputeCorrelationRequest request;
  request.set_name(Upload("optics", kParticles));
  EXPECT_TRUE(
      absl::IsCancelled(CallLong(server_->datasets(), &DatasetApi::ComputeCorrelation, request, [] {
                          return false;
                        }).status()));
  request.set_name("projects/optics/datasets/" + std::string(64, '0'));
  EXPECT_TRUE(absl::IsNotFound(
      CallLong(server_->datasets(), &DatasetApi::ComputeCorrelation, request).status()));
}

}  // namespace
}  // namespace beamline::server
