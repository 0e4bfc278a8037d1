// A private key and the request for a certificate over it, by OpenSSL.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace beamline {

struct KeyAndRequest {
  // PKCS #8, PEM, not encrypted. Secret: keep it in a file of mode 0600.
  std::string key_pem;
  // PKCS #10, PEM, signed with the key.
  std::string request_pem;
};

// A fresh EC P-256 key and a request whose subject is CN=`common_name` (at most 64 bytes; the
// authority may well choose another). InvalidArgument if the name is too long or empty, Internal if
// OpenSSL fails. Takes about a millisecond.
absl::StatusOr<KeyAndRequest> MakeKeyAndRequest(std::string_view common_name);

// From when until when a certificate is good.
struct Validity {
  absl::Time begin;
  absl::Time end;
};

// InvalidArgument if `certificate_pem` holds no certificate. Of several the first counts.
absl::StatusOr<Validity> ValidityOf(std::string_view certificate_pem);

}  // namespace beamline
