// Owners for the OpenSSL objects that this project uses, and its errors as text.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::openssl {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Free<BIO_free_all>>;
using RequestPtr = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using CertificatePtr = std::unique_ptr<X509, Free<X509_free>>;

// Internal: "cannot `what`: " and the newest error of this thread's queue, which is emptied.
absl::Status Error(std::string_view what);

// All bytes of a memory BIO.
std::string Contents(BIO* bio);

// A fresh EC P-256 key. Internal if OpenSSL fails.
absl::StatusOr<KeyPtr> MakeKey();

// PKCS #8, not encrypted.
absl::StatusOr<std::string> KeyToPem(EVP_PKEY* key);

}  // namespace beamline::openssl
