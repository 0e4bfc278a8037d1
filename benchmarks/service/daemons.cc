#include "benchmarks/service/daemons.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace beamline::bench {
namespace {

std::string Require(absl::StatusOr<std::string> text) {
  if (!text.ok()) Die(std::string(text.status().message()));
  return *std::move(text);
}

// Waits until `path` exists and is not empty.
std::string WaitForFile(const std::string& path, const std::string& log) {
  for (int i = 0; i < 3000; ++i) {
    const absl::StatusOr<std::string> text = ReadFile(path);
    if (text.ok() && !text->empty()) return *text;
    poll(nullptr, 0, 10);
  }
  Die("no " + path + " within 30 s; log:\n" + ReadFile(log).value_or("(none)"));
}

}  // namespace

void Die(const std::string& message) {
  std::fprintf(stderr, "service_bench: %s\n", message.c_str());
  std::exit(2);
}

Daemon::Daemon(const std::vector<std::string>& arguments, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) Die("cannot fork");
  if (pid_ == 0) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execv(argv[0], argv.data());
    std::perror(argv[0]);
    _exit(127);
  }
}

Daemon& Daemon::operator=(Daemon&& other) noexcept {
  Stop();
  pid_ = std::exchange(other.pid_, -1);
  return *this;
}

void Daemon::Stop() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

long Daemon::ResidentBytes() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  std::string word;
  while (status >> word) {
    long kilobytes;
    if (word == "VmRSS:" && status >> kilobytes) return kilobytes * 1024;
  }
  Die("a daemon has gone");
}

std::shared_ptr<grpc::Channel> Cluster::NewChannel() const {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = authority_;
  grpc::ChannelArguments arguments;
  // Otherwise gRPC shares connections.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channels_.push_back(grpc::CreateCustomChannel(address_, grpc::SslCredentials(tls), arguments));
  return channels_.back();
}

Cluster::Cluster(const std::string& bin) {
  const std::string base = folder_.path();
  server_ = Daemon({bin + "/beamlined", "--state", base + "/server", "--listen", "127.0.0.1:0",
                    "--ready-file", base + "/server.json", "--init-admin", base + "/token",
                    "--print-join-token", base + "/join"},
                   base + "/server.log");
  const YAML::Node ready = YAML::Load(WaitForFile(base + "/server.json", base + "/server.log"));
  const auto address = ready["address"].as<std::string>();
  const auto ca = ready["ca"].as<std::string>();
  token_ = Require(ReadFile(base + "/token"));
  while (!token_.empty() && token_.back() == '\n') token_.pop_back();

  address_ = address;
  authority_ = Require(ReadFile(ca));
  channel_ = NewChannel();

  worker_ =
      Daemon({bin + "/beamline-worker", "--state", base + "/worker", "--server", address, "--ca",
              ca, "--join-token-file", base + "/join", "--ready-file", base + "/worker.json"},
             base + "/worker.log");
  WaitForFile(base + "/worker.json", base + "/worker.log");
}

std::unique_ptr<grpc::ClientContext> Cluster::Context() const {
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata("authorization", "Bearer " + token_);
  return context;
}

}  // namespace beamline::bench
