// All services over a real server: every method passes the seam, and the streams.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <sys/stat.h>

#include <future>

#include "auth/secret.h"
#include "base/digest.h"
#include "beamline/v1/dataset.grpc.pb.h"
#include "beamline/v1/project.grpc.pb.h"
#include "beamline/v1/run.grpc.pb.h"
#include "beamline/v1/worker.grpc.pb.h"
#include "tests/server/rpc/served.h"

namespace beamline::server::rpc {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

class ServicesTest : public ServedTest {
 protected:
  // The status of one call with bytes as they are, whatever the method's kind.
  grpc::Status RawCall(const std::string& method, const std::string& request,
                       const std::string& token = "") {
    Call context(token);
    return rpc::RawCall(channel_, context, method, request);
  }

  std::string NewUser(const std::string& id) {
    Call create(admin_);
    v1::CreateUserRequest user;
    user.set_user_id(id);
    v1::User made;
    EXPECT_TRUE(v1::AuthService::NewStub(channel_)->CreateUser(&create, user, &made).ok());
    Call call(admin_);
    v1::CreateTokenRequest request;
    request.set_user("users/" + id);
    v1::CreateTokenResponse token;
    EXPECT_TRUE(v1::AuthService::NewStub(channel_)->CreateToken(&call, request, &token).ok());
    return token.secret();
  }

  // Begins an upload of `bytes` in projects/default; its name.
  std::string Begin(const std::string& bytes) {
    Call call(admin_);
    v1::BeginUploadRequest request;
    request.set_parent("projects/default");
    request.set_display_name("flowers.csv");
    request.mutable_source()->set_digest(Sha256Hex(bytes));
    request.mutable_source()->set_size_bytes(static_cast<int64_t>(bytes.size()));
    v1::BeginUploadResponse answer;
    const grpc::Status status = datasets()->BeginUpload(&call, request, &answer);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return answer.upload().name();
  }
  // Sends `bytes` from `offset` on in messages of `piece`.
  grpc::Status Write(const std::string& upload, const std::string& bytes, size_t piece,
                     const std::string& token, v1::Upload* answer, int64_t offset = 0) {
    Call call(token);
    const auto writer = datasets()->WriteUpload(&call, answer);
    v1::WriteUploadRequest message;
    message.set_upload(upload);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      message.set_offset(offset + static_cast<int64_t>(at));
      message.set_data(bytes.substr(at, piece));
      if (!writer->Write(message)) break;
      message.clear_upload();
    }
    writer->WritesDone();
    return writer->Finish();
  }
  grpc::Status Finish(const std::string& upload, v1::Dataset* dataset) {
    Call call(admin_);
    v1::FinishUploadRequest request;
    request.set_name(upload);
    return datasets()->FinishUpload(&call, request, dataset);
  }
  std::unique_ptr<v1::DatasetService::Stub> datasets() {
    return v1::DatasetService::NewStub(channel_);
  }
};

std::string Table(int rows) {
  std::string text = "x,y\n";
  for (int i = 0; i < rows; ++i) text += std::to_string(i) + "." + std::to_string(i % 7) + ",1\n";
  return text;
}

// A method that did not pass the gate would answer something else than the policy does.
TEST_F(ServicesTest, EveryMethodPassesTheGate) {
  const std::string stranger = NewUser("stranger");
  int methods = 0;
  for (const auto* service : auth::Policy::Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      const auto* const method = service->method(i);
      const v1::Permission permission = method->options().GetExtension(v1::permission);
      if (permission == v1::PERMISSION_PUBLIC) continue;
      ++methods;
      const std::string full = "/" + service->full_name() + "/" + method->name();
      EXPECT_EQ(RawCall(full, "").error_code(), StatusCode::UNAUTHENTICATED) << full;
      // Of a request of a project, field 1 is its name; the stranger is no member of that one.
      const bool of_project =
          permission >= v1::PERMISSION_PROJECT_VIEW && permission <= v1::PERMISSION_PROJECT_ADMIN;
      const grpc::Status status =
          RawCall(full, of_project ? "\x0a\x10projects/default" : "", stranger);
      if (of_project) {
        EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND) << full;
      } else if (permission == v1::PERMISSION_AUTHENTICATED) {
        EXPECT_NE(status.error_code(), StatusCode::UNAUTHENTICATED) << full;
      } else {
        EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED) << full;
      }
    }
  }
  EXPECT_GT(methods, 40);
}

TEST_F(ServicesTest, AdminsTokenIsForItsFileOnly) {
  const std::string file = folder_.path() + "/token";
  struct stat info;
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  Call call(admin_);
  v1::WhoAmIResponse who;
  ASSERT_TRUE(v1::AuthService::NewStub(channel_)->WhoAmI(&call, v1::WhoAmIRequest(), &who).ok());
  EXPECT_EQ(who.user().name(), "users/admin");
  EXPECT_TRUE(who.user().operator_());
  // Again: nothing changes. Without its file: another token.
  ASSERT_TRUE(InitAdmin(server_->auth(), server_->projects(), file).ok());
  EXPECT_EQ(ReadToken(file), admin_);
  ASSERT_TRUE(InitAdmin(server_->auth(), server_->projects(), file + "2").ok());
  EXPECT_NE(ReadToken(file + "2"), admin_);
}

TEST_F(ServicesTest, BytesGoInAndComeOut) {
  const std::string bytes = Table(200'000);
  ASSERT_GT(bytes.size(), size_t{1} << 20);
  const std::string upload = Begin(bytes);
  v1::Upload answer;
  const grpc::Status written = Write(upload, bytes, 1 << 20, admin_, &answer);
  ASSERT_TRUE(written.ok()) << written.error_message();
  EXPECT_EQ(answer.committed_size_bytes(), static_cast<int64_t>(bytes.size()));
  v1::Dataset dataset;
  const grpc::Status finished = Finish(upload, &dataset);
  ASSERT_TRUE(finished.ok()) << finished.error_message();
  EXPECT_EQ(dataset.row_count(), 200'000);
  for (const size_t offset : {size_t{0}, size_t{12345}, bytes.size()}) {
    Call call(admin_);
    v1::DownloadDatasetRequest request;
    request.set_name(dataset.name());
    request.set_offset(static_cast<int64_t>(offset));
    const auto reader = datasets()->DownloadDataset(&call, request);
    std::string got;
    v1::DownloadDatasetResponse piece;
    while (reader->Read(&piece)) {
      EXPECT_LE(piece.data().size(), size_t{256} << 10);
      got += piece.data();
    }
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(Sha256Hex(got), Sha256Hex(bytes.substr(offset)));
  }
}

TEST_F(ServicesTest, UploadGoesOnWhereItWasCut) {
  const std::string bytes = Table(1000);
  const std::string upload = Begin(bytes);
  v1::Upload answer;
  ASSERT_TRUE(Write(upload, bytes.substr(0, 100), 64, admin_, &answer).ok());
  EXPECT_EQ(answer.committed_size_bytes(), 100);
  EXPECT_EQ(Write(upload, "x", 1, admin_, &answer, 200).error_code(), StatusCode::OUT_OF_RANGE);
  // The stream that failed may still be recording what it kept.
  grpc::Status rest;
  do {
    rest = Write(upload, bytes.substr(100), 64, admin_, &answer, 100);
  } while (rest.error_code() == StatusCode::ABORTED);
  ASSERT_TRUE(rest.ok()) << rest.error_message();
  v1::Dataset dataset;
  EXPECT_TRUE(Finish(upload, &dataset).ok());
}

TEST_F(ServicesTest, BadUploadStreamsAreRefused) {
  const std::string bytes = Table(300'000);
  const std::string upload = Begin(bytes);
  v1::Upload answer;
  const grpc::Status large = Write(upload, bytes, (1 << 20) + 1, admin_, &answer);
  EXPECT_EQ(large.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(large.error_message(), HasSubstr("1 MiB"));
  EXPECT_EQ(Write(upload, bytes, 1 << 20, NewUser("eve"), &answer).error_code(),
            StatusCode::NOT_FOUND);
  EXPECT_EQ(Write("projects/default/uploads/none", "x", 1, admin_, &answer).error_code(),
            StatusCode::NOT_FOUND);
  EXPECT_EQ(Write(upload, "", 1, admin_, &answer).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServicesTest, WrongDigestIsDataLoss) {
  const std::string bytes = Table(10);
  const std::string upload = Begin(bytes);
  std::string other = bytes;
  other.back() = '2';
  v1::Upload answer;
  ASSERT_TRUE(Write(upload, other, 1 << 20, admin_, &answer).ok());
  v1::Dataset dataset;
  EXPECT_EQ(Finish(upload, &dataset).error_code(), StatusCode::DATA_LOSS);
}

TEST_F(ServicesTest, WorkerJoinsAndThenSpeaksWithItsCertificate) {
  const std::string file = folder_.path() + "/join";
  ASSERT_TRUE(WriteJoinToken(server_->auth(), file).ok());
  const KeyAndRequest identity = *MakeKeyAndRequest("anything");
  v1::JoinRequest join;
  join.set_join_token(ReadToken(file));
  join.set_certificate_request(identity.request_pem);
  join.set_hostname("here");
  v1::JoinResponse joined;
  Call call;
  const grpc::Status status = v1::WorkerService::NewStub(channel_)->Join(&call, join, &joined);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(joined.certificate_authority(), server_->authority().root_certificate());

  const auto mine = v1::WorkerService::NewStub(Dial(&identity, joined.certificate()));
  v1::SynchronizeRequest request;
  request.mutable_worker()->set_name(joined.worker());
  request.mutable_worker()->set_state(v1::WORKER_STATE_READY);
  request.set_session("s-1");
  v1::SynchronizeResponse answer;
  Call synchronize;
  const grpc::Status synchronized = mine->Synchronize(&synchronize, request, &answer);
  ASSERT_TRUE(synchronized.ok()) << synchronized.error_message();
  EXPECT_GT(answer.lease_ms(), 0);

  // A blob that no attempt of this worker needs is not for it.
  v1::ReadBlobRequest read;
  read.set_digest(Sha256Hex("x"));
  Call reading;
  const auto reader = mine->ReadBlob(&reading, read);
  v1::ReadBlobResponse piece;
  EXPECT_FALSE(reader->Read(&piece));
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(ServicesTest, JoinTokensOfOthersAreRefused) {
  v1::JoinRequest join;
  join.set_certificate_request(MakeKeyAndRequest("w")->request_pem);
  for (const std::string& token :
       {std::string(), admin_, auth::MakeSecret(auth::SecretKind::kJoinToken, random_).text}) {
    join.set_join_token(token);
    v1::JoinResponse joined;
    Call call;
    EXPECT_EQ(v1::WorkerService::NewStub(channel_)->Join(&call, join, &joined).error_code(),
              StatusCode::UNAUTHENTICATED);
  }
}

class WatchTest : public ServicesTest {
 protected:
  // A run that waits, because there is no worker.
  std::string WaitingRun() {
    const std::string bytes = "length,species\n1,a\n2,b\n3,a\n4,b\n5,a\n6,b\n7,a\n8,b\n";
    const std::string upload = Begin(bytes);
    v1::Upload uploaded;
    EXPECT_TRUE(Write(upload, bytes, 1 << 20, admin_, &uploaded).ok());
    v1::Dataset dataset;
    EXPECT_TRUE(Finish(upload, &dataset).ok());
    v1::CreateRunRequest request;
    request.set_parent("projects/default");
    request.mutable_source()->set_yaml(
        "name: flowers\n"
        "inputs: {table: {dataset: " +
        dataset.name() +
        "}}\n"
        "steps:\n"
        "  - name: train\n"
        "    train:\n"
        "      data:\n"
        "        input: table\n"
        "        target: species\n"
        "        features: [length]\n"
        "        split: {random: {validation: 0.25, test: 0.25}}\n"
        "      network:\n"
        "        layers:\n"
        "          - {name: hidden, dense: {units: 4, activation: relu}}\n"
        "          - {name: out, dense: {}}\n"
        "        loss: {cross_entropy: {}}\n"
        "        optimizer: {adam: {}}\n");
    v1::Run run;
    Call call(admin_);
    const grpc::Status status = runs()->CreateRun(&call, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return run.name();
  }
  std::unique_ptr<v1::RunService::Stub> runs() { return v1::RunService::NewStub(channel_); }
};

TEST_F(WatchTest, GivesEveryEventAndEndsAfterTheLast) {
  const std::string name = WaitingRun();
  Call watching(admin_);
  v1::WatchRunRequest watch;
  watch.set_name(name);
  const auto reader = runs()->WatchRun(&watching, watch);
  v1::Event event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.sequence(), 1);
  v1::CancelRunRequest cancel;
  cancel.set_name(name);
  v1::Run cancelled;
  Call cancelling(admin_);
  ASSERT_TRUE(runs()->CancelRun(&cancelling, cancel, &cancelled).ok());
  int64_t last = 1;
  while (reader->Read(&event)) EXPECT_EQ(event.sequence(), ++last);
  const grpc::Status ended = reader->Finish();
  EXPECT_TRUE(ended.ok()) << ended.error_message();
  EXPECT_EQ(event.run_state().state(), v1::RUN_STATE_CANCELLED);

  // From the middle on, of a run that has ended.
  Call again(admin_);
  watch.set_after_sequence(last - 1);
  const auto rest = runs()->WatchRun(&again, watch);
  ASSERT_TRUE(rest->Read(&event));
  EXPECT_EQ(event.sequence(), last);
  EXPECT_FALSE(rest->Read(&event));
  EXPECT_TRUE(rest->Finish().ok());
  Call beyond(admin_);
  watch.set_after_sequence(last + 1);
  const auto none = runs()->WatchRun(&beyond, watch);
  EXPECT_FALSE(none->Read(&event));
  EXPECT_EQ(none->Finish().error_code(), StatusCode::OUT_OF_RANGE);
}

TEST_F(WatchTest, ClientMayLeave) {
  const std::string name = WaitingRun();
  Call watching(admin_);
  v1::WatchRunRequest watch;
  watch.set_name(name);
  const auto reader = runs()->WatchRun(&watching, watch);
  v1::Event event;
  ASSERT_TRUE(reader->Read(&event));
  watching.TryCancel();
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), StatusCode::CANCELLED);
}

TEST_F(WatchTest, StoppingServerEndsWatchersWithUnavailable) {
  const std::string name = WaitingRun();
  Call watching(admin_);
  v1::WatchRunRequest watch;
  watch.set_name(name);
  const auto reader = runs()->WatchRun(&watching, watch);
  v1::Event event;
  ASSERT_TRUE(reader->Read(&event));
  const auto stopped = std::async(std::launch::async, [this] { Stop(); });
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(WatchTest, UnknownRunsAreNotFound) {
  Call watching(admin_);
  v1::WatchRunRequest watch;
  watch.set_name("projects/default/runs/none");
  const auto reader = runs()->WatchRun(&watching, watch);
  v1::Event event;
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace beamline::server::rpc
