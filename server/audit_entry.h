// What the audit says of a call.
#pragma once

#include <string>
#include <string_view>

#include "auth/principal.h"
#include "beamline/v1/audit.pb.h"
#include "google/protobuf/message.h"

namespace beamline::server {

// SHA-256 of the request; equal requests have equal digests.
std::string RequestDigest(const google::protobuf::Message& request);

// Names and small values of the fields that are set, at most 300 characters. Only numbers, enums
// and identifiers are shown: no free text, and nothing as long and random as a secret.
std::string RequestSummary(const google::protobuf::Message& request);

// The resource that the request names: its field marked `resource`, or else the first that holds a
// resource name, also one level down; made fit for a log, and without a token that somebody pasted.
// Empty if there is none.
std::string RequestResource(const google::protobuf::Message& request);

// What the audit has of the caller's token: its id; of one of another issuer "ISSUER SUBJECT".
std::string TokenOf(const auth::Principal& caller);

// Who, from where, which method, summary and digest. `method`: "RunService.CreateRun".
v1::AuditEntry MakeAuditEntry(const auth::Principal& caller, std::string_view method,
                              const google::protobuf::Message& request);

}  // namespace beamline::server
