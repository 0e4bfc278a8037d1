#include "auth/secret.h"

#include <openssl/crypto.h>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/strings.h"

namespace beamline::auth {
namespace {

constexpr std::string_view kIdAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr size_t kIdSize = 16;
constexpr size_t kSecretBytes = 32;
constexpr size_t kPrefixSize = 3;

std::string_view Prefix(SecretKind kind) { return kind == SecretKind::kToken ? "bl_" : "bj_"; }

}  // namespace

NewSecret MakeSecret(SecretKind kind, Random& random) {
  NewSecret made;
  for (const char byte : random.Bytes(kIdSize)) {
    made.id.push_back(kIdAlphabet[static_cast<unsigned char>(byte) % kIdAlphabet.size()]);
  }
  const std::string secret = HexEncode(random.Bytes(kSecretBytes));
  made.text = absl::StrCat(A(Prefix(kind)), made.id, "_", secret);
  made.hash = Sha256Hex(secret);
  return made;
}

std::optional<ParsedSecret> ParseSecret(SecretKind kind, std::string_view text) {
  if (text.size() != kPrefixSize + kIdSize + 1 + 2 * kSecretBytes) return std::nullopt;
  if (text.substr(0, kPrefixSize) != Prefix(kind)) return std::nullopt;
  const std::string_view id = text.substr(kPrefixSize, kIdSize);
  const std::string_view secret = text.substr(kPrefixSize + kIdSize + 1);
  if (id.find_first_not_of(kIdAlphabet) != id.npos) return std::nullopt;
  if (text[kPrefixSize + kIdSize] != '_') return std::nullopt;
  if (secret.find_first_not_of("0123456789abcdef") != secret.npos) return std::nullopt;
  return ParsedSecret{std::string(id), Sha256Hex(secret)};
}

bool HashesEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace beamline::auth
