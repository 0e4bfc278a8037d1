#include "auth/jwt.h"

#include <cjose/jwk.h>
#include <cjose/jws.h>
#include <jansson.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace beamline::auth {
namespace {

// An algorithm of RFC 7518, section 3.1, and the kind of key that it goes with.
struct Algorithm {
  std::string_view name;
  std::string_view kind;
};
constexpr std::array kAlgorithms = {
    Algorithm{"RS256", "RSA"},   Algorithm{"RS384", "RSA"},   Algorithm{"RS512", "RSA"},
    Algorithm{"PS256", "RSA"},   Algorithm{"PS384", "RSA"},   Algorithm{"PS512", "RSA"},
    Algorithm{"ES256", "P-256"}, Algorithm{"ES384", "P-384"}, Algorithm{"ES512", "P-521"}};

constexpr size_t kMinRsaBits = 2048;

struct FreeJson {
  void operator()(json_t* json) const { json_decref(json); }
};
using Json = std::unique_ptr<json_t, FreeJson>;

Json ParseJson(std::string_view text) {
  return Json(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, nullptr));
}

// Empty if there is no text of that name.
std::string TextOf(const json_t* object, const char* name) {
  const json_t* const value = json_object_get(object, name);
  if (!json_is_string(value)) return "";
  return {json_string_value(value), json_string_length(value)};
}

std::string_view KindFor(std::string_view algorithm) {
  for (const Algorithm& known : kAlgorithms) {
    if (known.name == algorithm) return known.kind;
  }
  return "";
}

Claims ReadClaims(json_t* object) {
  Claims claims;
  const char* name = nullptr;
  json_t* value = nullptr;
  json_object_foreach(object, name, value) {
    if (json_is_string(value)) {
      claims.texts[name] = {{json_string_value(value), json_string_length(value)}};
    } else if (json_is_number(value)) {
      claims.numbers[name] = json_number_value(value);
    } else if (json_is_array(value)) {
      std::vector<std::string>& list = claims.texts[name];
      for (size_t i = 0; i < json_array_size(value); ++i) {
        const json_t* const entry = json_array_get(value, i);
        if (!json_is_string(entry)) continue;
        list.emplace_back(json_string_value(entry), json_string_length(entry));
      }
    }
  }
  return claims;
}

// Whether a key of these "key_ops" (RFC 7517, section 4.3) may verify signatures; null: not said.
bool MayVerify(const json_t* operations) {
  if (operations == nullptr) return true;
  for (size_t i = 0; i < json_array_size(operations); ++i) {
    const json_t* const operation = json_array_get(operations, i);
    if (json_is_string(operation) && json_string_value(operation) == std::string_view("verify")) {
      return true;
    }
  }
  return false;
}

absl::Status CheckHeader(const json_t* header) {
  if (KindFor(TextOf(header, "alg")).empty()) {
    return absl::InvalidArgumentError("its algorithm is none that is taken");
  }
  if (json_object_get(header, "crit") != nullptr) {
    return absl::InvalidArgumentError("it has extensions that nobody here knows (crit)");
  }
  const std::string type = TextOf(header, "typ");
  for (const char* const taken : {"", "JWT", "at+jwt", "application/at+jwt"}) {
    if (absl::EqualsIgnoreCase(type, taken)) return absl::OkStatus();
  }
  return absl::InvalidArgumentError("it is no token for callers (typ)");
}

}  // namespace

std::string_view Claims::Text(std::string_view name) const {
  const auto found = texts.find(name);
  return found != texts.end() && found->second.size() == 1 ? found->second[0] : std::string_view();
}

bool Claims::Has(std::string_view name, std::string_view value) const {
  const auto found = texts.find(name);
  return found != texts.end() &&
         std::find(found->second.begin(), found->second.end(), value) != found->second.end();
}

void Jwt::Free::operator()(_cjose_jws_int* jws) const { cjose_jws_release(jws); }
void KeySet::Free::operator()(_cjose_jwk_int* jwk) const { cjose_jwk_release(jwk); }

bool Jwt::LooksLike(std::string_view bearer) {
  // What "{" and a quotation mark become.
  return bearer.starts_with("eyJ") && std::count(bearer.begin(), bearer.end(), '.') == 2;
}

absl::StatusOr<Jwt> Jwt::Parse(std::string_view bearer) {
  const absl::Status none = absl::InvalidArgumentError("it is no signed token");
  if (bearer.size() > kMaxBytes || !LooksLike(bearer)) return none;
  Jwt token;
  token.jws_.reset(cjose_jws_import(bearer.data(), bearer.size(), nullptr));
  if (token.jws_ == nullptr) return none;
  json_t* const header = cjose_jws_get_protected(token.jws_.get());
  RETURN_IF_ERROR(CheckHeader(header));
  token.algorithm_ = TextOf(header, "alg");
  token.key_id_ = TextOf(header, "kid");
  if (token.key_id_.size() > kMaxKeyId) return none;
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (!cjose_jws_get_plaintext(token.jws_.get(), &bytes, &size, nullptr)) return none;
  const Json claims = ParseJson({reinterpret_cast<const char*>(bytes), size});
  if (!json_is_object(claims.get())) return none;
  token.claims_ = ReadClaims(claims.get());
  return token;
}

// `json`: a json_t. Only what is public and needed is handed on.
std::optional<KeySet::Key> KeySet::ReadKey(const void* json) {
  const auto* const given = static_cast<const json_t*>(json);
  Key key;
  const std::string type = TextOf(given, "kty");
  key.id = TextOf(given, "kid");
  key.algorithm = TextOf(given, "alg");
  key.kind = type == "EC" ? TextOf(given, "crv") : type;
  if (!key.algorithm.empty() && KindFor(key.algorithm) != key.kind) return std::nullopt;
  const std::string use = TextOf(given, "use");
  if (!use.empty() && use != "sig") return std::nullopt;
  if (!MayVerify(json_object_get(given, "key_ops"))) return std::nullopt;
  const Json stripped(json_object());
  for (const char* const part : {"kty", "crv", "n", "e", "x", "y"}) {
    json_t* const value = json_object_get(given, part);
    if (value != nullptr) json_object_set(stripped.get(), part, value);
  }
  // Never a key of another kind: those of kind "oct" are secrets that both sides have.
  const bool known = std::any_of(kAlgorithms.begin(), kAlgorithms.end(),
                                 [&](const Algorithm& a) { return a.kind == key.kind; });
  if (!known) return std::nullopt;
  key.jwk.reset(cjose_jwk_import_json(stripped.get(), nullptr));
  if (key.jwk == nullptr) return std::nullopt;
  if (key.kind == "RSA" && cjose_jwk_get_keysize(key.jwk.get(), nullptr) < kMinRsaBits) {
    return std::nullopt;
  }
  return key;
}

absl::StatusOr<std::shared_ptr<KeySet>> KeySet::Parse(std::string_view json) {
  const Json root = json.size() <= kMaxBytes ? ParseJson(json) : nullptr;
  const json_t* const list = json_object_get(root.get(), "keys");
  if (!json_is_array(list)) {
    return absl::InvalidArgumentError("it is no JSON Web Key Set: {\"keys\": [...]}");
  }
  auto set = std::make_shared<KeySet>();
  for (size_t i = 0; i < json_array_size(list) && set->keys_.size() < kMaxKeys; ++i) {
    std::optional<Key> key = ReadKey(json_array_get(list, i));
    if (key.has_value()) set->keys_.push_back(*std::move(key));
  }
  if (set->keys_.empty()) {
    return absl::InvalidArgumentError(
        "it has no key that verifies signatures: RSA of 2048 bits or more, or EC P-256, P-384, "
        "P-521");
  }
  return set;
}

const KeySet::Key* KeySet::FindKey(const Jwt& token) const {
  const Key* only = nullptr;
  for (const Key& key : keys_) {
    if (key.kind != KindFor(token.algorithm())) continue;
    if (!key.algorithm.empty() && key.algorithm != token.algorithm()) continue;
    if (token.key_id().empty()) {
      if (only != nullptr) return nullptr;
      only = &key;
    } else if (key.id == token.key_id()) {
      return &key;
    }
  }
  return only;
}

absl::Status KeySet::Verify(const Jwt& token) const {
  const Key* const key = FindKey(token);
  if (key == nullptr) return absl::NotFoundError("the issuer has no such key");
  const std::lock_guard lock(mutex_);
  if (cjose_jws_verify(token.jws_.get(), key->jwk.get(), nullptr)) return absl::OkStatus();
  return absl::PermissionDeniedError("its signature is wrong");
}

}  // namespace beamline::auth
