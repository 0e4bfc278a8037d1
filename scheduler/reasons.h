// Why things are as they are: every code that the scheduler gives, and its one spelling.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace beamline::scheduler {

// Why a pending task does not run.
enum class PendingCode {
  kWaitingForCapacity,  // some worker is large enough, but it is busy
  kBackOff,             // waits until its not_before
  kNoWorkers,           // no worker is connected
  kAllWorkersDraining,  // workers are connected, but none takes new tasks
  kNoWorkerInPool,      // no usable worker has the label that the task asks for
  kTooLarge,            // does not fit any usable worker, even an idle one
  kGangsUnsupported,    // asks for more than one worker, and Options::gangs is off
  kQuota,               // its project, or a parent, holds all that its cap allows
  kBehindOthers,        // it would fit, but tasks before it in strict order do not
  kReserved,            // it has a place, which others are leaving
  kFairShare,           // its project holds what it is owed, and others are owed the rest
  kFragmented,          // enough is free in all, but not together
};

struct PendingReason {
  PendingCode code = PendingCode::kWaitingForCapacity;
  // What is missing, and what would help; empty: nothing but time. No full stop.
  std::string text;
  std::string remedy;
  // When the wait ends by itself. Unit: milliseconds of the caller's clock; 0: unknown.
  int64_t until_ms = 0;
};

// Text and remedy together.
std::string Sentence(const PendingReason& reason);

// How an attempt ended, as its worker reports it.
enum class Outcome {
  kSucceeded,
  kFailedPermanent,  // the definition or the data is wrong: no retry helps
  kFailedRetryable,  // crash, out of memory, deadline of the machine: counts against max_attempts
  kCancelled,        // stopped because it was told to
  kReleased,         // given back by a draining worker; does not count against max_attempts
  kPreempted,        // stopped at a checkpoint, as Preempt asked; counts against nothing
};

// Why an attempt must stop.
enum class StopCode { kCancelled, kLeaseLost, kWorkerGone, kGraceOver };

// Why an attempt has to make room.
enum class PreemptCode {
  kFairShare,  // another project is owed what it holds
  kLevel,      // a task of its own project that has had less service goes first
  kExpress,    // a short task goes first
  kDisplaced,  // a gang needs its worker whole; the attempt moves to another place
};

// Why a task is queued again.
enum class RequeueCode { kFailure, kLostWorker, kReleased, kPreempted };

// The terminal state of a task, and why.
enum class EndState { kSucceeded, kFailed, kCancelled };
enum class EndCode {
  kSucceeded,
  kFailedPermanent,
  kAttemptsUsedUp,  // max_attempts retryable failures
  kLostTooOften,    // max_losses lost workers and releases: perhaps the task kills its workers
  kCancelled,
};

// Why an event changed nothing.
enum class IgnoredCode {
  kUnknownTask,    // never queued, or ended already
  kUnknownWorker,  // never seen, or gone: the worker has to register
  kStaleAttempt,   // not the task's live attempt
  kDuplicateTask,  // a task of this name is pending or running
  kInvalid,        // an amount out of range; see Ignored::text
};

std::string_view ToString(PendingCode code);
std::string_view ToString(Outcome outcome);
std::string_view ToString(StopCode code);
std::string_view ToString(PreemptCode code);
std::string_view ToString(RequeueCode code);
std::string_view ToString(EndState state);
std::string_view ToString(EndCode code);
std::string_view ToString(IgnoredCode code);

}  // namespace beamline::scheduler
