#include "worker/logging_executor.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace beamline::worker {
namespace {

// "SUCCEEDED", "FAILED: CRASH: the task's process was killed by ...".
std::string Describe(const v1::AttemptResult& result) {
  const auto short_name = [](const std::string& name, size_t prefix) {
    return name.size() > prefix ? name.substr(prefix) : name;
  };
  std::string text = short_name(v1::AttemptResult::Outcome_Name(result.outcome()), 8);
  if (result.has_failure()) {
    absl::StrAppend(&text, ": ", short_name(v1::FailureKind_Name(result.failure().kind()), 13),
                    ": ", result.failure().message());
  }
  return text;
}

class Listener : public ExecutionListener {
 public:
  Listener(std::string name, std::shared_ptr<ExecutionListener> inner, const Clock& clock)
      : name_(std::move(name)),
        inner_(std::move(inner)),
        clock_(clock),
        start_ms_(clock.MonotonicMillis()) {}
  void OnEvent(v1::Event event) override { inner_->OnEvent(std::move(event)); }
  void OnEnd(v1::AttemptResult result) override {
    log::Info("%s ended after %d ms: %s", name_, clock_.MonotonicMillis() - start_ms_,
              Describe(result));
    inner_->OnEnd(std::move(result));
  }

 private:
  const std::string name_;
  const std::shared_ptr<ExecutionListener> inner_;
  const Clock& clock_;
  const int64_t start_ms_;
};

}  // namespace

std::unique_ptr<Execution> LoggingExecutor::Start(std::shared_ptr<const v1::Attempt> attempt,
                                                  std::shared_ptr<ExecutionListener> listener) {
  std::string name = absl::StrCat(attempt->task(), " attempt ", attempt->number());
  log::Info("%s starts", name);
  return inner_.Start(std::move(attempt),
                      std::make_shared<Listener>(std::move(name), std::move(listener), clock_));
}

}  // namespace beamline::worker
