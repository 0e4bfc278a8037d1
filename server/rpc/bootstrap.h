// What a fresh server needs before anybody can log in, done through the same APIs that clients use.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace beamline::server {
class AuthApi;
class ProjectApi;
}  // namespace beamline::server

namespace beamline::server::rpc {

// Makes the user "admin", an operator, and the project "default" unless they are there, and then,
// unless `token_file` exists, writes a new token of admin to it: one line, mode 0600, atomically.
// Whoever can start the server may do that anyway, so it also serves when the token was lost.
// Whatever failed can be repeated. Waits for the APIs.
absl::Status InitAdmin(AuthApi& auth, ProjectApi& projects, const std::string& token_file);

// Lets the project "default" run programs of its members' own. Waits for the API.
absl::Status AllowPrograms(ProjectApi& projects);

// Writes a fresh join token that 100,000 workers can use within a day: one line, mode 0600,
// atomically. Waits for the API.
absl::Status WriteJoinToken(AuthApi& auth, const std::string& file);

// Writes {"address": ..., "ca": ..., "pid": ...} atomically. A wildcard host in `address` is
// replaced by the loopback address, so that the address can be dialled.
absl::Status WriteReadyFile(const std::string& file, const std::string& address,
                            const std::string& ca_file);

}  // namespace beamline::server::rpc
