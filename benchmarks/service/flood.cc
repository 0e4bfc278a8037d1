#include "benchmarks/service/flood.h"

#include <string>
#include <thread>
#include <utility>

namespace beamline::bench {

struct Flood::Slot {
  std::unique_ptr<grpc::ClientContext> context;
  v1::Run run;
};

Flood::Flood(const Cluster& cluster, const v1::CreateRunRequest& request, int callers)
    : cluster_(cluster),
      request_(request),
      callers_(callers),
      stub_(v1::RunService::NewStub(cluster.NewChannel())) {}

void Flood::Start() {
  begin_ = std::chrono::steady_clock::now();
  active_ = callers_;
  for (int i = 0; i < callers_; ++i) Call();
}

double Flood::Stop() {
  stopping_ = true;
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return active_ == 0; });
  return static_cast<double>(accepted_) /
         std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

double Flood::Run(double seconds) {
  Start();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  return Stop();
}

void Flood::Call() {
  auto slot = std::make_shared<Slot>();
  slot->context = cluster_.Context();
  stub_->async()->CreateRun(
      slot->context.get(), &request_, &slot->run, [this, slot](const grpc::Status& status) {
        if (status.ok()) {
          ++accepted_;
        } else if (status.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED) {
          Die("CreateRun: " + status.error_message());
        }
        if (!stopping_) return Call();
        const std::lock_guard lock(mutex_);
        if (--active_ == 0) done_.notify_all();
      });
}

}  // namespace beamline::bench
