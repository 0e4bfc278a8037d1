// What strangers send and issuers publish: tokens and key sets, by what the first byte chooses.
#include "auth/jwt.h"
#include "tests/fuzz/fuzz.h"

namespace beamline::fuzz {
namespace {

void FuzzToken(std::string_view bytes) {
  const absl::StatusOr<auth::Jwt> token = auth::Jwt::Parse(bytes);
  if (!token.ok()) return Require(!token.status().message().empty(), "a refusal says why");
  Require(bytes.size() <= auth::Jwt::kMaxBytes, "long tokens are refused");
  Require(!token->algorithm().empty(), "a token has an algorithm");
  Require(token->algorithm() != "none" && token->algorithm()[0] != 'H', "it signs by a key pair");
  Require(token->key_id().size() <= auth::Jwt::kMaxKeyId, "long ids of keys are refused");
}

void FuzzKeys(std::string_view bytes) {
  // RFC 7515, appendix A.3, with an empty signature: no key verifies it.
  static const absl::StatusOr<auth::Jwt> token =
      auth::Jwt::Parse("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ.AAAA");
  const auto keys = auth::KeySet::Parse(bytes);
  if (!keys.ok()) return Require(!keys.status().message().empty(), "a refusal says why");
  Require((*keys)->size() > 0, "a set has keys");
  Require((*keys)->size() <= auth::KeySet::kMaxKeys, "and not more than are taken");
  Require(token.ok() && !(*keys)->Verify(*token).ok(), "a wrong signature is never right");
}

}  // namespace

void Fuzz(std::string_view bytes) {
  Choices choices(bytes);
  if (choices.Maybe()) {
    FuzzToken(choices.rest());
  } else {
    FuzzKeys(choices.rest());
  }
}

}  // namespace beamline::fuzz
