// What the tokens of other issuers may, by the rules that an operator wrote.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "auth/jwt.h"
#include "auth/principal.h"
#include "beamline/v1/issuers.pb.h"

namespace beamline::auth {

// What is wrong with the rules and the rest, each with the place and what to change; empty:
// nothing.
std::vector<std::string> CheckIssuers(const v1::Issuers& issuers);

// What a token is allowed.
struct Grants {
  Roles roles;
  bool is_operator = false;
  bool any() const { return is_operator || !roles.empty(); }
};
// All that the rules of `issuer` give to who claims this; of several roles in one project the
// highest.
Grants GrantsFor(const v1::Issuer& issuer, const Claims& claims);

// "users/ISSUER--SUBJECT" if that is a name that a user may have, else "users/ISSUER--h-" and the
// first 32 digits of the subject's SHA-256. Different for each issuer and subject.
std::string PrincipalName(std::string_view issuer_name, std::string_view subject);

}  // namespace beamline::auth
