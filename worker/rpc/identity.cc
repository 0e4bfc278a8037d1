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
constexpr char kKey[] = "/tls/key.pem";
constexpr char kAuthority[] = "/tls/ca.pem";
constexpr char kCertificate[] = "/tls/certificate.pem";

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || chmod(path.c_str(), 0700) != 0) {
    return absl::InternalError(absl::StrCat("cannot make the folder ", path, ": ",
                                            error ? error.message() : std::strerror(errno)));
  }
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

absl::StatusOr<Identity> LoadIdentity(const std::string& state) {
  Identity identity;
  ASSIGN_OR_RETURN(identity.credentials.certificate, ReadFile(state + kCertificate, kMaxFileBytes));
  ASSIGN_OR_RETURN(identity.credentials.key, ReadFile(state + kKey, kMaxFileBytes));
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
  RETURN_IF_ERROR(WriteFileAtomically(state + kKey, made.key_pem, 0600));
  RETURN_IF_ERROR(WriteFileAtomically(state + kAuthority, known, 0600));
  RETURN_IF_ERROR(WriteFileAtomically(state + kName, response.worker() + "\n", 0600));
  RETURN_IF_ERROR(WriteFileAtomically(state + kCertificate, response.certificate(), 0600));
  return Identity{response.worker(), {known, response.certificate(), made.key_pem}};
}

}  // namespace beamline::worker::rpc
