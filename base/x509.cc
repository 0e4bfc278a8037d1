#include "base/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "absl/strings/str_cat.h"
#include "base/openssl_ptr.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace beamline {
namespace openssl {

absl::Status Error(std::string_view what) {
  char text[256] = "no reason given";
  if (const unsigned long code = ERR_peek_last_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return absl::InternalError(absl::StrCat("cannot ", A(what), ": ", text));
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

absl::StatusOr<KeyPtr> MakeKey() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return Error("make a key");
  return key;
}

absl::StatusOr<std::string> KeyToPem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (bio == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Error("write a key");
  }
  return Contents(bio.get());
}

}  // namespace openssl

absl::StatusOr<KeyAndRequest> MakeKeyAndRequest(std::string_view common_name) {
  if (common_name.empty() || common_name.size() > 64) {
    return absl::InvalidArgumentError("the name in a certificate request needs 1 to 64 bytes");
  }
  ASSIGN_OR_RETURN(const openssl::KeyPtr key, openssl::MakeKey());
  const openssl::RequestPtr request(X509_REQ_new());
  const openssl::BioPtr bio(BIO_new(BIO_s_mem()));
  if (request == nullptr || bio == nullptr) return openssl::Error("make a certificate request");
  X509_NAME* const subject = X509_REQ_get_subject_name(request.get());
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return openssl::Error("make a certificate request");
  }
  KeyAndRequest made;
  ASSIGN_OR_RETURN(made.key_pem, openssl::KeyToPem(key.get()));
  made.request_pem = openssl::Contents(bio.get());
  return made;
}

absl::StatusOr<Validity> ValidityOf(std::string_view certificate_pem) {
  const openssl::BioPtr bio(
      BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
  const openssl::CertificatePtr certificate(
      bio == nullptr ? nullptr : PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  tm begin = {};
  tm end = {};
  if (certificate == nullptr ||
      ASN1_TIME_to_tm(X509_get0_notBefore(certificate.get()), &begin) != 1 ||
      ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) {
    return absl::InvalidArgumentError("this is no certificate in PEM form");
  }
  return Validity{absl::FromTM(begin, absl::UTCTimeZone()), absl::FromTM(end, absl::UTCTimeZone())};
}

}  // namespace beamline
