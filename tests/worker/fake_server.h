// A server of the worker's service on loopback, with TLS, that does what a test says.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "auth/certificate_authority.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/random.h"
#include "beamline/v1/worker.grpc.pb.h"

namespace beamline::worker {

// Thread-safe.
class FakeServer : public v1::WorkerService::Service {
 public:
  FakeServer()
      : authority_(auth::CertificateAuthority::Open(folder_.path() + "/tls", {}, clock_, random_)
                       .value()) {
    Start(0);
  }
  ~FakeServer() override { Stop(); }

  // Port 0: any free one; otherwise as before, after Stop.
  void Start(int port) {
    grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = authority_.root_certificate();
    tls.pem_key_cert_pairs.push_back({authority_.server_key(), authority_.server_certificate()});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::SslServerCredentials(tls),
                             &port_);
    builder.RegisterService(this);
    stopping_ = false;
    server_ = builder.BuildAndStart();
  }
  void Stop() {
    if (server_ == nullptr) return;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  const std::string& authority() const { return authority_.root_certificate(); }

  // ---- What the test wants ----

  void Assign(v1::Attempt attempt) {
    std::lock_guard lock(mutex_);
    to_start_.push_back(std::move(attempt));
    changed_.notify_all();
  }
  v1::Blob Put(const std::string& bytes) {
    std::lock_guard lock(mutex_);
    v1::Blob blob;
    blob.set_digest(Sha256Hex(bytes));
    blob.set_size_bytes(static_cast<int64_t>(bytes.size()));
    blobs_[blob.digest()] = bytes;
    return blob;
  }
  std::string Bytes(const std::string& digest) {
    std::lock_guard lock(mutex_);
    return blobs_.contains(digest) ? blobs_[digest] : "(absent)";
  }
  template <typename Predicate>
  bool WaitFor(Predicate predicate) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return predicate(*this); });
  }

  // ---- What was seen; inside of WaitFor ----

  std::vector<v1::AttemptReport> reports_;
  std::vector<v1::SynchronizeRequest> statements_;
  std::vector<std::string> peers_;
  // Of those who called Synchronize, PEM.
  std::vector<std::string> certificates_;

 private:
  // The first subject alternative name of the client's certificate; empty without one.
  static std::string PeerOf(const grpc::ServerContext& context) {
    const auto names = context.auth_context()->FindPropertyValues("x509_subject_alternative_name");
    return names.empty() ? "" : std::string(names[0].data(), names[0].size());
  }

  grpc::Status Join(grpc::ServerContext*, const v1::JoinRequest* request,
                    v1::JoinResponse* response) override {
    if (request->join_token() != "secret") {
      return {grpc::StatusCode::UNAUTHENTICATED, "the join token is unknown"};
    }
    const auto certificate =
        authority_.SignWorkerRequest(request->certificate_request(), "workers/w-1");
    if (!certificate.ok()) return {grpc::StatusCode::INVALID_ARGUMENT, "bad request"};
    response->set_worker("workers/w-1");
    response->set_certificate(*certificate);
    response->set_certificate_authority(authority());
    return grpc::Status::OK;
  }

  grpc::Status Synchronize(grpc::ServerContext* context, const v1::SynchronizeRequest* request,
                           v1::SynchronizeResponse* response) override {
    std::unique_lock lock(mutex_);
    statements_.push_back(*request);
    peers_.push_back(PeerOf(*context));
    const auto shown = context->auth_context()->FindPropertyValues("x509_pem_cert");
    certificates_.push_back(shown.empty() ? "" : std::string(shown[0].data(), shown[0].size()));
    changed_.notify_all();
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(request->hold_ms());
    while (to_start_.empty() && !stopping_ && !context->IsCancelled() &&
           std::chrono::steady_clock::now() < end) {
      changed_.wait_for(lock, std::chrono::milliseconds(10));
    }
    if (stopping_) return {grpc::StatusCode::UNAVAILABLE, "stopping"};
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    response->set_lease_ms(10'000);
    for (const v1::Attempt& attempt : to_start_) *response->add_start() = attempt;
    to_start_.clear();
    return grpc::Status::OK;
  }

  grpc::Status ReportAttempt(grpc::ServerContext*, const v1::ReportAttemptRequest* request,
                             v1::ReportAttemptResponse* response) override {
    std::lock_guard lock(mutex_);
    for (const v1::AttemptReport& report : request->reports()) {
      if (report.number() == static_cast<int64_t>(reports_.size()) + 1) reports_.push_back(report);
    }
    response->set_acknowledged(static_cast<int64_t>(reports_.size()));
    changed_.notify_all();
    return grpc::Status::OK;
  }

  grpc::Status ReadBlob(grpc::ServerContext*, const v1::ReadBlobRequest* request,
                        grpc::ServerWriter<v1::ReadBlobResponse>* writer) override {
    const std::string bytes = Bytes(request->digest());
    if (bytes == "(absent)") return {grpc::StatusCode::NOT_FOUND, "no such blob"};
    constexpr size_t kChunk = 100'000;
    for (size_t at = static_cast<size_t>(request->offset()); at < bytes.size(); at += kChunk) {
      v1::ReadBlobResponse response;
      response.set_data(bytes.substr(at, kChunk));
      if (!writer->Write(response)) break;
    }
    return grpc::Status::OK;
  }

  grpc::Status WriteBlob(grpc::ServerContext*, grpc::ServerReader<v1::WriteBlobRequest>* reader,
                         v1::WriteBlobResponse*) override {
    v1::WriteBlobRequest request;
    std::string digest;
    std::string bytes;
    while (reader->Read(&request)) {
      if (request.has_blob()) digest = request.blob().digest();
      bytes += request.data();
    }
    if (Sha256Hex(bytes) != digest) return {grpc::StatusCode::DATA_LOSS, "other bytes"};
    std::lock_guard lock(mutex_);
    blobs_[digest] = bytes;
    return grpc::Status::OK;
  }

  TemporaryDirectory folder_;
  SystemClock clock_;
  SystemRandom random_;
  auth::CertificateAuthority authority_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> blobs_;
  std::deque<v1::Attempt> to_start_;
  bool stopping_ = false;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace beamline::worker
