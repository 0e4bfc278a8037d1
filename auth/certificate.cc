#include "auth/certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace beamline::auth {
namespace {

using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, openssl::Free<GENERAL_NAMES_free>>;

// 127 random bits: what RFC 5280 section 4.1.2.2 and good practice ask of a serial number.
bool SetSerial(X509* certificate, Random& random) {
  std::string bytes = random.Bytes(16);
  bytes[0] = static_cast<char>((bytes[0] & 0x7f) | 0x40);
  BIGNUM* const number = BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()), nullptr);
  const bool done = number != nullptr &&
                    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return done;
}

bool SetTimes(X509* certificate, const CertificateSpec& spec) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(spec.not_before)) !=
             nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(spec.not_after)) != nullptr;
}

// `value` in the language of x509v3_config(5); only constants are passed.
bool AddExtension(X509* certificate, X509V3_CTX* context, int nid, const char* value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, context, nid, value);
  const bool done = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return done;
}

// One by one and not as a configuration text, where a name could smuggle in others.
absl::Status AddNames(X509* certificate, const std::vector<std::string>& names) {
  if (names.empty()) return absl::OkStatus();
  const GeneralNamesPtr list(GENERAL_NAMES_new());
  for (const std::string& name : names) {
    const size_t colon = name.find(':');
    const std::string kind = name.substr(0, colon);
    const int type = kind == "DNS" ? GEN_DNS : kind == "IP" ? GEN_IPADD : GEN_URI;
    GENERAL_NAME* const entry =
        a2i_GENERAL_NAME(nullptr, nullptr, nullptr, type, name.c_str() + colon + 1, 0);
    if (entry == nullptr) {
      ERR_clear_error();
      return absl::InvalidArgumentError(absl::StrCat("no valid name for a certificate: ", name));
    }
    if (sk_GENERAL_NAME_push(list.get(), entry) <= 0) {
      GENERAL_NAME_free(entry);
      return openssl::Error("make a certificate");
    }
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, list.get(), 0, X509V3_ADD_DEFAULT) !=
      1) {
    return openssl::Error("make a certificate");
  }
  return absl::OkStatus();
}

bool AddUsage(X509* certificate, X509V3_CTX* context, CertificateSpec::Kind kind) {
  if (!AddExtension(certificate, context, NID_subject_key_identifier, "hash")) return false;
  if (kind == CertificateSpec::kRoot) {
    return AddExtension(certificate, context, NID_basic_constraints,
                        "critical,CA:TRUE,pathlen:0") &&
           AddExtension(certificate, context, NID_key_usage, "critical,keyCertSign,cRLSign");
  }
  return AddExtension(certificate, context, NID_authority_key_identifier, "keyid") &&
         AddExtension(certificate, context, NID_basic_constraints, "critical,CA:FALSE") &&
         AddExtension(certificate, context, NID_key_usage, "critical,digitalSignature") &&
         AddExtension(certificate, context, NID_ext_key_usage,
                      kind == CertificateSpec::kServer ? "serverAuth" : "clientAuth");
}

openssl::BioPtr Reader(std::string_view text) {
  return openssl::BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

}  // namespace

absl::StatusOr<openssl::CertificatePtr> MakeCertificate(const CertificateSpec& spec, EVP_PKEY* key,
                                                        X509* issuer, EVP_PKEY* issuer_key,
                                                        Random& random) {
  openssl::CertificatePtr certificate(X509_new());
  if (certificate == nullptr) return openssl::Error("make a certificate");
  if (issuer == nullptr) issuer = certificate.get();
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  if (X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !SetSerial(certificate.get(), random) || !SetTimes(certificate.get(), spec) ||
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(spec.common_name.data()),
                                 static_cast<int>(spec.common_name.size()), -1, 0) != 1 ||
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) != 1 ||
      X509_set_pubkey(certificate.get(), key) != 1) {
    return openssl::Error("make a certificate");
  }
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate.get(), nullptr, nullptr, 0);
  if (!AddUsage(certificate.get(), &context, spec.kind))
    return openssl::Error("make a certificate");
  RETURN_IF_ERROR(AddNames(certificate.get(), spec.names));
  if (X509_sign(certificate.get(), issuer_key, EVP_sha256()) <= 0) {
    return openssl::Error("sign a certificate");
  }
  return certificate;
}

openssl::CertificatePtr ParseCertificate(std::string_view pem) {
  const openssl::BioPtr bio = Reader(pem);
  openssl::CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return certificate;
}

openssl::KeyPtr ParseKey(std::string_view pem) {
  const openssl::BioPtr bio = Reader(pem);
  // The empty password: an encrypted key must not make OpenSSL ask on the terminal.
  openssl::KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>("")));
  ERR_clear_error();
  return key;
}

absl::StatusOr<std::string> CertificateToPem(X509* certificate) {
  const openssl::BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return openssl::Error("write a certificate");
  }
  return openssl::Contents(bio.get());
}

bool Covers(X509* certificate, const std::string& name) {
  if (IsAddress(name)) return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
  return X509_check_host(certificate, name.data(), name.size(), 0, nullptr) == 1;
}

bool IsAddress(const std::string& name) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), address) == 1;
}

}  // namespace beamline::auth
