#include "worker/rpc/identity.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/x509.h"

namespace beamline::worker::rpc {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr char kName[] = "/tls/worker";
constexpr char kAuthority[] = "/tls/ca.pem";
// The key, then the certificate.
constexpr char kPair[] = "/tls/identity.pem";
// Of versions before certificates were renewed.
constexpr char kOldKey[] = "/tls/key.pem";
constexpr char kOldCertificate[] = "/tls/certificate.pem";
constexpr char kCertificateBegins[] = "-----BEGIN CERTIFICATE-----";

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || chmod(path.c_str(), 0700) != 0) {
    return absl::InternalError(absl::StrCat("cannot make the folder ", path, ": ",
                                            error ? error.message() : std::strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status LoadPair(const std::string& state, Credentials& credentials) {
  const absl::StatusOr<std::string> pair = ReadFile(state + kPair, kMaxFileBytes);
  if (absl::IsNotFound(pair.status())) {
    ASSIGN_OR_RETURN(credentials.certificate, ReadFile(state + kOldCertificate, kMaxFileBytes));
    ASSIGN_OR_RETURN(credentials.key, ReadFile(state + kOldKey, kMaxFileBytes));
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(pair.status());
  const size_t split = pair->find(kCertificateBegins);
  if (split == std::string::npos) {
    return absl::InternalError(absl::StrCat(state, kPair, " holds no certificate: remove ", state,
                                            "/tls and let this worker join again"));
  }
  credentials.key = pair->substr(0, split);
  credentials.certificate = pair->substr(split);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> LockState(const std::string& state) {
  RETURN_IF_ERROR(MakeFolder(state));
  const std::string path = state + "/lock";
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) {
    return absl::InternalError(absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  }
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("another worker runs with the state folder ",
                                                      state, ": give this one another --state"));
  }
  return fd;
}

absl::StatusOr<Identity> LoadIdentity(const std::string& state, absl::Time now) {
  Identity identity;
  RETURN_IF_ERROR(LoadPair(state, identity.credentials));
  ASSIGN_OR_RETURN(const Validity validity, ValidityOf(identity.credentials.certificate));
  if (validity.end <= now) {
    return absl::FailedPreconditionError(
        absl::StrCat("this worker's certificate expired at ",
                     absl::FormatTime(absl::RFC3339_sec, validity.end, absl::UTCTimeZone()),
                     ": remove ", state, "/tls and let it join again with a new join token"));
  }
  ASSIGN_OR_RETURN(identity.credentials.authority, ReadFile(state + kAuthority, kMaxFileBytes));
  ASSIGN_OR_RETURN(const std::string name, ReadFile(state + kName, kMaxFileBytes));
  identity.worker = std::string(absl::StripAsciiWhitespace(name));
  return identity;
}

absl::StatusOr<Identity> JoinServer(
    const std::string& state, const std::string& authority, const std::string& join_token,
    const std::string& hostname,
    const std::function<absl::StatusOr<v1::JoinResponse>(const v1::JoinRequest&)>& join) {
  RETURN_IF_ERROR(MakeFolder(state + "/tls"));
  ASSIGN_OR_RETURN(const KeyAndRequest made, MakeKeyAndRequest("beamline-worker"));
  v1::JoinRequest request;
  request.set_join_token(join_token);
  request.set_certificate_request(made.request_pem);
  request.set_hostname(hostname);
  ASSIGN_OR_RETURN(const v1::JoinResponse response, join(request));
  // What the server was verified with, unless it names another one.
  const std::string& known =
      response.certificate_authority().empty() ? authority : response.certificate_authority();
  RETURN_IF_ERROR(WriteFileAtomically(state + kName, response.worker() + "\n", 0600));
  Identity identity{response.worker(), {known, response.certificate(), made.key_pem}};
  RETURN_IF_ERROR(SaveCredentials(state, identity.credentials));
  return identity;
}

absl::Status SaveCredentials(const std::string& state, const Credentials& credentials) {
  RETURN_IF_ERROR(WriteFileAtomically(state + kAuthority, credentials.authority, 0600));
  RETURN_IF_ERROR(WriteFileAtomically(
      state + kPair, absl::StrCat(credentials.key, credentials.certificate), 0600));
  // Whoever goes back to a version before this one joins again.
  std::error_code ignored;
  std::filesystem::remove(state + kOldKey, ignored);
  std::filesystem::remove(state + kOldCertificate, ignored);
  return absl::OkStatus();
}

}  // namespace beamline::worker::rpc
