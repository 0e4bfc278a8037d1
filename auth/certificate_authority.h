// The server's own certificate authority: the root that clients and workers trust, the server's
// certificate, and the certificates of workers. EC P-256, SHA-256, X.509 v3, by OpenSSL 3.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/random.h"

namespace beamline::auth {

// "beamline:workers/W" of "workers/W": the subject alternative name in a worker's certificate.
std::string WorkerUri(std::string_view worker);

// Immutable after Open; thread-safe if the Clock and Random are.
class CertificateAuthority {
 public:
  // Worker certificates are valid this long, unless Open is told otherwise. Workers renew theirs in
  // time; those that stay away longer must join again.
  static constexpr absl::Duration kWorkerLifetime = absl::Hours(24 * 30);
  static constexpr absl::Duration kServerLifetime = absl::Hours(24 * 397);
  static constexpr absl::Duration kRootLifetime = absl::Hours(24 * 3650);
  // The server's certificate is made anew at start if it ends within this time.
  static constexpr absl::Duration kServerRenewal = absl::Hours(24 * 30);

  // Reads the authority in `folder` (ca.key and server.pem with mode 0600, ca.pem), or makes what
  // is missing; each file appears whole or not at all, and a start that was cut short is made good
  // by the next. Server names are localhost, 127.0.0.1, ::1, this machine's host name and
  // `server_names` (host names or addresses); a certificate that lacks one of them is made anew.
  // FAILED_PRECONDITION: ca.pem without its key, or the two do not belong together, or the root
  // has expired; the message says what to do. INVALID_ARGUMENT: a server name is neither host name
  // nor address. INTERNAL: a file cannot be read or written.
  static absl::StatusOr<CertificateAuthority> Open(
      const std::string& folder, const std::vector<std::string>& server_names, const Clock& clock,
      Random& random, absl::Duration worker_lifetime = kWorkerLifetime);

  // PEM of the root: what clients trust.
  const std::string& root_certificate() const { return root_certificate_; }
  const std::string& server_certificate() const { return server_certificate_; }
  // Secret.
  const std::string& server_key() const { return server_key_; }

  // A client certificate for `worker` ("workers/W"), PEM, valid from now for the lifetime of
  // workers' certificates. Takes only the public key from `request` (PKCS #10, PEM, at most 16
  // KiB); subject and names are set here. INVALID_ARGUMENT: not a request, its signature does not
  // match, or its key is not EC P-256.
  absl::StatusOr<std::string> SignWorkerRequest(std::string_view request,
                                                std::string_view worker) const;

 private:
  CertificateAuthority(const Clock& clock, Random& random, absl::Duration worker_lifetime)
      : clock_(&clock), random_(&random), worker_lifetime_(worker_lifetime) {}

  absl::Status LoadRoot(const std::string& folder);
  absl::Status LoadServer(const std::string& folder, const std::vector<std::string>& names);

  const Clock* clock_;
  Random* random_;
  absl::Duration worker_lifetime_;
  std::string root_key_;
  std::string root_certificate_;
  std::string server_certificate_;
  std::string server_key_;
};

}  // namespace beamline::auth
