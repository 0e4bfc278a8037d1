// The reactors of streaming methods. Each has at most one operation under way, holds at most one
// message, and lives until gRPC says that the call is over.
#pragma once

#include <atomic>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "absl/functional/any_invocable.h"
#include "server/api/byte_stream.h"
#include "server/api/run_watcher.h"
#include "server/rpc/gate.h"
#include "server/work_pool.h"

namespace beamline::server::rpc {

// When the pool takes no more.
inline absl::Status TooBusy() {
  return absl::UnavailableError("the server is busy or shuts down: try again later");
}

// Finishes a server stream at once.
template <typename Response>
class RefusedWriter : public grpc::ServerWriteReactor<Response> {
 public:
  explicit RefusedWriter(const grpc::Status& why) { this->Finish(why); }

 private:
  void OnDone() override { std::unique_ptr<RefusedWriter> last(this); }
};

// Sends the bytes of a source, a piece a message, the next when the one before has left.
template <typename Response>
class Download : public grpc::ServerWriteReactor<Response> {
 public:
  Download(ByteSource source, WorkPool& pool, std::string_view method, auth::Principal caller)
      : source_(std::move(source)), pool_(pool), method_(method), caller_(std::move(caller)) {
    Continue();
  }

 private:
  void Continue() {
    if (pool_.Run([this] { Step(); })) return;
    this->Finish(Gate::Conclude(TooBusy(), method_, caller_));
  }
  void Step() {
    absl::StatusOr<std::string> piece = source_.Next();
    if (!piece.ok() || piece->empty()) {
      this->Finish(Gate::Conclude(piece.status(), method_, caller_));
      return;
    }
    response_.set_data(*std::move(piece));
    this->StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) return Continue();
    this->Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client left"));
  }
  void OnDone() override { std::unique_ptr<Download> last(this); }

  ByteSource source_;
  WorkPool& pool_;
  const std::string_view method_;
  const auth::Principal caller_;
  Response response_;
};

// Sends the events of a run, a page at a time; the next page is read when the last event of the
// one before has left, so that a client that does not read holds one page.
class Watch : public grpc::ServerWriteReactor<v1::Event> {
 public:
  Watch(std::shared_ptr<RunWatcher> watcher, std::string_view method, auth::Principal caller);

 private:
  void NextPage();
  void NextEvent();
  void OnWriteDone(bool ok) override;
  void OnCancel() override { watcher_->Cancel(); }
  void OnDone() override { std::unique_ptr<Watch> last(this); }

  const std::shared_ptr<RunWatcher> watcher_;
  const std::string_view method_;
  const auth::Principal caller_;
  std::vector<v1::Event> page_;
  size_t next_ = 0;
};

// Takes bytes into a sink. The first message says whose they are and is what the gate admits.
template <typename Request, typename Answer>
class Intake : public grpc::ServerReadReactor<Request> {
 public:
  using Sink = ByteSink<Answer>;
  // Opens the sink; null if no bytes are needed.
  using Open = absl::AnyInvocable<absl::StatusOr<std::unique_ptr<Sink>>(const auth::Principal&,
                                                                        const Request&)>;
  // Where a message's bytes belong.
  using OffsetOf = int64_t (*)(const Request&);

  static constexpr size_t kMaxDataBytes = size_t{1} << 20;

  Intake(Gate& gate, grpc::CallbackServerContext* context, WorkPool& pool, std::string_view method,
         Open open, OffsetOf offset_of, Answer* answer)
      : gate_(gate),
        context_(context),
        pool_(pool),
        method_(method),
        open_(std::move(open)),
        offset_of_(offset_of),
        answer_(answer) {
    caller_.peer = context->peer();
    this->StartRead(&message_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (!pool_.Run([this, ok] { ok ? Take() : End(); })) Conclude(TooBusy());
  }
  void OnCancel() override { cancelled_ = true; }

  void Take() {
    if (sink_ == nullptr) {
      if (const grpc::Status refusal = gate_.Admit(*context_, method_, message_, &caller_);
          !refusal.ok()) {
        this->Finish(refusal);
        return;
      }
      absl::StatusOr<std::unique_ptr<Sink>> opened = open_(caller_, message_);
      if (!opened.ok() || *opened == nullptr) return Conclude(opened.status());
      sink_ = *std::move(opened);
    }
    if (message_.data().size() > kMaxDataBytes) {
      return Conclude(absl::InvalidArgumentError(
          "data: a message may carry at most 1 MiB: send smaller pieces"));
    }
    if (absl::Status written = sink_->Write(offset_of_(message_), message_.data()); !written.ok()) {
      return Conclude(written);
    }
    this->StartRead(&message_);
  }

  // The client has sent all, or is gone.
  void End() {
    if (cancelled_) return Conclude(absl::CancelledError("the client left"));
    if (sink_ == nullptr) {
      return Conclude(absl::InvalidArgumentError(
          "the stream ended before its first message, which says what the bytes are"));
    }
    // Not of this object any more, which may go while the sink still finishes.
    const std::unique_ptr<Sink> sink = std::move(sink_);
    sink->Finish([this](absl::StatusOr<Answer> answer) {
      if (answer.ok()) *answer_ = *std::move(answer);
      Conclude(answer.status());
    });
  }
  // The sink goes first: the client may begin another stream as soon as it knows of this one's end.
  void Conclude(const absl::Status& outcome) {
    sink_.reset();
    this->Finish(Gate::Conclude(outcome, method_, caller_));
  }
  void OnDone() override { std::unique_ptr<Intake> last(this); }

  Gate& gate_;
  grpc::CallbackServerContext* const context_;
  WorkPool& pool_;
  const std::string_view method_;
  Open open_;
  const OffsetOf offset_of_;
  Answer* const answer_;
  auth::Principal caller_;
  std::unique_ptr<Sink> sink_;
  Request message_;
  std::atomic<bool> cancelled_ = false;
};

// Admits a download, opens its source with `open(caller)`, and gives the reactor that sends it.
template <typename Response, typename Request, typename Open>
grpc::ServerWriteReactor<Response>* StartDownload(Gate& gate, grpc::CallbackServerContext* context,
                                                  WorkPool& pool, std::string_view method,
                                                  const Request* request, Open open) {
  auth::Principal caller;
  grpc::Status refusal = gate.Admit(*context, method, *request, &caller);
  if (refusal.ok()) {
    absl::StatusOr<ByteSource> source = open(caller);
    if (source.ok()) {
      return std::make_unique<Download<Response>>(*std::move(source), pool, method,
                                                  std::move(caller))
          .release();
    }
    refusal = Gate::Conclude(source.status(), method, caller);
  }
  return std::make_unique<RefusedWriter<Response>>(refusal).release();
}

}  // namespace beamline::server::rpc
