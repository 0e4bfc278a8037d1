// What an attempt has reported and the server has not yet acknowledged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "beamline/v1/worker.pb.h"

namespace beamline::worker {

// Bounds of a spool.
struct SpoolLimits {
  // Reports in one call; the server takes at most 1000.
  int batch_reports = 500;
  // Bytes in one call, unless a single report is larger. gRPC's own limit is 4 MiB.
  size_t batch_bytes = 1 << 20;
  // Above this the attempt is paused. Unit: bytes. Raise it where servers are away for long.
  size_t full_bytes = 16 << 20;
};

// Numbers reports 1, 2, 3, ... as they go into a batch; a batch is repeated unchanged until it is
// acknowledged. Before a report has its number, a newer progress event may take the place of an
// older one that still waits; nothing else is ever dropped. Not thread-safe.
class ReportSpool {
 public:
  explicit ReportSpool(SpoolLimits limits = {}) : limits_(limits) {}

  void Add(v1::Event event);
  // The last report; nothing may be added afterwards.
  void AddResult(v1::AttemptResult result);

  // The batch to send now: the one that is not acknowledged, else the next one. Empty `reports` if
  // there is nothing. `request.task` and `number` are left alone.
  void FillBatch(v1::ReportAttemptRequest& request);
  // All reports up to `number` are durable. Numbers never sent are ignored.
  void Acknowledge(int64_t number);

  // Nothing waits and nothing is unacknowledged.
  bool empty() const { return batch_.empty() && waiting_.empty(); }
  // The result was added, and the server has everything.
  bool finished() const { return ended_ && empty(); }
  // More bytes wait than the limit allows.
  bool full() const { return bytes_ > limits_.full_bytes; }

 private:
  void Append(v1::AttemptReport report);

  SpoolLimits limits_;
  // Numbered and sent at least once.
  std::deque<v1::AttemptReport> batch_;
  // In order, without numbers.
  std::deque<v1::AttemptReport> waiting_;
  // Of both queues.
  size_t bytes_ = 0;
  int64_t last_number_ = 0;
  bool ended_ = false;
};

}  // namespace beamline::worker
