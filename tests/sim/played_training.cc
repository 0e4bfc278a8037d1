#include "tests/sim/played_training.h"

#include <cmath>
#include <cstdlib>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/digest.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "worker/server_link.h"

namespace beamline::sim {
namespace {

constexpr int64_t kCallMs = 5'000;
constexpr int kEpochs = 9;

// What makes an attempt another than others: not its number, nor where and when it runs.
std::string Essence(const v1::Attempt& attempt) {
  v1::Attempt essence;
  essence.mutable_definition()->set_seed(attempt.definition().seed());
  for (const v1::Step& step : attempt.definition().steps()) {
    if (step.name() == attempt.step()) *essence.mutable_definition()->add_steps() = step;
  }
  essence.set_step(attempt.step());
  essence.mutable_trial()->set_fold(attempt.trial().fold());
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream out(&bytes);
    google::protobuf::io::CodedOutputStream coded(&out);
    coded.SetSerializationDeterministic(true);
    essence.SerializeToCodedStream(&coded);
  }
  return Sha256Hex(bytes);
}

// Between 0 and 1.
double NumberOf(const std::string& state) {
  uint64_t bits = 0;
  for (int i = 0; i < 12; ++i) {
    bits =
        bits * 16 + static_cast<uint64_t>(state[i] <= '9' ? state[i] - '0' : state[i] - 'a' + 10);
  }
  return static_cast<double>(bits) / static_cast<double>(uint64_t{1} << 48);
}

}  // namespace

// One attempt. Kept alive by what it waits for; `over` once its end was told or nobody listens.
class PlayedExecutor::Training : public std::enable_shared_from_this<Training> {
 public:
  Training(PlayedExecutor& owner, std::shared_ptr<const v1::Attempt> attempt,
           std::shared_ptr<worker::ExecutionListener> listener)
      : world_(owner.world_),
        server_(owner.server_),
        principal_(owner.principal_),
        attempt_(std::move(attempt)),
        listener_(std::move(listener)) {}

  void Begin() {
    if (attempt_->has_checkpoint()) wanted_.push_back({"checkpoint", attempt_->checkpoint()});
    for (const auto& [key, blob] : attempt_->inputs()) wanted_.push_back({key, blob});
    steps_ = attempt_->trial().epochs() > 0 ? attempt_->trial().epochs() : kEpochs;
    state_ = Essence(*attempt_);
    Soon(10, 500, [this] { Fetch(); });
  }

  void Stop(worker::Execution::StopReason reason) {
    if (over_ || (stop_ && *stop_ >= reason)) return;
    stop_ = reason;
    if (reason != worker::Execution::StopReason::kRelease) {
      Soon(1, 200, [this] { EndStopped(); });
    } else if (!training_) {
      Soon(1, 200, [this] { EndStopped(); });
    }
    // Else the next step sees it.
  }

  void Crash() { Fail(v1::FAILURE_KIND_CRASH, "signal 11"); }
  void Leave() { over_ = true; }
  bool over() const { return over_; }

 private:
  void Soon(int64_t low_ms, int64_t high_ms, std::function<void()> task) {
    world_.After(world_.Between(low_ms, high_ms),
                 [self = shared_from_this(), task = std::move(task)] {
                   if (!self->over_) task();
                 });
  }

  void End(v1::AttemptResult result) {
    if (std::exchange(over_, true)) return;
    listener_->OnEnd(std::move(result));
  }
  void Fail(v1::FailureKind kind, const std::string& what) {
    v1::AttemptResult result;
    result.set_outcome(v1::AttemptResult::OUTCOME_FAILED);
    result.mutable_failure()->set_kind(kind);
    result.mutable_failure()->set_message(what);
    End(std::move(result));
  }
  void EndStopped() {
    v1::AttemptResult result;
    result.set_outcome(*stop_ == worker::Execution::StopReason::kRelease
                           ? v1::AttemptResult::OUTCOME_RELEASED
                           : v1::AttemptResult::OUTCOME_CANCELLED);
    End(std::move(result));
  }

  // ---- What it needs ----

  void Fetch() {
    if (wanted_.empty()) {
      training_ = true;
      return Step();
    }
    v1::ReadBlobRequest request;
    request.set_digest(wanted_.front().second.digest());
    request.set_task(attempt_->task());
    request.set_number(attempt_->number());
    server_.Call<std::string>(
        principal_.name, kCallMs,
        [principal = principal_, request](server::Server& server, Done<std::string> done) {
          auto source = server.workers().ReadBlob(principal, request);
          std::string bytes;
          while (source.ok()) {
            auto piece = source->Next();
            if (!piece.ok()) return done(piece.status());
            if (piece->empty()) return done(std::move(bytes));
            bytes += *piece;
          }
          done(source.status());
        },
        [self = shared_from_this()](absl::StatusOr<std::string> bytes) {
          if (!self->over_) self->OnFetched(std::move(bytes));
        });
  }

  void OnFetched(absl::StatusOr<std::string> bytes) {
    if (!bytes.ok()) {
      if (!worker::IsTransient(bytes.status())) {
        return Fail(v1::FAILURE_KIND_INFRASTRUCTURE, bytes.status().ToString());
      }
      return Soon(100, 1'000, [this] { Fetch(); });
    }
    const auto [key, blob] = wanted_.front();
    wanted_.pop_front();
    if (Sha256Hex(*bytes) != blob.digest()) {
      world_.Fail("durability", absl::StrCat("blob ", blob.digest(), " has other bytes"));
    }
    // The attempt's own checkpoint comes first, and counts more than that of the round before.
    const bool round = key.ends_with("/checkpoint") && step_ == 0;
    if (key == "checkpoint" || round) {
      const std::vector<std::string> parts = absl::StrSplit(*bytes, ' ');
      if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &step_)) {
        world_.Fail("durability", absl::StrCat("a checkpoint is \"", *bytes, "\""));
      } else {
        state_ = parts[1];
      }
    }
    Fetch();
  }

  // ---- What it does ----

  bool Trains() const {
    for (const v1::Step& step : attempt_->definition().steps()) {
      if (step.name() == attempt_->step()) return step.has_train();
    }
    return false;
  }

  void Step() {
    if (stop_) return Release();
    if (!Trains() || step_ >= steps_) return Soon(1, 100, [this] { Finish(); });
    Soon(20, 1'500, [this] {
      if (stop_) return Release();
      state_ = Sha256Hex(absl::StrCat(state_, "/", ++step_));
      v1::Event event;
      event.mutable_metric()->set_name("loss");
      event.mutable_metric()->set_step(step_);
      event.mutable_metric()->set_value(Loss());
      Report(std::move(event));
      v1::Event progress;
      progress.mutable_progress()->set_step(step_);
      progress.mutable_progress()->set_total_steps(steps_);
      Report(std::move(progress));
      if (world_.Chance(0.4)) TakeCheckpoint([] {});
      Step();
    });
  }

  double Loss() const { return NumberOf(state_) + 1.0 / step_; }

  void Report(v1::Event event) {
    event.set_step(attempt_->step());
    event.set_attempt(attempt_->number());
    listener_->OnEvent(std::move(event));
  }

  void Release() {
    if (*stop_ != worker::Execution::StopReason::kRelease || step_ == 0) return EndStopped();
    TakeCheckpoint([this] { EndStopped(); });
  }

  void TakeCheckpoint(std::function<void()> then) {
    Write(absl::StrCat(step_, " ", state_),
          [this, step = step_, then = std::move(then)](const v1::Blob& blob) {
            v1::Event event;
            *event.mutable_checkpoint()->mutable_blob() = blob;
            event.mutable_checkpoint()->set_step(step);
            // Of those that were uploaded at the same time only the newest is reported.
            if (step > newest_checkpoint_) Report(std::move(event));
            newest_checkpoint_ = std::max(newest_checkpoint_, step);
            then();
          });
  }

  void Finish() {
    v1::AttemptResult result;
    result.set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
    if (!Trains()) return End(std::move(result));
    (*result.mutable_result()->mutable_metrics())["validation_loss"] = Loss();
    // From the task's content, as all else.
    result.mutable_result()->set_seconds(std::round(100 * NumberOf(state_)));
    result.mutable_card()->set_target("y");
    std::deque<std::string> names;
    const v1::Trial& trial = attempt_->trial();
    if (trial.fold() > 0) names.emplace_back("predictions");
    for (const auto& [key, blob] : attempt_->inputs()) {
      if (!key.ends_with("/predictions") || result.result().has_out_of_fold()) continue;
      names.emplace_back("out_of_fold");
      names.emplace_back("out_of_fold_table");
      result.mutable_result()->mutable_out_of_fold()->set_row_count(10);
    }
    if (trial.fold() == 0 || trial.epochs() > 0) {
      names.emplace_back(trial.epochs() > 0 ? "checkpoint" : "model");
    }
    Keep(std::move(names), std::make_shared<v1::AttemptResult>(std::move(result)));
  }

  // Writes one artifact after the other, then ends.
  void Keep(std::deque<std::string> names, std::shared_ptr<v1::AttemptResult> result) {
    if (names.empty()) return End(std::move(*result));
    const std::string name = names.front();
    names.pop_front();
    Write(name == "checkpoint" ? absl::StrCat(step_, " ", state_)
                               : absl::StrCat(name, " of ", state_),
          [this, name, names, result](const v1::Blob& blob) {
            (*result->mutable_result()->mutable_artifacts())[name] = blob;
            Keep(names, result);
          });
  }

  void Write(const std::string& bytes, std::function<void(const v1::Blob&)> then) {
    v1::WriteBlobRequest first;
    first.mutable_blob()->set_digest(Sha256Hex(bytes));
    first.mutable_blob()->set_size_bytes(static_cast<int64_t>(bytes.size()));
    first.set_task(attempt_->task());
    first.set_number(attempt_->number());
    server_.Call<v1::WriteBlobResponse>(
        principal_.name, kCallMs,
        [principal = principal_, first, bytes](server::Server& server,
                                               Done<v1::WriteBlobResponse> done) {
          auto sink = server.workers().WriteBlob(principal, first);
          if (!sink.ok()) return done(sink.status());
          if (*sink == nullptr) return done(v1::WriteBlobResponse());
          if (absl::Status status = (*sink)->Write(0, bytes); !status.ok()) {
            return done(std::move(status));
          }
          (*sink)->Finish(std::move(done));
        },
        [self = shared_from_this(), this, bytes, blob = first.blob(),
         then = std::move(then)](absl::StatusOr<v1::WriteBlobResponse> answer) {
          if (over_) return;
          if (answer.ok()) return then(blob);
          if (!worker::IsTransient(answer.status())) {
            return Fail(v1::FAILURE_KIND_INFRASTRUCTURE, answer.status().ToString());
          }
          Soon(100, 1'000, [this, bytes, then] { Write(bytes, then); });
        });
  }

  World& world_;
  ServerProcess& server_;
  const auth::Principal principal_;
  const std::shared_ptr<const v1::Attempt> attempt_;
  const std::shared_ptr<worker::ExecutionListener> listener_;
  std::deque<std::pair<std::string, v1::Blob>> wanted_;
  std::optional<worker::Execution::StopReason> stop_;
  bool training_ = false;
  bool over_ = false;
  int step_ = 0;
  int steps_ = 0;
  int newest_checkpoint_ = 0;
  std::string state_;
};

std::unique_ptr<worker::Execution> PlayedExecutor::Start(
    std::shared_ptr<const v1::Attempt> attempt,
    std::shared_ptr<worker::ExecutionListener> listener) {
  class Handle : public worker::Execution {
   public:
    explicit Handle(std::shared_ptr<Training> training) : training_(std::move(training)) {}
    ~Handle() override { training_->Leave(); }
    void Stop(StopReason reason) override { training_->Stop(reason); }
    // Reports here are few.
    void SetPaused(bool) override {}

   private:
    const std::shared_ptr<Training> training_;
  };
  auto training = std::make_shared<Training>(*this, std::move(attempt), std::move(listener));
  running_.push_back(training);
  training->Begin();
  return std::make_unique<Handle>(std::move(training));
}

bool PlayedExecutor::CrashOne() {
  std::erase_if(running_, [](const auto& running) {
    const auto training = running.lock();
    return training == nullptr || training->over();
  });
  if (running_.empty()) return false;
  running_[world_.Below(running_.size())].lock()->Crash();
  return true;
}

}  // namespace beamline::sim
