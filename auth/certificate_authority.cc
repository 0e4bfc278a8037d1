#include "auth/certificate_authority.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "auth/certificate.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/openssl_ptr.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace beamline::auth {
namespace {

constexpr size_t kMaxPemBytes = size_t{1} << 16;
constexpr size_t kMaxRequestBytes = size_t{1} << 14;
// Certificates begin this long ago, for machines whose clocks are behind.
constexpr absl::Duration kSkew = absl::Hours(1);
// And never longer ago than this part of their life: what renews them looks at how much is over.
constexpr int kSkewParts = 24;

// The file's text; empty if there is no such file.
absl::StatusOr<std::string> ReadIfThere(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxPemBytes);
  if (absl::IsNotFound(text.status())) return std::string();
  return text;
}

bool IsHostName(const std::string& name) {
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-';
  });
}

absl::StatusOr<std::vector<std::string>> AllNames(const std::vector<std::string>& given) {
  std::vector<std::string> names = {"localhost", "127.0.0.1", "::1"};
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) == 0 && IsHostName(host)) names.emplace_back(host);
  for (const std::string& name : given) {
    if (!IsHostName(name) && !IsAddress(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", absl::CHexEscape(name), "\" is no host name and no address"));
    }
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

bool EndsBefore(X509* certificate, absl::Time time) {
  time_t t = absl::ToTimeT(time);
  return X509_cmp_time(X509_get0_notAfter(certificate), &t) <= 0;
}

absl::Status Damaged(const std::string& folder, std::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(
      folder, ": ", A(what), ": restore the folder from a backup, or remove it and start again: ",
      "a new authority is made, and clients and workers must be given its ca.pem and join anew"));
}

bool IsP256(EVP_PKEY* key) {
  char group[32] = "";
  size_t size = 0;
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 &&
         std::string_view(group) == "prime256v1";
}

}  // namespace

std::string WorkerUri(std::string_view worker) { return absl::StrCat("beamline:", A(worker)); }

absl::StatusOr<CertificateAuthority> CertificateAuthority::Open(
    const std::string& folder, const std::vector<std::string>& server_names, const Clock& clock,
    Random& random, absl::Duration worker_lifetime) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InternalError(absl::StrCat("cannot make ", folder, ": ", error.message()));
  }
  CertificateAuthority authority(clock, random, worker_lifetime);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, AllNames(server_names));
  RETURN_IF_ERROR(authority.LoadRoot(folder));
  RETURN_IF_ERROR(authority.LoadServer(folder, names));
  return authority;
}

// The key comes first: without its certificate it is nobody's yet, and the next start goes on.
absl::Status CertificateAuthority::LoadRoot(const std::string& folder) {
  ASSIGN_OR_RETURN(root_key_, ReadIfThere(folder + "/ca.key"));
  ASSIGN_OR_RETURN(root_certificate_, ReadIfThere(folder + "/ca.pem"));
  if (root_key_.empty()) {
    if (!root_certificate_.empty()) return Damaged(folder, "ca.pem is there but not its key");
    ASSIGN_OR_RETURN(const openssl::KeyPtr fresh, openssl::MakeKey());
    ASSIGN_OR_RETURN(root_key_, openssl::KeyToPem(fresh.get()));
    RETURN_IF_ERROR(WriteFileAtomically(folder + "/ca.key", root_key_, 0600));
  }
  const openssl::KeyPtr key = ParseKey(root_key_);
  if (key == nullptr) return Damaged(folder, "ca.key holds no key");
  if (root_certificate_.empty()) {
    CertificateSpec spec;
    spec.kind = CertificateSpec::kRoot;
    spec.common_name = absl::StrCat("Beamline authority ", HexEncode(random_->Bytes(4)));
    spec.not_before = clock_->Now() - kSkew;
    spec.not_after = clock_->Now() + kRootLifetime;
    ASSIGN_OR_RETURN(const openssl::CertificatePtr made,
                     MakeCertificate(spec, key.get(), nullptr, key.get(), *random_));
    ASSIGN_OR_RETURN(root_certificate_, CertificateToPem(made.get()));
    RETURN_IF_ERROR(WriteFileAtomically(folder + "/ca.pem", root_certificate_));
  }
  const openssl::CertificatePtr certificate = ParseCertificate(root_certificate_);
  if (certificate == nullptr) return Damaged(folder, "ca.pem holds no certificate");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return Damaged(folder, "ca.pem and ca.key do not belong together");
  }
  if (EndsBefore(certificate.get(), clock_->Now())) return Damaged(folder, "ca.pem has expired");
  return absl::OkStatus();
}

// Key and certificate share one file, so that they always belong together.
absl::Status CertificateAuthority::LoadServer(const std::string& folder,
                                              const std::vector<std::string>& names) {
  const openssl::KeyPtr root_key = ParseKey(root_key_);
  const openssl::CertificatePtr root = ParseCertificate(root_certificate_);
  const std::string path = folder + "/server.pem";
  ASSIGN_OR_RETURN(const std::string stored, ReadIfThere(path));
  openssl::KeyPtr key = ParseKey(stored);
  openssl::CertificatePtr certificate = ParseCertificate(stored);
  const bool good = key != nullptr && certificate != nullptr &&
                    X509_check_private_key(certificate.get(), key.get()) == 1 &&
                    X509_verify(certificate.get(), root_key.get()) == 1 &&
                    !EndsBefore(certificate.get(), clock_->Now() + kServerRenewal) &&
                    std::all_of(names.begin(), names.end(), [&](const std::string& name) {
                      return Covers(certificate.get(), name);
                    });
  ERR_clear_error();
  if (!good) {
    CertificateSpec spec;
    spec.kind = CertificateSpec::kServer;
    spec.common_name = "Beamline server";
    for (const std::string& name : names) {
      spec.names.push_back(absl::StrCat(IsAddress(name) ? "IP:" : "DNS:", name));
    }
    spec.not_before = clock_->Now() - kSkew;
    spec.not_after = clock_->Now() + kServerLifetime;
    ASSIGN_OR_RETURN(key, openssl::MakeKey());
    ASSIGN_OR_RETURN(certificate,
                     MakeCertificate(spec, key.get(), root.get(), root_key.get(), *random_));
  }
  ASSIGN_OR_RETURN(server_key_, openssl::KeyToPem(key.get()));
  ASSIGN_OR_RETURN(server_certificate_, CertificateToPem(certificate.get()));
  if (good) return absl::OkStatus();
  return WriteFileAtomically(path, absl::StrCat(server_key_, server_certificate_), 0600);
}

absl::StatusOr<std::string> CertificateAuthority::SignWorkerRequest(std::string_view request,
                                                                    std::string_view worker) const {
  if (request.size() > kMaxRequestBytes) {
    return absl::InvalidArgumentError("the certificate request is larger than 16 KiB");
  }
  const openssl::BioPtr bio(BIO_new_mem_buf(request.data(), static_cast<int>(request.size())));
  const openssl::RequestPtr parsed(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  EVP_PKEY* const key = parsed == nullptr ? nullptr : X509_REQ_get0_pubkey(parsed.get());
  const bool signature_good = key != nullptr && X509_REQ_verify(parsed.get(), key) == 1;
  ERR_clear_error();
  if (key == nullptr) {
    return absl::InvalidArgumentError("the certificate request is not PKCS #10 in PEM form");
  }
  if (!IsP256(key)) {
    return absl::InvalidArgumentError("the certificate request's key must be EC P-256");
  }
  if (!signature_good) {
    return absl::InvalidArgumentError("the certificate request's signature does not match its key");
  }
  CertificateSpec spec;
  spec.kind = CertificateSpec::kWorker;
  spec.common_name = worker.substr(worker.rfind('/') + 1, 64);
  spec.names = {absl::StrCat("URI:", WorkerUri(worker))};
  spec.not_before = clock_->Now() - std::min(kSkew, worker_lifetime_ / kSkewParts);
  spec.not_after = clock_->Now() + worker_lifetime_;
  const openssl::KeyPtr root_key = ParseKey(root_key_);
  const openssl::CertificatePtr root = ParseCertificate(root_certificate_);
  ASSIGN_OR_RETURN(const openssl::CertificatePtr certificate,
                   MakeCertificate(spec, key, root.get(), root_key.get(), *random_));
  return CertificateToPem(certificate.get());
}

}  // namespace beamline::auth
