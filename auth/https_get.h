// The one thing that the server asks of others: the public keys of issuers.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace beamline::auth {

// The body of the answer to a GET of `url`, which must be https. The server's certificate is
// checked by those in the file `ca_file`; empty: by those that this machine trusts. Follows no
// redirection. Blocks for 10 seconds at most, and for a second or so once `stopped` says true.
// Unavailable: it could not be reached, its certificate is not trusted, it answered something else
// than 200, or it was stopped; ResourceExhausted: more than 1 MiB came. Thread-safe.
absl::StatusOr<std::string> HttpsGet(const std::string& url, const std::string& ca_file,
                                     const std::function<bool()>& stopped);

}  // namespace beamline::auth
