// worker, status, queue: the machines and what waits for them.
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

// "16 cores, 7 x NVIDIA H100 80GB HBM3, NVIDIA A30".
std::string DevicesText(const v1::Worker& worker) {
  std::map<std::string, int> gpus;
  double cpus = 0;
  for (const v1::Device& device : worker.devices()) {
    if (device.kind() == v1::DEVICE_KIND_CPU) {
      cpus += device.cpus();
    } else {
      ++gpus[device.model().empty() ? device.id() : device.model()];
    }
  }
  std::string text = absl::StrFormat("%g cores", cpus);
  for (const auto& [model, count] : gpus) {
    absl::StrAppend(&text, ", ", count > 1 ? absl::StrCat(count, " x ") : "", model);
  }
  return text;
}

std::string WorkerTable(Invocation& invocation, const v1::ListWorkersResponse& response) {
  Table table({{"WORKER"},
               {"HOST"},
               {"POOL"},
               {"STATE"},
               {"DEVICES"},
               {"CORES USED", Table::Align::kRight},
               {"MEMORY USED", Table::Align::kRight},
               {"LAST SEEN"}});
  for (const v1::Worker& worker : response.workers()) {
    table.Add({LastPart(worker.name()), worker.hostname(), worker.pool(),
               EnumWord(v1::WorkerState_Name(worker.state()), "WORKER_STATE_"), DevicesText(worker),
               absl::StrFormat("%g", worker.cpus_in_use()),
               absl::StrCat(HumanBytes(worker.memory_in_use_bytes()), " of ",
                            HumanBytes(worker.memory_bytes())),
               RelativeTime(TimeOf(worker.last_seen_time()), invocation.Now())});
  }
  return table.Render(!invocation.quiet());
}

absl::StatusOr<ExitCode> ListWorkers(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::ListWorkersResponse response, invocation.Call(kListWorkers, {}));
  if (invocation.json()) {
    invocation.PrintJson(response);
  } else {
    invocation.Print(WorkerTable(invocation, response));
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> DrainWorker(Invocation& invocation) {
  const std::string id = invocation.args().Positional(0);
  v1::DrainWorkerRequest request;
  request.set_name(id.starts_with("workers/") ? id : "workers/" + id);
  ASSIGN_OR_RETURN(const v1::Worker worker, invocation.Call(kDrainWorker, request));
  if (invocation.json()) {
    invocation.PrintJson(worker);
  } else {
    invocation.Note(absl::StrFormat("%s finishes what it has and takes nothing new\n",
                                    LastPart(worker.name())));
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> CreateJoinToken(Invocation& invocation) {
  v1::CreateJoinTokenRequest request;
  ASSIGN_OR_RETURN(const int64_t uses, invocation.args().Integer("uses", 1, 1, 100'000));
  request.set_uses(static_cast<int32_t>(uses));
  request.set_pool(invocation.args().Get("pool"));
  if (invocation.args().Has("expires")) {
    ASSIGN_OR_RETURN(const absl::Time expiry,
                     ParseExpiry(invocation.args().Get("expires"), invocation.Now()));
    *request.mutable_expire_time() = TimestampOf(expiry);
  }
  ASSIGN_OR_RETURN(const v1::CreateJoinTokenResponse response,
                   invocation.Call(kCreateJoinToken, request));
  if (invocation.json()) {
    invocation.PrintJson(response);
    return ExitCode::kOk;
  }
  invocation.Print(response.secret() + "\n");
  invocation.Note(absl::StrFormat(
      "for %d worker%s, %s; start one with:\n  beamline-worker --state DIR --server HOST:PORT "
      "--ca FILE --join-token-file FILE\n",
      uses, uses == 1 ? "" : "s",
      response.has_expire_time()
          ? "expires " + RelativeTime(TimeOf(response.expire_time()), invocation.Now())
          : "never expires"));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Status(Invocation& invocation) {
  ASSIGN_OR_RETURN(const Context context, invocation.CurrentContext());
  ASSIGN_OR_RETURN(const v1::GetServerInfoResponse info, invocation.Call(kGetServerInfo, {}));
  ASSIGN_OR_RETURN(const v1::ListWorkersResponse workers, invocation.Call(kListWorkers, {}));
  v1::ListQueueRequest request;
  request.set_page_size(1);
  ASSIGN_OR_RETURN(const v1::ListQueueResponse queue, invocation.Call(kListQueue, request));
  if (invocation.json()) {
    invocation.PrintJsonLine(info);
    invocation.PrintJsonLine(workers);
    invocation.PrintJsonLine(queue);
    return ExitCode::kOk;
  }
  int ready = 0;
  for (const v1::Worker& worker : workers.workers()) {
    ready += worker.state() == v1::WORKER_STATE_READY;
  }
  Table table({{""}, {""}});
  table.Add({"server", absl::StrFormat("%s, version %s, up for %s", context.server, info.version(),
                                       HumanDuration(absl::Seconds(info.uptime_seconds())))});
  table.Add({"workers", absl::StrFormat("%d ready of %d", ready, workers.workers_size())});
  table.Add({"tasks", absl::StrFormat("%d running, %d queued", queue.running_tasks(),
                                      queue.queued_tasks())});
  invocation.Print(table.Render(false));
  if (workers.workers_size() > 0) invocation.Print("\n" + WorkerTable(invocation, workers));
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> ClusterCommands() {
  return {
      {.path = "status",
       .summary = "Show the server, its workers and how much waits",
       .positionals = {},
       .flags = {},
       .details = "With --json three lines: server, workers, queue.",
       .run = Status},
      {.path = "worker list",
       .summary = "List workers and what they have",
       .positionals = {},
       .flags = {},
       .details = "",
       .run = ListWorkers},
      {.path = "worker drain",
       .summary = "Let a worker finish and give it nothing new (operators)",
       .positionals = {{.name = "WORKER"}},
       .flags = {},
       .details = "",
       .run = DrainWorker},
      {.path = "worker join-token",
       .summary = "Create a token with which workers join (operators)",
       .positionals = {},
       .flags = {{"uses", "N", "How many workers may join with it (default 1)"},
                 {"pool", "POOL", "The pool that they join"},
                 {"expires", "WHEN", "90s, 15m, 12h, 30d, or a time (default: one day)"}},
       .details = "",
       .run = CreateJoinToken},
  };
}

}  // namespace beamline::cli
