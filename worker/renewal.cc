#include "worker/renewal.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace beamline::worker {
namespace {

constexpr absl::Duration kLongestWait = absl::Hours(1);
constexpr absl::Duration kShortestWait = absl::Seconds(1);

std::string Text(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

}  // namespace

void CertificateRenewal::Start(Validity validity) {
  strand_.Post([this, validity] {
    validity_ = validity;
    Look();
  });
}

void CertificateRenewal::Wait(absl::Duration delay) {
  delay = std::clamp(delay, kShortestWait, kLongestWait);
  strand_.After(absl::ToInt64Milliseconds(delay), [this] { Look(); });
}

void CertificateRenewal::Look() {
  const absl::Time due = validity_.begin + (validity_.end - validity_.begin) * 2 / 3;
  const absl::Time now = clock_.Now();
  if (now < due) return Wait(due - now);
  Renew();
}

void CertificateRenewal::Renew() {
  absl::StatusOr<KeyAndRequest> made = MakeKeyAndRequest("beamline-worker");
  if (!made.ok()) return OnAnswer("", made.status());
  v1::RenewCertificateRequest request;
  request.set_certificate_request(made->request_pem);
  link_.RenewCertificate(request, [this, key = std::move(made->key_pem)](
                                      absl::StatusOr<v1::RenewCertificateResponse> answer) {
    strand_.Post([this, key, answer = std::move(answer)] { OnAnswer(key, answer); });
  });
}

void CertificateRenewal::OnAnswer(const std::string& key_pem,
                                  absl::StatusOr<v1::RenewCertificateResponse> answer) {
  const absl::Duration pause = (validity_.end - validity_.begin) / 30;
  const absl::Status taken = Take(key_pem, answer);
  if (taken.ok()) {
    log::Info("the certificate is renewed: good until %s", Text(validity_.end));
  } else if (clock_.Now() >= validity_.end) {
    return give_up_(absl::FailedPreconditionError(absl::StrFormat(
        "this worker's certificate expired at %s and was not renewed (%s): remove the folder tls "
        "in its state folder and let it join again with a new join token",
        Text(validity_.end), taken.ToString())));
  } else {
    log::Warning("the certificate, good until %s, is not renewed yet: %s", Text(validity_.end),
                 taken.ToString());
  }
  // Also after success: what came may be as short-lived as what it replaces.
  Wait(pause);
}

absl::Status CertificateRenewal::Take(const std::string& key_pem,
                                      const absl::StatusOr<v1::RenewCertificateResponse>& answer) {
  RETURN_IF_ERROR(answer.status());
  ASSIGN_OR_RETURN(const Validity validity, ValidityOf(answer->certificate()));
  RETURN_IF_ERROR(adopt_(key_pem, *answer));
  validity_ = validity;
  return absl::OkStatus();
}

}  // namespace beamline::worker
