// The conversation with the server over gRPC.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "worker/server_link.h"

namespace grpc {
class Channel;
class ClientContext;
class Status;
}  // namespace grpc

namespace beamline::worker::rpc {

// What a channel needs. The certificate and its key are empty before the worker has joined.
struct Credentials {
  // All PEM.
  std::string authority = {};
  std::string certificate = {};
  std::string key = {};
};

// A connection that comes back by itself within seconds when the server does. `address`:
// "HOST:PORT". Never fails; calls on it do.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const Credentials& credentials);

// One Join. Blocks for at most 30 seconds.
absl::StatusOr<v1::JoinResponse> Join(const std::shared_ptr<grpc::Channel>& channel,
                                      const v1::JoinRequest& request);

// Thread-safe.
class GrpcLink : public ServerLink, public BlobLink, public CertificateLink {
 public:
  explicit GrpcLink(std::shared_ptr<grpc::Channel> channel);
  // As CancelAll.
  ~GrpcLink() override;
  // Calls that begin from now on use this channel. Those under way end on the one before. Not to be
  // called on a thread of gRPC's.
  void Use(std::shared_ptr<grpc::Channel> channel);
  // Cancels what is under way and waits for its end, so that whoever is called back may go.
  void CancelAll();

  void Synchronize(const v1::SynchronizeRequest& request, int64_t timeout_ms,
                   Done<v1::SynchronizeResponse> done) override;
  void CancelSynchronize() override;
  void ReportAttempt(const v1::ReportAttemptRequest& request,
                     Done<v1::ReportAttemptResponse> done) override;

  void RenewCertificate(const v1::RenewCertificateRequest& request,
                        Done<v1::RenewCertificateResponse> done) override;

  absl::Status ReadBlob(const AttemptId& attempt, const std::string& digest, int64_t offset,
                        const Sink& sink, Cancellation& cancellation) override;
  absl::Status WriteBlob(const AttemptId& attempt, const v1::Blob& blob, int fd,
                         Cancellation& cancellation) override;

 private:
  struct Stub;

  // Around each call: it may be cancelled from Begin to Retire, and is over at End.
  void Begin(grpc::ClientContext* context, bool is_synchronize = false);
  void Retire(grpc::ClientContext* context);
  void End();
  std::shared_ptr<Stub> Current();
  // One call with one answer; start(service, ...) is to begin it.
  template <class Request, class Response, class Start>
  void Send(const Request& request, int64_t timeout_ms, Done<Response> done, Start start,
            bool is_synchronize = false);
  template <class Pending>
  void Answer(std::shared_ptr<Pending> call, const grpc::Status& status);

  std::mutex mutex_;
  std::condition_variable ended_;
  // Guarded by mutex_. Calls that have not ended; those among them that can be cancelled; the
  // Synchronize.
  int calls_ = 0;
  std::set<grpc::ClientContext*> contexts_;
  grpc::ClientContext* synchronize_ = nullptr;
  // The last one is for new calls. Those before are kept until none of their calls is under way and
  // Use is called: a channel must not die on gRPC's own thread, for which it would wait.
  std::vector<std::shared_ptr<Stub>> stubs_;
};

}  // namespace beamline::worker::rpc
