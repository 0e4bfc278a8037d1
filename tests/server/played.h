// A server and a worker of the tests of repeated steps. The worker does not train: what an attempt
// ends with is what the test says.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/server/harness.h"

namespace beamline::server {

// A definition up to its first step, "fit", to which a test adds a search or further steps.
inline constexpr char kHead[] = R"(
name: tiny
seed: 7
inputs:
  points: {file: points.csv}
steps:
  - name: fit
    train:
      data: {input: points, target: y, split: {random: {validation: 0.3}}}
      network:
        layers: [{dense: {units: 1}}]
        optimizer: {sgd: {learning_rate: 0.1}}
        epochs: 9
)";

// The last part of its task's name.
inline std::string IdOf(const v1::Attempt& attempt) {
  return attempt.task().substr(attempt.task().rfind('/') + 1);
}

class PlayedTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    worker_.emplace(*server_);
  }

  // As a task process would.
  virtual v1::AttemptReport Trained(const v1::Attempt& attempt) = 0;

  // What the worker holds, with what it is told to start.
  std::vector<v1::Attempt>& Take() {
    const v1::SynchronizeResponse work = worker_->Synchronize(*server_);
    held_.insert(held_.end(), work.start().begin(), work.start().end());
    return held_;
  }

  // Ends one of the attempts held.
  void End(const v1::Attempt& attempt, const v1::AttemptReport& report) {
    const v1::Attempt ended = attempt;
    std::erase_if(held_, [&](const auto& held) { return held.task() == ended.task(); });
    const auto reported = worker_->Report(*server_, ended, {report});
    ASSERT_TRUE(reported.ok()) << reported.status() << ended.task();
    worker_->Drop(ended.task());
    order_.push_back(IdOf(ended));
  }

  // Plays the worker until nothing is left. `choose`: which of so many to end next.
  void Play(const std::function<size_t(size_t)>& choose = [](size_t) { return 0; }) {
    for (int i = 0; i < 2000; ++i) {
      const std::vector<v1::Attempt>& held = Take();
      if (held.empty()) return;
      largest_ = std::max(largest_, held.size());
      const v1::Attempt next = held[choose(held.size())];
      End(next, fails_ && fails_(next) ? FakeWorker::Failed(1, failure_kind_) : Trained(next));
    }
    FAIL() << "does not end";
  }

  std::optional<FakeWorker> worker_;
  std::vector<v1::Attempt> held_;
  std::vector<std::string> order_;  // of tasks, as they ended
  size_t largest_ = 0;              // attempts at once
  std::function<bool(const v1::Attempt&)> fails_;
  v1::FailureKind failure_kind_ = v1::FAILURE_KIND_USER;
};

}  // namespace beamline::server
