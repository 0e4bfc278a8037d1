// How certificates of each kind are made: the part of the certificate authority that is OpenSSL.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/openssl_ptr.h"
#include "base/random.h"

namespace beamline::auth {

// What a certificate says.
struct CertificateSpec {
  enum Kind { kRoot, kServer, kWorker };

  Kind kind = kWorker;
  std::string common_name;
  // Subject alternative names: "DNS:...", "IP:..." or "URI:...".
  std::vector<std::string> names;
  absl::Time not_before;
  absl::Time not_after;
};

// A certificate over `key`, signed by `issuer_key`. `issuer` is null for a root (self-signed).
// InvalidArgument if a name is malformed, Internal if OpenSSL fails.
absl::StatusOr<openssl::CertificatePtr> MakeCertificate(const CertificateSpec& spec, EVP_PKEY* key,
                                                        X509* issuer, EVP_PKEY* issuer_key,
                                                        Random& random);

// Null if `pem` holds no such thing; never an error.
openssl::CertificatePtr ParseCertificate(std::string_view pem);
openssl::KeyPtr ParseKey(std::string_view pem);

absl::StatusOr<std::string> CertificateToPem(X509* certificate);

// Whether `name` (a host name or an address) is among the certificate's.
bool Covers(X509* certificate, const std::string& name);

// Whether the text is an IPv4 or IPv6 address.
bool IsAddress(const std::string& name);

}  // namespace beamline::auth
