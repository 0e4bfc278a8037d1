// Keeps the worker's certificate from running out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/x509.h"
#include "worker/server_link.h"
#include "worker/strand.h"

namespace beamline::worker {

// Asks for a new certificate over a new key when two thirds of the present one's life are over, and
// again every thirtieth of its life (a second to an hour) until it has one. What runs is not
// touched. It gives up when the present one has ended meanwhile: the server takes it no more.
//
// Not thread-safe, but for Start: everything happens on the strand. Destroy it only when the strand
// runs no more tasks and the link calls nobody back. Owns nothing that it is given.
class CertificateRenewal {
 public:
  // Makes the new certificate the one that is used from now on, also after a restart. On failure
  // the old one stays in use.
  using Adopt = std::function<absl::Status(const std::string& key_pem,
                                           const v1::RenewCertificateResponse& response)>;

  // It gave up: FailedPrecondition that says what to do. Called on the strand, at most once.
  using GiveUp = std::function<void(absl::Status why)>;

  CertificateRenewal(Strand& strand, const Clock& clock, CertificateLink& link, Adopt adopt,
                     GiveUp give_up)
      : strand_(strand),
        clock_(clock),
        link_(link),
        adopt_(std::move(adopt)),
        give_up_(std::move(give_up)) {}

  // `validity`: of the certificate in use. Thread-safe; call once.
  void Start(Validity validity);

 private:
  // Looks again when it is time, at the latest in an hour: the wall clock may be set.
  void Wait(absl::Duration delay);
  void Look();
  void Renew();
  void OnAnswer(const std::string& key_pem, absl::StatusOr<v1::RenewCertificateResponse> answer);
  absl::Status Take(const std::string& key_pem,
                    const absl::StatusOr<v1::RenewCertificateResponse>& answer);

  Strand& strand_;
  const Clock& clock_;
  CertificateLink& link_;
  const Adopt adopt_;
  const GiveUp give_up_;
  Validity validity_;
};

}  // namespace beamline::worker
