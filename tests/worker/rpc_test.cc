// The wire, and the daemon itself, against a server on loopback.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>

#include "tests/worker/fake_server.h"
#include "worker/rpc/flags.h"
#include "worker/rpc/grpc_link.h"
#include "worker/rpc/identity.h"

namespace beamline::worker::rpc {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(FlagsTest, ReadsSizesAndNamesWhatIsWrong) {
  const auto flags =
      ParseFlags({"--state", "/s", "--cpus=2.5", "--memory", "8GiB", "--cache=1000"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->cpus, 2.5);
  EXPECT_EQ(flags->memory_bytes, int64_t{8} << 30);
  EXPECT_EQ(flags->cache_bytes, 1000);
  const std::pair<std::vector<std::string>, const char*> wrong[] = {
      {{"--sate", "x"}, "did you mean --state"},
      {{"--cpus", "many"}, "--cpus"},
      {{"--cpus", "0"}, "--cpus"},
      {{"--memory", "lots"}, "8GiB"},
      {{"--state"}, "needs a value"},
      {{"--help=yes"}, "takes no value"},
      {{"--pool", "a/b"}, "--pool"},
      {{"stray"}, "stray"}};
  for (const auto& [args, words] : wrong) {
    const auto refused = ParseFlags(args);
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << args[0];
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr(words));
  }
  EXPECT_THAT(HelpText(), HasSubstr(Flags().state));
}

class LinkTest : public ::testing::Test {
 protected:
  absl::StatusOr<Identity> Join(const std::string& token) {
    const auto channel = MakeChannel(server_.address(), {.authority = server_.authority()});
    return JoinServer(folder_.path(), server_.authority(), token, "host",
                      [&](const v1::JoinRequest& request) { return rpc::Join(channel, request); });
  }
  std::unique_ptr<GrpcLink> Link() {
    return std::make_unique<GrpcLink>(
        MakeChannel(server_.address(), Join("secret").value().credentials));
  }
  static absl::Status Synchronize(GrpcLink& link, int64_t hold_ms, int64_t timeout_ms) {
    std::promise<absl::Status> answered;
    v1::SynchronizeRequest request;
    request.set_hold_ms(hold_ms);
    link.Synchronize(request, timeout_ms, [&](absl::StatusOr<v1::SynchronizeResponse> response) {
      answered.set_value(response.status());
    });
    return answered.get_future().get();
  }
  static absl::Status Ignore(std::string_view) { return absl::OkStatus(); }

  FakeServer server_;
  TemporaryDirectory folder_;
  Cancellation cancellation_;
};

TEST_F(LinkTest, JoinKeepsAnIdentityThatOthersCannotRead) {
  EXPECT_TRUE(absl::IsNotFound(LoadIdentity(folder_.path(), absl::Now()).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(Join("wrong").status()));
  EXPECT_TRUE(absl::IsNotFound(LoadIdentity(folder_.path(), absl::Now()).status()))
      << "nothing half-way";
  ASSERT_TRUE(Join("secret").ok());
  const auto identity = LoadIdentity(folder_.path(), absl::Now());
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->worker, "workers/w-1");
  struct stat info;
  ASSERT_EQ(stat((folder_.path() + "/tls/identity.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(LinkTest, AnExpiredIdentityHasToJoinAgain) {
  ASSERT_TRUE(Join("secret").ok());
  const absl::Time later = absl::Now() + auth::CertificateAuthority::kWorkerLifetime;
  const absl::Status expired = LoadIdentity(folder_.path(), later).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(expired));
  EXPECT_THAT(std::string(expired.message()), HasSubstr("let it join again"));
}

TEST_F(LinkTest, AnIdentityOfTwoFilesIsStillRead) {
  const auto joined = Join("secret");
  ASSERT_TRUE(joined.ok());
  const std::string tls = folder_.path() + "/tls/";
  ASSERT_TRUE(WriteFileAtomically(tls + "key.pem", joined->credentials.key, 0600).ok());
  ASSERT_TRUE(
      WriteFileAtomically(tls + "certificate.pem", joined->credentials.certificate, 0600).ok());
  ASSERT_EQ(unlink((tls + "identity.pem").c_str()), 0);
  const auto old = LoadIdentity(folder_.path(), absl::Now());
  ASSERT_TRUE(old.ok()) << old.status();
  EXPECT_EQ(old->credentials.key, joined->credentials.key);
  ASSERT_TRUE(SaveCredentials(folder_.path(), old->credentials).ok());
  EXPECT_NE(access((tls + "key.pem").c_str(), F_OK), 0) << "one place only";
  EXPECT_EQ(LoadIdentity(folder_.path(), absl::Now())->credentials.certificate,
            joined->credentials.certificate);
}

// With the certificate of a renewal: what is under way goes on, what begins shows the new one.
TEST_F(LinkTest, ACertificateIsReplacedUnderACallThatIsUnderWay) {
  const auto link = Link();
  std::promise<absl::Status> first;
  v1::SynchronizeRequest request;
  request.set_hold_ms(20'000);
  link->Synchronize(request, 30'000, [&](absl::StatusOr<v1::SynchronizeResponse> response) {
    first.set_value(response.status());
  });
  ASSERT_TRUE(server_.WaitFor([](FakeServer& server) { return server.certificates_.size() == 1; }));
  const auto renewed = Join("secret");
  ASSERT_TRUE(renewed.ok());
  link->Use(MakeChannel(server_.address(), renewed->credentials));
  ASSERT_TRUE(Synchronize(*link, 0, 10'000).ok());
  ASSERT_TRUE(server_.WaitFor([](FakeServer& server) { return server.certificates_.size() == 2; }));
  server_.WaitFor([&](FakeServer& server) {
    EXPECT_NE(server.certificates_[0], server.certificates_[1]);
    EXPECT_EQ(server.certificates_[1], renewed->credentials.certificate);
    return true;
  });
  auto answer = first.get_future();
  EXPECT_EQ(answer.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  server_.Assign(v1::Attempt());
  EXPECT_TRUE(answer.get().ok());
  // What is no longer needed goes, and what is needed stays.
  for (int i = 0; i < 3; ++i) {
    link->Use(MakeChannel(server_.address(), renewed->credentials));
    ASSERT_TRUE(Synchronize(*link, 0, 10'000).ok());
  }
}

TEST_F(LinkTest, TheStateFolderHasOneUser) {
  const auto lock = LockState(folder_.path());
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(LockState(folder_.path()).status()));
}

TEST_F(LinkTest, ShowsItsCertificate) {
  const auto link = Link();
  ASSERT_TRUE(Synchronize(*link, 0, 10'000).ok());
  EXPECT_TRUE(server_.WaitFor([](FakeServer& server) {
    return !server.peers_.empty() && server.peers_.back().find("workers/w-1") != std::string::npos;
  }));
}

TEST_F(LinkTest, ASynchronizeCanBeCutShort) {
  const auto link = Link();
  EXPECT_TRUE(absl::IsDeadlineExceeded(Synchronize(*link, 20'000, 200)));
  std::promise<absl::Status> answered;
  v1::SynchronizeRequest request;
  request.set_hold_ms(20'000);
  link->Synchronize(request, 30'000, [&](absl::StatusOr<v1::SynchronizeResponse> response) {
    answered.set_value(response.status());
  });
  link->CancelSynchronize();
  EXPECT_TRUE(absl::IsCancelled(answered.get_future().get()));
}

TEST_F(LinkTest, ComesBackWhenTheServerDoes) {
  const auto link = Link();
  ASSERT_TRUE(Synchronize(*link, 0, 10'000).ok());
  const int port = server_.port();
  server_.Stop();
  EXPECT_TRUE(absl::IsUnavailable(Synchronize(*link, 0, 10'000)));
  server_.Start(port);
  absl::Status status = absl::UnavailableError("");
  for (int i = 0; i < 100 && !status.ok(); ++i) {
    cancellation_.WaitFor(100);
    status = Synchronize(*link, 0, 10'000);
  }
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(LinkTest, BlobsGoBothWays) {
  const auto link = Link();
  std::string bytes;
  for (int i = 0; i < 2'000'000; ++i) bytes.push_back(static_cast<char>(i * 7));
  const v1::Blob blob = server_.Put(bytes);
  std::string read;
  const auto append = [&](std::string_view part) {
    read += part;
    return absl::OkStatus();
  };
  ASSERT_TRUE(link->ReadBlob({}, blob.digest(), 1000, append, cancellation_).ok());
  EXPECT_TRUE(read == bytes.substr(1000));
  EXPECT_TRUE(absl::IsNotFound(link->ReadBlob({}, Sha256Hex("?"), 0, Ignore, cancellation_)));
  const auto refuse = [](std::string_view) { return absl::ResourceExhaustedError("disk full"); };
  EXPECT_TRUE(
      absl::IsResourceExhausted(link->ReadBlob({}, blob.digest(), 0, refuse, cancellation_)));

  const std::string path = folder_.path() + "/file";
  for (const std::string& content : {bytes + "!", std::string()}) {
    ASSERT_TRUE(WriteFileAtomically(path, content).ok());
    const UniqueFd fd(open(path.c_str(), O_RDONLY));
    v1::Blob mine;
    mine.set_digest(Sha256Hex(content));
    mine.set_size_bytes(static_cast<int64_t>(content.size()));
    ASSERT_TRUE(link->WriteBlob({}, mine, fd.get(), cancellation_).ok());
    EXPECT_TRUE(server_.Bytes(mine.digest()) == content);
    mine.set_digest(Sha256Hex("else"));
    EXPECT_TRUE(absl::IsDataLoss(link->WriteBlob({}, mine, fd.get(), cancellation_)));
  }
  cancellation_.Cancel();
  EXPECT_TRUE(absl::IsCancelled(link->ReadBlob({}, blob.digest(), 0, Ignore, cancellation_)));
}

// The program itself, with the task double in the place of beamline-task.
class DaemonTest : public LinkTest {
 protected:
  DaemonTest() {
    EXPECT_TRUE(WriteFileAtomically(folder_.path() + "/ca", server_.authority()).ok());
    EXPECT_TRUE(WriteFileAtomically(folder_.path() + "/join", "secret\n").ok());
  }
  ~DaemonTest() override {
    if (pid_ > 0) Kill();
  }
  void Start(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {WORKER_BINARY, "--state",         folder_.path() + "/state",
                                      "--server",    server_.address(), "--task-binary",
                                      TASK_DOUBLE,   "--ready-file",    folder_.path() + "/ready"};
    words.insert(words.end(), more.begin(), more.end());
    pid_ = fork();
    if (pid_ != 0) return;
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  void StartFirst() {
    Start({"--ca", folder_.path() + "/ca", "--join-token-file", folder_.path() + "/join"});
  }
  int Wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  void Kill() {
    kill(pid_, SIGKILL);
    Wait();
  }
  void Assign(const std::string& behaviour) {
    v1::Attempt attempt;
    attempt.set_task("projects/p/runs/r/tasks/t");
    attempt.set_number(1);
    attempt.set_step(behaviour);
    server_.Assign(attempt);
  }
  bool WaitForResult(v1::AttemptResult::Outcome outcome) {
    return server_.WaitFor([outcome](FakeServer& server) {
      return !server.reports_.empty() && server.reports_.back().result().outcome() == outcome;
    });
  }
  bool WaitForProgress() {
    return server_.WaitFor([](FakeServer& server) { return !server.reports_.empty(); });
  }

  pid_t pid_ = -1;
};

TEST_F(DaemonTest, JoinsRunsATaskAndComesBackWithItsCertificate) {
  StartFirst();
  Assign("succeed");
  ASSERT_TRUE(WaitForResult(v1::AttemptResult::OUTCOME_SUCCEEDED));
  EXPECT_EQ(server_.Bytes(Sha256Hex("weights")), "weights");
  EXPECT_THAT(*ReadFile(folder_.path() + "/ready"), HasSubstr("\"workers/w-1\""));
  kill(pid_, SIGTERM);
  EXPECT_EQ(Wait(), 0);
  EXPECT_FALSE(ReadFile(folder_.path() + "/ready").ok());
  server_.WaitFor([](FakeServer& server) {
    server.statements_.clear();
    return true;
  });
  Start();
  EXPECT_TRUE(server_.WaitFor([](FakeServer& server) { return !server.statements_.empty(); }));
  server_.WaitFor([](FakeServer& server) {
    EXPECT_THAT(server.statements_[0].cached(), Contains(Sha256Hex("weights")));
    EXPECT_THAT(server.statements_[0].worker().confinement(), Contains("seccomp"));
    return true;
  });
}

TEST_F(DaemonTest, SigtermTakesACheckpointAndGivesTheTaskBack) {
  StartFirst();
  Assign("obedient");
  ASSERT_TRUE(WaitForProgress());
  kill(pid_, SIGTERM);
  EXPECT_EQ(Wait(), 0);
  EXPECT_TRUE(WaitForResult(v1::AttemptResult::OUTCOME_RELEASED));
  EXPECT_EQ(server_.Bytes(Sha256Hex("at step 9")), "at step 9");
}

TEST_F(DaemonTest, ATaskOutlivesARestartOfTheServer) {
  StartFirst();
  Assign("obedient");
  ASSERT_TRUE(WaitForProgress());
  const int port = server_.port();
  server_.Stop();
  cancellation_.WaitFor(1'500);
  server_.Start(port);
  size_t before = 0;
  server_.WaitFor([&](FakeServer& server) {
    before = server.statements_.size();
    return true;
  });
  ASSERT_TRUE(
      server_.WaitFor([&](FakeServer& server) { return server.statements_.size() > before; }));
  server_.WaitFor([](FakeServer& server) {
    EXPECT_EQ(server.statements_.back().held_size(), 1);
    return true;
  });
}

TEST_F(DaemonTest, StartsThatCannotWorkSayWhy) {
  Start();
  EXPECT_EQ(Wait(), 2) << "no certificate and no join token";
  EXPECT_TRUE(WriteFileAtomically(folder_.path() + "/join", "wrong\n").ok());
  StartFirst();
  EXPECT_EQ(Wait(), 1) << "the join token is refused";
  Start({"--task-binary", "/nonexistent"});
  EXPECT_EQ(Wait(), 1);
}

TEST_F(DaemonTest, IdlesInLittleMemory) {
  StartFirst();
  ASSERT_TRUE(server_.WaitFor([](FakeServer& server) { return server.statements_.size() >= 2; }));
  cancellation_.WaitFor(500);
  const std::string status = *ReadFile("/proc/" + std::to_string(pid_) + "/status");
  const size_t at = status.find("VmRSS:");
  ASSERT_NE(at, std::string::npos);
  const long kilobytes = std::strtol(status.c_str() + at + 6, nullptr, 10);
  RecordProperty("resident_kib", static_cast<int>(kilobytes));
#ifndef BEAMLINE_SANITIZED
  EXPECT_LT(kilobytes, 64 << 10);
#endif
}

}  // namespace
}  // namespace beamline::worker::rpc
