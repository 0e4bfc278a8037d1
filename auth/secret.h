// Bearer secrets: "bl_<id>_<secret>" (tokens of users) and "bj_<id>_<secret>" (join tokens of
// workers).
//
// The id is public: 16 characters of Crockford base 32 in lower case, by which the record is found.
// The secret is 256 random bits as 64 hexadecimal digits; only its SHA-256 is stored. A slow hash
// (scrypt, Argon2) makes guessing dear where a human chose the secret from few possibilities; with
// 2^256 equally likely ones there is nothing to guess, and a fast hash keeps every call cheap.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"

namespace beamline::auth {

enum class SecretKind { kToken, kJoinToken };

// A secret as it was made. `text` is shown to its owner once and never stored.
struct NewSecret {
  std::string id;
  std::string text;
  // SHA-256 of the secret part: what is stored.
  std::string hash;
};

NewSecret MakeSecret(SecretKind kind, Random& random);

// The two parts of a secret that is well formed.
struct ParsedSecret {
  std::string id;
  // SHA-256 of the secret part.
  std::string hash;
};

// Empty if `text` has not exactly the form above. Takes at most linear time in the length of a
// well-formed secret, whatever `text` is.
std::optional<ParsedSecret> ParseSecret(SecretKind kind, std::string_view text);

// Whether two hashes are equal, in a time that does not depend on where they differ.
bool HashesEqual(std::string_view a, std::string_view b);

}  // namespace beamline::auth
