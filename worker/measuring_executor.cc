#include "worker/measuring_executor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"

namespace beamline::worker {
namespace {

constexpr size_t kMostFileBytes = size_t{4} << 20;

}  // namespace

// Of an attempt: counts while it lives.
class MeasuringExecutor::Measured : public Execution {
 public:
  Measured(MeasuringExecutor& owner, std::unique_ptr<Execution> inner)
      : owner_(owner), inner_(std::move(inner)) {}
  ~Measured() override {
    inner_ = nullptr;
    owner_.Ended();
  }
  void Stop(StopReason reason) override { inner_->Stop(reason); }
  void SetPaused(bool paused) override { inner_->SetPaused(paused); }

 private:
  MeasuringExecutor& owner_;
  std::unique_ptr<Execution> inner_;
};

MeasuringExecutor::MeasuringExecutor(Executor& inner, Options options)
    : inner_(inner), options_(std::move(options)) {
  const auto bytes = ReadFile(options_.file, kMostFileBytes);
  v1::Device kept;
  if (bytes.ok() && kept.ParseFromString(*bytes) && kept.id() == options_.key) {
    known_ = std::move(kept);
  }
}

MeasuringExecutor::~MeasuringExecutor() = default;

std::unique_ptr<Execution> MeasuringExecutor::Start(std::shared_ptr<const v1::Attempt> attempt,
                                                    std::shared_ptr<ExecutionListener> listener) {
  Began();
  return std::make_unique<Measured>(*this, inner_.Start(std::move(attempt), std::move(listener)));
}

void MeasuringExecutor::Began() {
  std::unique_ptr<TaskProcess> interrupted;
  const std::lock_guard lock(mutex_);
  ++running_;
  interrupted = std::move(process_);  // Killed: it would share the cores.
}

void MeasuringExecutor::Ended() {
  const std::lock_guard lock(mutex_);
  --running_;
}

void MeasuringExecutor::Update(v1::Worker& worker) {
  const std::lock_guard lock(mutex_);
  if (process_ != nullptr) Collect();
  const bool due = known_.rates().empty() && process_ == nullptr && running_ == 0 && !given_up_;
  if (due) {
    std::vector<std::string> arguments = options_.arguments;
    for (const int threads : options_.threads) arguments.push_back(absl::StrCat(threads));
    lines_.clear();
    auto process = TaskProcess::Start(options_.binary, arguments, "/");
    if (process.ok()) {
      process_ = *std::move(process);
    } else {
      log::Warning("cannot measure this machine: %s", process.status().message());
      given_up_ = true;
    }
  }
  if (known_.rates().empty()) return;
  for (v1::Device& device : *worker.mutable_devices()) {
    if (device.kind() == v1::DEVICE_KIND_CPU) *device.mutable_rates() = known_.rates();
  }
}

void MeasuringExecutor::Collect() {
  process_->ReadOutput(lines_);
  std::vector<std::string> complaints;
  process_->ReadError(complaints);
  ProcessExit exit;
  if (process_->output_fd() >= 0 || !process_->Reap(exit)) return;
  process_ = nullptr;
  if (!lines_.empty() && lines_.back() == kLastRateLine) return Keep();
  log::Warning("measuring this machine failed%s",
               complaints.empty() ? "" : absl::StrCat(": ", complaints.back()));
  given_up_ = true;
}

void MeasuringExecutor::Keep() {
  lines_.pop_back();
  for (const std::string& line : lines_) {
    absl::StatusOr<v1::MeasuredRate> rate = ParseRateLine(line);
    if (rate.ok()) *known_.add_rates() = *std::move(rate);
  }
  known_.set_id(options_.key);
  lines_.clear();
  log::Info("measured this machine: %d rates", known_.rates_size());
  const absl::Status kept = WriteFileAtomically(options_.file, known_.SerializeAsString());
  if (!kept.ok()) log::Warning("cannot keep what was measured: %s", kept.message());
}

}  // namespace beamline::worker
