#include "scheduler/actions.h"

#include <string_view>

namespace beamline::scheduler {
namespace {

// "a#3": attempt 3 of task a.
std::string Name(const TaskId& task, int32_t attempt) {
  return task.value + "#" + std::to_string(attempt);
}

std::string Line(const Assign& action) {
  std::string line = "assign " + Name(action.task, action.attempt);
  for (const Placement& placement : action.placements) {
    line += " " + placement.worker.value + "[";
    for (const DeviceId& device : placement.devices) line += device.value + " ";
    line += "cpu=" + std::to_string(placement.cpu_millis) +
            " mem=" + std::to_string(placement.memory_bytes) + "]";
  }
  return line + " lease=" + std::to_string(action.lease_until_ms);
}

std::string Line(const StopAttempt& action) {
  return "stop " + Name(action.task, action.attempt) + " " + action.worker.value + " " +
         std::string(ToString(action.code));
}

std::string Line(const Preempt& action) {
  std::string line = "preempt " + Name(action.task, action.attempt);
  for (const WorkerId& worker : action.workers) line += " " + worker.value;
  return line + " " + std::string(ToString(action.code)) + " for " + action.beneficiary.value +
         " deadline=" + std::to_string(action.deadline_ms);
}

std::string Line(const Requeue& action) {
  return "requeue " + Name(action.task, action.attempt) + " " + std::string(ToString(action.code)) +
         " failures=" + std::to_string(action.failures) +
         " losses=" + std::to_string(action.losses) +
         " not_before=" + std::to_string(action.not_before_ms) +
         " attained=" + std::to_string(action.attained);
}

std::string Line(const EndTask& action) {
  return "end " + Name(action.task, action.attempt) + " " + std::string(ToString(action.state)) +
         " " + std::string(ToString(action.code)) + " attained=" + std::to_string(action.attained);
}

std::string Line(const Park& action) {
  return "park " + action.task.value + " " + std::string(ToString(action.reason.code)) + ": " +
         Sentence(action.reason);
}

std::string Line(const SetTimer& action) { return "timer " + std::to_string(action.at_ms); }

std::string Line(const Ignored& action) {
  std::string line = "ignored " + std::string(ToString(action.code));
  if (!action.task.empty()) line += " " + Name(action.task, action.attempt);
  if (!action.worker.empty()) line += " " + action.worker.value;
  return action.text.empty() ? line : line + ": " + action.text;
}

}  // namespace

std::string ToString(const Action& action) {
  return std::visit([](const auto& a) { return Line(a); }, action);
}

}  // namespace beamline::scheduler
