// The program itself: flags, ready file, signals, lock, memory.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "base/file.h"
#include "beamline/v1/cluster.grpc.pb.h"
#include "beamline/v1/project.grpc.pb.h"

namespace beamline::server::rpc {
namespace {

using testing::HasSubstr;

// One beamlined. Killed when the object goes.
class Process {
 public:
  Process(std::vector<std::string> args, const std::string& output) {
    args.insert(args.begin(), BEAMLINED);
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      dup2(file, 1);
      dup2(file, 2);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  ~Process() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    Wait();
  }
  void Signal(int number) { kill(pid_, number); }
  // What waitpid gives.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

class BeamlinedTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::vector<std::string> Args() const {
    return {"--state",     path("state"),  "--listen",    "127.0.0.1:0",        "--ready-file",
            path("ready"), "--init-admin", path("token"), "--print-join-token", path("join")};
  }
  // Waits until it serves; the address.
  std::string Ready() {
    for (int i = 0; i < 1000 && !std::filesystem::exists(path("ready")); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    google::protobuf::Struct ready;
    const absl::StatusOr<std::string> text = ReadFile(path("ready"));
    if (!text.ok()) {
      ADD_FAILURE() << *ReadFile(path("log"));
      return "";
    }
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(*text, &ready).ok()) << *text;
    ca_ = ready.fields().at("ca").string_value();
    pid_ = static_cast<pid_t>(ready.fields().at("pid").number_value());
    return ready.fields().at("address").string_value();
  }
  grpc::Status WhoAmI(const std::string& address) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = *ReadFile(ca_);
    const auto channel = grpc::CreateChannel(address, grpc::SslCredentials(tls));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    std::string token = *ReadFile(path("token"));
    token.pop_back();
    context.AddMetadata("authorization", "Bearer " + token);
    v1::WhoAmIResponse answer;
    return v1::AuthService::NewStub(channel)->WhoAmI(&context, v1::WhoAmIRequest(), &answer);
  }

  const TemporaryDirectory folder_;
  std::string ca_;
  pid_t pid_ = 0;
};

TEST_F(BeamlinedTest, ServesStopsAndGoesOn) {
  for (int start = 0; start < 2; ++start) {
    Process process(Args(), path("log"));
    const std::string address = Ready();
    EXPECT_EQ(pid_, process.pid());
    const grpc::Status status = WhoAmI(address);
    EXPECT_TRUE(status.ok()) << status.error_message();
    process.Signal(SIGTERM);
    const int ended = process.Wait();
    EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 0) << *ReadFile(path("log"));
    EXPECT_FALSE(std::filesystem::exists(path("ready")));
    const std::string log = *ReadFile(path("log"));
    EXPECT_THAT(log, HasSubstr("serves on " + address));
    EXPECT_THAT(log, HasSubstr("beamlined stops"));
    EXPECT_THAT(log, testing::Not(HasSubstr("bl_")));
  }
  for (const char* secret : {"token", "join"}) {
    struct stat info;
    ASSERT_EQ(stat(path(secret).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
  }
}

TEST_F(BeamlinedTest, SecondServerOnTheSameStateIsRefused) {
  Process first(Args(), path("log"));
  Ready();
  std::vector<std::string> args = Args();
  args[5] = path("ready2");
  Process second(args, path("log2"));
  const int ended = second.Wait();
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 1);
  EXPECT_THAT(*ReadFile(path("log2")), HasSubstr(path("state")));
  EXPECT_FALSE(std::filesystem::exists(path("ready2")));
}

TEST_F(BeamlinedTest, UsageErrorsEndWithTwo) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"--lsten", "x"}, {"--listen"}, {"serve"}}) {
    Process process(args, path("log"));
    const int ended = process.Wait();
    EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 2);
    EXPECT_THAT(*ReadFile(path("log")), HasSubstr("beamlined: "));
  }
  Process help({"--help"}, path("log"));
  const int ended = help.Wait();
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
  EXPECT_THAT(*ReadFile(path("log")), HasSubstr("--listen HOST:PORT"));
}

TEST_F(BeamlinedTest, AddressInUseIsSaid) {
  Process first(Args(), path("log"));
  std::vector<std::string> args = Args();
  args[1] = path("state2");
  args[3] = Ready();
  args[5] = path("ready2");
  Process second(args, path("log2"));
  const int ended = second.Wait();
  EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == 1);
  EXPECT_THAT(*ReadFile(path("log2")), HasSubstr("cannot listen on " + args[3]));
}

// A sanitizer's own memory is no figure of ours.
#ifndef BEAMLINE_SANITIZED
TEST_F(BeamlinedTest, IdleMemoryIsUnder64Mebibytes) {
  Process process(Args(), path("log"));
  EXPECT_TRUE(WhoAmI(Ready()).ok());
  std::ifstream status("/proc/" + std::to_string(process.pid()) + "/status");
  int64_t resident_kib = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) std::istringstream(line.substr(6)) >> resident_kib;
  }
  EXPECT_GT(resident_kib, 0);
  EXPECT_LT(resident_kib, 64 * 1024);
}
#endif

}  // namespace
}  // namespace beamline::server::rpc
