#include "worker/spool.h"

#include <utility>

namespace beamline::worker {

void ReportSpool::Add(v1::Event event) {
  const bool crowded = bytes_ > limits_.full_bytes / 2;
  if (crowded && event.has_progress() && !waiting_.empty() &&
      waiting_.back().event().has_progress()) {
    bytes_ -= waiting_.back().ByteSizeLong();
    waiting_.pop_back();
  }
  v1::AttemptReport report;
  *report.mutable_event() = std::move(event);
  Append(std::move(report));
}

void ReportSpool::AddResult(v1::AttemptResult result) {
  v1::AttemptReport report;
  *report.mutable_result() = std::move(result);
  Append(std::move(report));
  ended_ = true;
}

void ReportSpool::Append(v1::AttemptReport report) {
  bytes_ += report.ByteSizeLong();
  waiting_.push_back(std::move(report));
}

void ReportSpool::FillBatch(v1::ReportAttemptRequest& request) {
  size_t bytes = 0;
  if (batch_.empty()) {
    while (!waiting_.empty() && static_cast<int>(batch_.size()) < limits_.batch_reports) {
      v1::AttemptReport& next = waiting_.front();
      const size_t size = next.ByteSizeLong();
      if (!batch_.empty() && bytes + size > limits_.batch_bytes) break;
      bytes += size;
      next.set_number(++last_number_);
      bytes_ += next.ByteSizeLong() - size;
      batch_.push_back(std::move(next));
      waiting_.pop_front();
    }
  }
  for (const v1::AttemptReport& report : batch_) {
    *request.add_reports() = report;
  }
}

void ReportSpool::Acknowledge(int64_t number) {
  while (!batch_.empty() && batch_.front().number() <= number) {
    bytes_ -= batch_.front().ByteSizeLong();
    batch_.pop_front();
  }
}

}  // namespace beamline::worker
