#include "tests/sim/scenario.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/ask.h"
#include "tests/sim/checks/checks.h"
#include "tests/sim/client.h"
#include "tests/sim/disk.h"
#include "tests/sim/network.h"
#include "tests/sim/server_process.h"
#include "tests/sim/trouble.h"
#include "tests/sim/worker_process.h"

namespace beamline::sim {
namespace {

// After this, at the latest, all must have ended. Unit: milliseconds.
constexpr int64_t kPatienceMs = 3'600'000;
constexpr int64_t kProbeMs = 400;

// The service with its clients.
struct Site {
  Site(World& world, const Setting& setting, const std::string& folder)
      : world(world), network(world), disk(world, folder), server(world, network, disk, folder) {
    for (const std::string& name : setting.state.workers) {
      workers.push_back(std::make_unique<WorkerProcess>(world, server, name));
    }
    for (size_t i = 0; i < kProjects.size(); ++i) {
      clients.push_back(std::make_unique<Client>(world, server, setting.state, i));
    }
  }

  void Start() {
    server.Start();
    for (const auto& worker : workers) worker->Start();
    Probe();
  }

  bool Done() const {
    for (const auto& client : clients) {
      if (!client->done()) return false;
    }
    return true;
  }

  void Probe() {
    if (server::Server* const looked = server.Look(); looked != nullptr) {
      v1::ListQueueRequest request;
      request.set_page_size(1000);
      looked->cluster().ListQueue(
          Operator(), request,
          [&world = world](const absl::StatusOr<v1::ListQueueResponse>& queue) {
            if (queue.ok()) CheckQueue(world, *queue);
          });
    }
    world.After(kProbeMs, [this] { Probe(); });
  }

  World& world;
  Network network;
  Disk disk;
  ServerProcess server;
  std::vector<std::unique_ptr<WorkerProcess>> workers;
  std::vector<std::unique_ptr<Client>> clients;
};

// A copy of the initial state, removed with the world.
class Copy {
 public:
  Copy(const std::string& from, std::string to) : to_(std::move(to)) {
    std::filesystem::copy(from, to_, std::filesystem::copy_options::recursive);
  }
  ~Copy() {
    std::filesystem::remove_all(to_);
    std::filesystem::remove_all(to_ + ".aside");
  }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

 private:
  const std::string to_;
};

// What the server says of a run that does not end.
std::string StateOf(server::Server& server, const WantedRun& run) {
  v1::GetRunRequest get;
  get.set_name(run.name);
  const auto now = Ask(server, server.runs(), &server::RunApi::GetRun, Operator(), get);
  std::string text = now.ok() ? v1::RunState_Name(now->state()) : now.status().ToString();
  v1::ExplainRunRequest explain;
  explain.set_name(run.name);
  const auto waits = Ask(server, server.runs(), &server::RunApi::ExplainRun, Operator(), explain);
  if (waits.ok()) absl::StrAppend(&text, " ", waits->ShortDebugString());
  for (const auto& watcher : run.watchers) {
    absl::StrAppend(&text, " watched to ", watcher->events.size(), watcher->ended ? ", ended" : "");
  }
  return text;
}

std::string Unfinished(Site& site) {
  std::string text;
  for (const auto& client : site.clients) {
    for (const auto& run : client->runs()) {
      if (run->done()) continue;
      absl::StrAppend(&text, " ", run->name.empty() ? run->request_id : run->name);
      if (server::Server* const server = site.server.Look(); server != nullptr) {
        absl::StrAppend(&text, " (", StateOf(*server, *run), ")");
      }
    }
  }
  return text;
}

void RunUntilDone(World& world, Site& site, int64_t until_ms) {
  // Clients may have heard all while the server is down once more.
  while (world.failure().empty() && world.MonotonicMillis() < until_ms &&
         (!site.Done() || site.server.Look() == nullptr)) {
    world.RunNext();
  }
}

// What can only be said when all has ended.
void CheckAll(World& world, Site& site, const Setting& setting, const std::string& folder) {
  server::Server* const server = site.server.Look();
  if (server == nullptr) return world.Fail("liveness", "the server is not there");
  CheckAuditChain(world, folder + "/beamline.db");
  for (size_t i = 0; i < kProjects.size(); ++i) {
    CheckDurability(world, *server, *site.clients[i], i);
    for (const auto& run : site.clients[i]->runs()) {
      CheckStreams(world, *run);
      CheckAttempts(world, *run);
      if (!setting.expected.empty()) CheckResult(world, *run, setting.expected);
    }
  }
}

}  // namespace

void Calibrate(Setting& setting, const std::string& folder) {
  World world(0);
  const Copy copy(setting.template_folder, folder);
  Site site(world, setting, folder);
  site.Start();
  Client& client = *site.clients.front();
  client.TakeNoTurns();
  for (size_t i = 0; i < Definitions().size(); ++i) client.Want(0, i);
  RunUntilDone(world, site, kPatienceMs);
  if (world.failure().empty() && site.Done()) CheckAll(world, site, setting, folder);
  setting.expected.clear();
  for (const auto& run : client.runs()) {
    setting.expected.push_back(ModelOf(*run));
    if (setting.expected.back().empty()) world.Fail("calibration", run->name + " left no model");
  }
  if (!world.failure().empty() || !site.Done()) {
    std::fprintf(stderr, "without faults: %s; not done:%s\n", world.failure().c_str(),
                 Unfinished(site).c_str());
    std::exit(1);
  }
}

void Play(World& world, const Setting& setting, const std::string& folder) {
  const Copy copy(setting.template_folder, folder);
  world.SetFaults(DrawFaults(world));
  Site site(world, setting, folder);
  site.Start();
  const int64_t trouble_ms = world.Between(30'000, 120'000);
  for (const auto& client : site.clients) {
    const int64_t count = world.Between(1, 6);
    for (int64_t i = 0; i < count; ++i) {
      client->Want(world.Between(0, trouble_ms * 2 / 3), world.Below(Definitions().size()));
    }
  }
  Trouble trouble(world, site.network, site.disk, site.server, site.workers);
  trouble.Begin();
  while (world.failure().empty() && world.MonotonicMillis() < trouble_ms) world.RunNext();
  world.Note("everything heals");
  world.Heal();
  trouble.End();
  RunUntilDone(world, site, world.MonotonicMillis() + kPatienceMs);
  if (!world.failure().empty()) return;
  if (!site.Done()) return world.Fail("liveness", "these do not end:" + Unfinished(site));
  CheckAll(world, site, setting, folder);
}

}  // namespace beamline::sim
