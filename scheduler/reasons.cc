#include "scheduler/reasons.h"

namespace beamline::scheduler {

std::string Sentence(const PendingReason& reason) {
  return reason.remedy.empty() ? reason.text : reason.text + ": " + reason.remedy;
}

std::string_view ToString(PendingCode code) {
  switch (code) {
    case PendingCode::kWaitingForCapacity:
      return "waiting_for_capacity";
    case PendingCode::kBackOff:
      return "back_off";
    case PendingCode::kNoWorkers:
      return "no_workers";
    case PendingCode::kAllWorkersDraining:
      return "all_workers_draining";
    case PendingCode::kNoWorkerInPool:
      return "no_worker_in_pool";
    case PendingCode::kTooLarge:
      return "too_large";
    case PendingCode::kGangsUnsupported:
      return "gangs_unsupported";
    case PendingCode::kQuota:
      return "quota";
    case PendingCode::kBehindOthers:
      return "behind_others";
    case PendingCode::kReserved:
      return "reserved";
    case PendingCode::kFairShare:
      return "fair_share";
    case PendingCode::kFragmented:
      return "fragmented";
  }
  return "unknown";
}

std::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSucceeded:
      return "succeeded";
    case Outcome::kFailedPermanent:
      return "failed_permanent";
    case Outcome::kFailedRetryable:
      return "failed_retryable";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kReleased:
      return "released";
    case Outcome::kPreempted:
      return "preempted";
  }
  return "unknown";
}

std::string_view ToString(StopCode code) {
  switch (code) {
    case StopCode::kCancelled:
      return "cancelled";
    case StopCode::kLeaseLost:
      return "lease_lost";
    case StopCode::kWorkerGone:
      return "worker_gone";
    case StopCode::kGraceOver:
      return "grace_over";
  }
  return "unknown";
}

std::string_view ToString(PreemptCode code) {
  switch (code) {
    case PreemptCode::kFairShare:
      return "fair_share";
    case PreemptCode::kLevel:
      return "level";
    case PreemptCode::kExpress:
      return "express";
    case PreemptCode::kDisplaced:
      return "displaced";
  }
  return "unknown";
}

std::string_view ToString(RequeueCode code) {
  switch (code) {
    case RequeueCode::kFailure:
      return "failure";
    case RequeueCode::kLostWorker:
      return "lost_worker";
    case RequeueCode::kReleased:
      return "released";
    case RequeueCode::kPreempted:
      return "preempted";
  }
  return "unknown";
}

std::string_view ToString(EndState state) {
  switch (state) {
    case EndState::kSucceeded:
      return "succeeded";
    case EndState::kFailed:
      return "failed";
    case EndState::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string_view ToString(EndCode code) {
  switch (code) {
    case EndCode::kSucceeded:
      return "succeeded";
    case EndCode::kFailedPermanent:
      return "failed_permanent";
    case EndCode::kAttemptsUsedUp:
      return "attempts_used_up";
    case EndCode::kLostTooOften:
      return "lost_too_often";
    case EndCode::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string_view ToString(IgnoredCode code) {
  switch (code) {
    case IgnoredCode::kUnknownTask:
      return "unknown_task";
    case IgnoredCode::kUnknownWorker:
      return "unknown_worker";
    case IgnoredCode::kStaleAttempt:
      return "stale_attempt";
    case IgnoredCode::kDuplicateTask:
      return "duplicate_task";
    case IgnoredCode::kInvalid:
      return "invalid";
  }
  return "unknown";
}

}  // namespace beamline::scheduler
