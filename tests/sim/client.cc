#include "tests/sim/client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/states.h"
#include "tests/sim/ask.h"

namespace beamline::sim {

using server::IsTerminal;
namespace {

constexpr int64_t kCallMs = 5'000;

}  // namespace

Client::Client(World& world, ServerProcess& server, const InitialState& state, size_t project)
    : world_(world),
      server_(server),
      state_(state),
      project_(project),
      principal_(Member(project)) {}

void Client::Want(int64_t delay_ms, size_t definition) {
  auto& run = *runs_.emplace_back(std::make_unique<WantedRun>());
  run.project = project_;
  run.definition = definition;
  run.request_id = absl::StrCat("run-", runs_.size());
  run.fresh = plain_ || world_.Chance(0.7);
  const int watchers = static_cast<int>(world_.Between(1, 2));
  for (int i = 0; i < watchers; ++i) run.watchers.push_back(std::make_unique<Watcher>());
  world_.After(delay_ms, [this, &run] {
    Ask(run, [this, &run](const v1::Run& answer) { Created(run, answer); });
  });
}

bool Client::done() const {
  for (const auto& run : runs_) {
    if (!run->done()) return false;
  }
  return true;
}

bool Client::MayTryAgain(const absl::Status& answer) {
  if (absl::IsUnavailable(answer) || absl::IsDeadlineExceeded(answer)) return true;
  // A disk that is full, or a queue.
  if (absl::IsResourceExhausted(answer)) return true;
  world_.Fail("answers", absl::StrCat(principal_.name, " was answered ", answer.ToString()));
  return false;
}

void Client::Later(std::function<void()> task) {
  world_.After(world_.Between(100, 3'000), std::move(task));
}

void Client::Ask(const WantedRun& run, std::function<void(const v1::Run&)> then) {
  v1::CreateRunRequest request;
  const std::string project(kProjects[project_]);
  request.set_parent(absl::StrCat("projects/", project));
  request.mutable_source()->set_yaml(Definitions()[run.definition]);
  (*request.mutable_inputs())["points"] = state_.datasets.at(project);
  request.set_request_id(run.request_id);
  request.set_fresh(run.fresh);
  Control<v1::CreateRunRequest>(request, &server::RunApi::CreateRun, std::move(then));
}

void Client::Created(WantedRun& run, const v1::Run& answer) {
  run.name = answer.name();
  world_.Note(absl::StrCat("acknowledged ", run.name, " of definition ", run.definition));
  for (const auto& watcher : run.watchers) Watch(run, *watcher);
  LookAt(run);
  if (plain_) return;
  // Asked once more, it is the same run.
  if (world_.Chance(0.3)) {
    world_.After(world_.Between(0, 60'000), [this, &run] {
      Ask(run, [this, &run](const v1::Run& again) {
        if (again.name() == run.name) return;
        world_.Fail("durability",
                    absl::StrCat("one request made ", run.name, " and ", again.name()));
      });
    });
  }
  if (world_.Chance(0.15)) {
    world_.After(world_.Between(0, 40'000), [this, &run] { Cancel(run); });
  } else if (world_.Chance(0.3)) {
    world_.After(world_.Between(0, 30'000), [this, &run] { Pause(run); });
  }
}

template <class Request>
void Client::Control(const Request& request,
                     void (server::RunApi::*method)(const auth::Principal&, const Request&,
                                                    server::Done<v1::Run>),
                     std::function<void(const v1::Run&)> then) {
  server_.Call<v1::Run>(
      principal_.name, kCallMs,
      [principal = principal_, request, method](server::Server& server, Done<v1::Run> done) {
        (server.runs().*method)(principal, request, std::move(done));
      },
      [this, request, method, then](absl::StatusOr<v1::Run> answer) {
        if (answer.ok()) return then(*answer);
        // The run has ended meanwhile, or is being cancelled.
        if (absl::IsFailedPrecondition(answer.status())) return;
        if (!MayTryAgain(answer.status())) return;
        Later([this, request, method, then] { Control(request, method, then); });
      });
}

void Client::Cancel(WantedRun& run) {
  run.cancel_asked = true;
  v1::CancelRunRequest request;
  request.set_name(run.name);
  request.set_request_id(absl::StrCat("cancel-", ++requests_));
  Control<v1::CancelRunRequest>(request, &server::RunApi::CancelRun, [&run](const v1::Run& now) {
    // One that had ended is as it is.
    run.cancelled = run.cancelled || now.state() == v1::RUN_STATE_CANCELLING ||
                    now.state() == v1::RUN_STATE_CANCELLED;
  });
}

void Client::Pause(WantedRun& run) {
  v1::PauseRunRequest request;
  request.set_name(run.name);
  request.set_request_id(absl::StrCat("pause-", ++requests_));
  Control<v1::PauseRunRequest>(request, &server::RunApi::PauseRun, [this, &run](const v1::Run&) {
    // Whatever happens, it stays paused, or it has ended, until it is resumed.
    world_.After(world_.Between(0, 20'000), [this, &run] {
      v1::GetRunRequest get;
      get.set_name(run.name);
      Control<v1::GetRunRequest>(get, &server::RunApi::GetRun, [this, &run](const v1::Run& now) {
        if (now.state() != v1::RUN_STATE_PAUSED && !IsTerminal(now.state())) {
          world_.Fail("durability", absl::StrCat(run.name, " was paused, and is ",
                                                 v1::RunState_Name(now.state())));
        }
        Resume(run);
      });
    });
  });
}

void Client::Resume(WantedRun& run) {
  v1::ResumeRunRequest request;
  request.set_name(run.name);
  request.set_request_id(absl::StrCat("resume-", ++requests_));
  Control<v1::ResumeRunRequest>(request, &server::RunApi::ResumeRun, [](const v1::Run&) {});
}

void Client::LookAt(WantedRun& run) {
  world_.After(world_.Between(1'000, 60'000), [this, &run] {
    v1::GetRunRequest request;
    request.set_name(run.name);
    Control<v1::GetRunRequest>(request, &server::RunApi::GetRun, [this, &run](const v1::Run& now) {
      if (!IsTerminal(now.state())) return LookAt(run);
    });
  });
}

void Client::Watch(const WantedRun& run, Watcher& watcher) {
  v1::WatchRunRequest request;
  request.set_name(run.name);
  request.set_after_sequence(static_cast<int64_t>(watcher.events.size()));
  server_.Watch(principal_.name, principal_, request,
                [this, &run, &watcher](absl::StatusOr<int64_t> stream) {
                  if (stream.ok()) return Next(run, watcher, *stream);
                  if (!MayTryAgain(stream.status())) return;
                  Later([this, &run, &watcher] { Watch(run, watcher); });
                });
}

void Client::Next(const WantedRun& run, Watcher& watcher, int64_t stream) {
  server_.Next(principal_.name, stream,
               [this, &run, &watcher, stream](absl::StatusOr<std::vector<v1::Event>> page) {
                 if (!page.ok()) {
                   if (!MayTryAgain(page.status())) return;
                   return Later([this, &run, &watcher] { Watch(run, watcher); });
                 }
                 watcher.ended = page->empty();
                 if (watcher.ended) return;
                 for (v1::Event& event : *page) watcher.events.push_back(std::move(event));
                 // Now and then the client is cut off by itself.
                 if (!world_.healed() && world_.Chance(0.05)) {
                   return Later([this, &run, &watcher] { Watch(run, watcher); });
                 }
                 Next(run, watcher, stream);
               });
}

}  // namespace beamline::sim
