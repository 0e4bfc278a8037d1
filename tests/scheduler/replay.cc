#include "tests/scheduler/replay.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace beamline::scheduler {
namespace {

std::vector<std::string> Split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + separator.size());
  }
}

std::vector<std::string> SplitWords(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

[[noreturn]] void Misspelt(std::string_view what) {
  std::fprintf(stderr, "misspelt story: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

int64_t Number(const std::string& text) {
  char* end = nullptr;
  const int64_t number = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0') Misspelt(text);
  return number;
}

int64_t Gibibytes(const std::string& text) { return Number(text) << 30; }

// The words after the name: key=value, or a key alone.
struct Option {
  std::string key;
  std::string value;
};

std::vector<Option> ParseOptions(const std::vector<std::string>& words, size_t first) {
  std::vector<Option> options;
  for (size_t i = first; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    options.push_back({words[i].substr(0, equals),
                       equals == std::string::npos ? "" : words[i].substr(equals + 1)});
  }
  return options;
}

void SetDemand(const Option& option, Demand& demand) {
  const auto& [key, value] = option;
  if (key == "cpu") {
    demand.cpu_millis = Number(value) * 1000;
  } else if (key == "mem") {
    demand.memory_bytes = Gibibytes(value);
  } else if (key == "gpu") {
    demand.gpus = static_cast<int32_t>(Number(value));
    if (demand.device == DeviceKind::kCpu) demand.device = DeviceKind::kCuda;
  } else if (key == "gpumem") {
    demand.gpu_memory_bytes = Gibibytes(value);
  } else if (key == "any") {
    demand.device = DeviceKind::kAny;
  } else if (key == "pool") {
    demand.pool = value;
  } else if (key == "workers") {
    demand.min_workers = demand.max_workers = static_cast<int32_t>(Number(value));
  } else {
    Misspelt(key);
  }
}

TaskQueued ParseTask(const std::string& name, const std::vector<Option>& options) {
  TaskQueued task;
  task.task = TaskId(name);
  task.run = RunId("run-of-" + name);
  task.project = ProjectId("p");
  for (const Option& option : options) {
    const auto& [key, value] = option;
    if (key == "p") {
      task.priority = static_cast<int32_t>(Number(value));
    } else if (key == "project") {
      task.project = ProjectId(value);
    } else if (key == "max") {
      task.max_attempts = static_cast<int32_t>(Number(value));
    } else if (key == "after") {
      task.not_before_ms = Number(value);
    } else if (key == "at") {
      task.queued_at_ms = Number(value);
    } else if (key == "attempt") {
      task.last_attempt = static_cast<int32_t>(Number(value));
    } else if (key == "failures") {
      task.failures = static_cast<int32_t>(Number(value));
    } else if (key == "losses") {
      task.losses = static_cast<int32_t>(Number(value));
    } else if (key == "fixed") {
      task.preemptible = false;
    } else if (key == "predicted") {
      task.predicted_ms = Number(value) * 3'600'000;
    } else if (key == "attained") {
      task.attained = Number(value) * 3'600'000'000;
    } else if (key != "gpus" && key != "cancelling") {
      SetDemand(option, task.demand);
    }
  }
  return task;
}

WorkerSeen ParseWorker(const std::string& name, const std::vector<Option>& options) {
  WorkerSeen seen;
  seen.worker = WorkerId(name);
  seen.capacity.cpu_millis = 8000;
  seen.capacity.memory_bytes = int64_t{64} << 30;
  std::vector<std::string> sizes = {"80"};
  int64_t gpus = 0;
  for (const auto& [key, value] : options) {
    if (key == "cpu") {
      seen.capacity.cpu_millis = Number(value) * 1000;
    } else if (key == "mem") {
      seen.capacity.memory_bytes = Gibibytes(value);
    } else if (key == "gpu") {
      gpus = Number(value);
    } else if (key == "gpumem") {
      sizes = Split(value, ",");
    } else if (key == "pool") {
      seen.labels = Split(value, ",");
    } else if (key == "draining") {
      seen.draining = true;
    } else {
      Misspelt(key);
    }
  }
  for (int64_t i = 0; i < gpus; ++i) {
    const std::string& size = sizes[std::min<size_t>(i, sizes.size() - 1)];
    seen.capacity.devices.push_back(
        {DeviceId("g" + std::to_string(i)), DeviceKind::kCuda, Gibibytes(size)});
  }
  return seen;
}

// "a#3" into "a" and 3.
std::pair<std::string, int32_t> ParseAttempt(const std::string& text) {
  const size_t hash = text.find('#');
  if (hash == std::string::npos) Misspelt(text);
  return {text.substr(0, hash), static_cast<int32_t>(Number(text.substr(hash + 1)))};
}

AttemptRestored ParseRestored(const std::vector<std::string>& words) {
  const auto [name, attempt] = ParseAttempt(words.at(1));
  const std::vector<Option> options = ParseOptions(words, 3);
  AttemptRestored restored{ParseTask(name, options), {}, false};
  restored.task.last_attempt = attempt;
  Placement placement{WorkerId(words.at(2)),
                      {},
                      restored.task.demand.cpu_millis,
                      restored.task.demand.memory_bytes};
  for (const auto& [key, value] : options) {
    if (key == "cancelling") restored.cancelling = true;
    if (key != "gpus") continue;
    for (const std::string& id : Split(value, ",")) placement.devices.push_back(DeviceId(id));
  }
  restored.placements = {placement};
  return restored;
}

AttemptFinished Finished(const std::string& text, Outcome outcome) {
  const auto [name, attempt] = ParseAttempt(text);
  return {TaskId(name), attempt, outcome};
}

QuotaChanged ParseQuota(const std::string& name, const std::vector<Option>& options) {
  QuotaChanged quota;
  quota.project = ProjectId(name);
  for (const auto& [key, value] : options) {
    if (key == "weight") {
      quota.weight_millis = Number(value) * 1000;
    } else if (key == "parent") {
      quota.parent = ProjectId(value);
    } else if (key == "gpu") {
      quota.guaranteed_devices = Number(value);
    } else if (key == "cpu") {
      quota.guaranteed_cpu_millis = Number(value) * 1000;
    } else if (key == "maxgpu") {
      quota.max_devices = Number(value);
    } else if (key == "maxcpu") {
      quota.max_cpu_millis = Number(value) * 1000;
    } else {
      Misspelt(key);
    }
  }
  return quota;
}

struct WordsOf {
  using Result = std::vector<std::string>;

  Result operator()(const Assign& a) const {
    Result words = {"assign", a.task.value};
    for (const Placement& placement : a.placements) {
      words.push_back(placement.worker.value);
      std::string gpus = "gpus=";
      for (const DeviceId& id : placement.devices) {
        gpus += (gpus.back() == '=' ? "" : ",") + id.value;
      }
      words.push_back(gpus);
    }
    words.push_back("attempt=" + std::to_string(a.attempt));
    words.push_back("lease=" + std::to_string(a.lease_until_ms));
    return words;
  }
  Result operator()(const StopAttempt& a) const {
    return {"stop", a.task.value, a.worker.value, "attempt=" + std::to_string(a.attempt),
            std::string(ToString(a.code))};
  }
  Result operator()(const Preempt& a) const {
    Result words = {"preempt", a.task.value, "attempt=" + std::to_string(a.attempt)};
    for (const WorkerId& worker : a.workers) words.push_back(worker.value);
    words.push_back(std::string(ToString(a.code)));
    words.push_back("for=" + a.beneficiary.value);
    words.push_back("deadline=" + std::to_string(a.deadline_ms));
    return words;
  }
  Result operator()(const Requeue& a) const {
    return {"requeue",
            a.task.value,
            "attempt=" + std::to_string(a.attempt),
            std::string(ToString(a.code)),
            "failures=" + std::to_string(a.failures),
            "losses=" + std::to_string(a.losses),
            "after=" + std::to_string(a.not_before_ms)};
  }
  Result operator()(const EndTask& a) const {
    return {"end", a.task.value, "attempt=" + std::to_string(a.attempt),
            std::string(ToString(a.state)), std::string(ToString(a.code))};
  }
  Result operator()(const Park& a) const {
    return {"park", a.task.value, std::string(ToString(a.reason.code))};
  }
  Result operator()(const SetTimer& a) const { return {"timer", std::to_string(a.at_ms)}; }
  Result operator()(const Ignored& a) const {
    return {"ignored", a.task.value.empty() ? a.worker.value : a.task.value,
            std::string(ToString(a.code))};
  }
};

bool Matches(const std::vector<std::string>& expected, const std::vector<std::string>& actual) {
  size_t at = 0;
  for (const std::string& word : actual) {
    if (at < expected.size() && expected[at] == word) ++at;
  }
  return !expected.empty() && at == expected.size() && expected[0] == actual[0];
}

void Compare(std::string_view wanted, const std::vector<Action>& actions, const std::string& step) {
  std::vector<std::vector<std::string>> expected;
  bool timers = false;
  for (const std::string& part : Split(wanted, ";")) {
    std::vector<std::string> words = SplitWords(part);
    if (words == std::vector<std::string>{"(nothing)"}) continue;
    timers |= !words.empty() && words[0] == "timer";
    expected.push_back(std::move(words));
  }
  std::string happened;
  bool same = true;
  size_t at = 0;
  for (const Action& action : actions) {
    happened += "\n    " + ToString(action);
    if (!timers && std::holds_alternative<SetTimer>(action)) continue;
    same = same && at < expected.size() && Matches(expected[at], Words(action));
    ++at;
  }
  EXPECT_TRUE(same && at == expected.size())
      << "  " << step << "\n  but what happened is:" << (happened.empty() ? " nothing" : happened);
}

}  // namespace

std::vector<std::string> Words(const Action& action) { return std::visit(WordsOf(), action); }

Event ParseEvent(std::string_view text) {
  const std::vector<std::string> words = SplitWords(text);
  if (words.empty()) Misspelt(text);
  const std::string& verb = words[0];
  if (verb == "tick") return Tick{};
  if (words.size() < 2) Misspelt(text);
  const std::string& name = words[1];
  if (verb == "queued") return ParseTask(name, ParseOptions(words, 2));
  if (verb == "cancel") return TaskCancelled{TaskId(name)};
  if (verb == "seen") return ParseWorker(name, ParseOptions(words, 2));
  if (verb == "heartbeat") return WorkerHeartbeat{WorkerId(name)};
  if (verb == "draining") return WorkerDraining{WorkerId(name)};
  if (verb == "gone") return WorkerGone{WorkerId(name)};
  if (verb == "restored") return ParseRestored(words);
  if (verb == "succeeded") return Finished(name, Outcome::kSucceeded);
  if (verb == "failed") return Finished(name, Outcome::kFailedRetryable);
  if (verb == "broken") return Finished(name, Outcome::kFailedPermanent);
  if (verb == "stopped") return Finished(name, Outcome::kCancelled);
  if (verb == "preempted") return Finished(name, Outcome::kPreempted);
  if (verb == "quota") return ParseQuota(name, ParseOptions(words, 2));
  if (verb == "checkpointed") {
    const auto [task, attempt] = ParseAttempt(name);
    return AttemptCheckpointed{TaskId(task), attempt};
  }
  if (verb == "released") return Finished(name, Outcome::kReleased);
  if (verb == "started") {
    const auto [task, attempt] = ParseAttempt(name);
    return AttemptStarted{TaskId(task), attempt};
  }
  Misspelt(text);
}

void Story::Replay(std::string_view steps) {
  for (const std::string& step : Split(steps, "|")) {
    const std::vector<std::string> halves = Split(step, "->");
    const std::vector<std::string> words = SplitWords(halves[0]);
    if (words.size() < 2 || words[0].rfind("t=", 0) != 0) Misspelt(step);
    const size_t event = halves[0].find(words[0]) + words[0].size();
    const std::vector<Action> actions =
        scheduler.Step(ParseEvent(halves[0].substr(event)), Number(words[0].substr(2)));
    if (halves.size() > 1) Compare(halves[1], actions, step);
  }
}

}  // namespace beamline::scheduler
