// What runs, what waits, and who is owed what.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/rpc.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"
#include "clients/cli/wait_text.h"

namespace beamline::cli {
namespace {

constexpr char kProjects[] = "projects/";

// "optics/r-1/fit" of "projects/optics/runs/r-1/tasks/fit".
std::string ShortTask(std::string task) {
  for (const char* part : {kProjects, "runs/", "tasks/"}) {
    if (const size_t at = task.find(part); at != std::string::npos) {
      task.erase(at, std::string(part).size());
    }
  }
  return task;
}

std::string StateOf(const v1::ListQueueResponse::Entry& entry) {
  if (entry.leaving()) return "leaving";
  return entry.running() ? "running" : WaitWord(entry.wait());
}

std::string QueueTable(Invocation& invocation, const v1::ListQueueResponse& queue) {
  Table table({{"TASK"},
               {"STATE"},
               {"SINCE"},
               {"WORKER"},
               {"CORES", Table::Align::kRight},
               {"MEMORY", Table::Align::kRight},
               {"GPUS", Table::Align::kRight},
               {"PRIORITY", Table::Align::kRight},
               {"EARLIEST START"},
               {"WHY"}});
  const absl::Time now = invocation.Now();
  for (const auto& entry : queue.entries()) {
    const std::string since = entry.has_start_time() ? RelativeTime(TimeOf(entry.start_time()), now)
                                                     : WaitSince(entry.wait(), now);
    table.Add({ShortTask(entry.task()), StateOf(entry), since, LastPart(entry.worker()),
               absl::StrFormat("%g", entry.resources().cpus()),
               HumanBytes(entry.resources().memory_bytes()), absl::StrCat(entry.resources().gpus()),
               absl::StrCat(entry.priority()),
               entry.running() ? "" : EarliestStart(entry.wait(), now),
               entry.running() ? "" : WaitSentence(entry.wait())});
  }
  return table.empty() ? "" : table.Render(!invocation.quiet());
}

absl::StatusOr<ExitCode> ListQueue(Invocation& invocation) {
  v1::ListQueueRequest request;
  ASSIGN_OR_RETURN(const int64_t limit, invocation.args().Integer("limit", 100, 1, 1000));
  request.set_page_size(static_cast<int32_t>(limit));
  if (invocation.args().Has("mine")) {
    ASSIGN_OR_RETURN(const std::string project, invocation.Project());
    request.set_project(project);
  }
  ASSIGN_OR_RETURN(const v1::ListQueueResponse queue, invocation.Call(kListQueue, request));
  if (invocation.json()) {
    invocation.PrintJson(queue);
    return ExitCode::kOk;
  }
  invocation.Print(QueueTable(invocation, queue));
  invocation.Note(
      absl::StrFormat("%d queued, %d running\n", queue.queued_tasks(), queue.running_tasks()));
  return ExitCode::kOk;
}

std::string Percent(double share) { return absl::StrFormat("%.1f %%", share * 100); }

// "4 of 8", "4".
std::string Held(double held, double most) {
  return most > 0 ? absl::StrFormat("%g of %g", held, most) : absl::StrFormat("%g", held);
}

absl::StatusOr<ExitCode> FairShare(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::ListSharesResponse response, invocation.Call(kListShares, {}));
  if (invocation.json()) {
    invocation.PrintJson(response);
    return ExitCode::kOk;
  }
  Table table({{"PROJECT"},
               {"WEIGHT", Table::Align::kRight},
               {"HOLDS", Table::Align::kRight},
               {"IS OWED", Table::Align::kRight},
               {"WANTS", Table::Align::kRight},
               {"CORES", Table::Align::kRight},
               {"MEMORY", Table::Align::kRight},
               {"GPUS", Table::Align::kRight},
               {"RUNNING", Table::Align::kRight},
               {"WAITING", Table::Align::kRight},
               {"EXPRESS", Table::Align::kRight}});
  for (const auto& share : response.shares()) {
    table.Add({LastPart(share.project()),
               absl::StrFormat("%g", static_cast<double>(share.quota().weight_milli()) / 1000),
               Percent(share.held()), Percent(share.entitled()), Percent(share.demand()),
               Held(share.cpus(), share.quota().max_cpus()), HumanBytes(share.memory_bytes()),
               Held(share.gpus(), share.quota().max_gpus()), absl::StrCat(share.running_tasks()),
               absl::StrCat(share.waiting_tasks()),
               absl::StrFormat("%.1f h", share.express_hours())});
  }
  if (!table.empty()) invocation.Print(table.Render(!invocation.quiet()));
  invocation.Note(absl::StrFormat("%d project%s active; the workers have %g cores, %s, %d GPUs\n",
                                  response.active_projects(),
                                  response.active_projects() == 1 ? "" : "s", response.cpus(),
                                  HumanBytes(response.memory_bytes()), response.gpus()));
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> QueueCommands() {
  return {
      {.path = "queue",
       .summary = "List the tasks that run or wait, and why",
       .positionals = {},
       .flags = {{"limit", "N", "At most so many (default 100)"},
                 {"mine", "", "Only those of the current project"}},
       .details = "",
       .run = ListQueue},
      {.path = "fairshare",
       .summary = "Show which project holds what, and what it is owed",
       .positionals = {},
       .flags = {},
       .details = "Percentages are of the cluster, in cores, memory or GPUs, whichever is most "
                  "(dominant share).\nEXPRESS: short tasks of the project go first while this is "
                  "left (hours of the whole cluster).",
       .run = FairShare},
  };
}

}  // namespace beamline::cli
