// JSON Web Tokens (RFC 7519) that others signed, and the keys by which that is seen.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct _cjose_jws_int;
struct _cjose_jwk_int;

namespace beamline::auth {

// What a token says. Claims of other types (objects, booleans) are left out.
struct Claims {
  // Texts, and lists of texts; "scope" of one text is one text.
  std::map<std::string, std::vector<std::string>, std::less<>> texts;
  // "exp", "nbf", "iat": seconds since 1970.
  std::map<std::string, double, std::less<>> numbers;

  // The one text of that name; empty: there is none, or several.
  std::string_view Text(std::string_view name) const;
  // Whether the claim is `value`, or a list that has it.
  bool Has(std::string_view name, std::string_view value) const;
};

// A token as it came, in three parts with two dots between (JWS compact serialisation, RFC 7515).
class Jwt {
 public:
  // Longer ones are refused. Unit: bytes.
  static constexpr size_t kMaxBytes = 16'384;
  // So are those with a longer id of a key. Unit: bytes.
  static constexpr size_t kMaxKeyId = 256;

  // Whether `bearer` looks as if it were meant to be one.
  static bool LooksLike(std::string_view bearer);

  // InvalidArgument if it is none; if its algorithm is none of RS256, RS384, RS512, PS256, PS384,
  // PS512, ES256, ES384 and ES512, so that neither "none" nor a shared secret ever counts; if it
  // has "crit", whose extensions nobody here knows; if it is no token to be shown ("typ");
  // or if the id of its key ("kid") is longer than kMaxKeyId.
  static absl::StatusOr<Jwt> Parse(std::string_view bearer);

  const std::string& algorithm() const { return algorithm_; }
  // Of the key; empty: not said.
  const std::string& key_id() const { return key_id_; }
  // What it claims. Nobody has vouched for that before KeySet::Verify has.
  const Claims& claims() const { return claims_; }

 private:
  friend class KeySet;
  struct Free {
    void operator()(_cjose_jws_int* jws) const;
  };

  std::unique_ptr<_cjose_jws_int, Free> jws_;
  std::string algorithm_;
  std::string key_id_;
  Claims claims_;
};

// The public keys of one issuer: a JSON Web Key Set (RFC 7517). Thread-safe.
class KeySet {
 public:
  // Larger sets are refused, and of a set so many keys are taken. Unit: bytes; keys.
  static constexpr size_t kMaxBytes = 1 << 20;
  static constexpr size_t kMaxKeys = 100;

  // Takes the keys that can verify signatures here: RSA of at least 2048 bits, and EC on P-256,
  // P-384 and P-521, unless they are said ("use", "key_ops", "alg") to be for something else.
  // Others are passed over, and private parts are not looked at. InvalidArgument if that leaves
  // none, or it is no set.
  static absl::StatusOr<std::shared_ptr<KeySet>> Parse(std::string_view json);

  // How many keys it took: at least one.
  size_t size() const { return keys_.size(); }

  // Whether the set has the key by which `token` says that it is signed: the one of its id, for its
  // algorithm; of a token without an id, the only one for its algorithm.
  bool HasKeyOf(const Jwt& token) const { return FindKey(token) != nullptr; }

  // PermissionDenied if the signature is not that of this key; NotFound if there is no such key.
  absl::Status Verify(const Jwt& token) const;

 private:
  struct Free {
    void operator()(_cjose_jwk_int* jwk) const;
  };
  struct Key {
    std::string id;
    // Empty: any that its type and curve permit.
    std::string algorithm;
    // "RSA", or the curve.
    std::string kind;
    std::unique_ptr<_cjose_jwk_int, Free> jwk;
  };

  static std::optional<Key> ReadKey(const void* json);
  const Key* FindKey(const Jwt& token) const;

  std::vector<Key> keys_;
  // cjose does not say what threads may do with one key at a time.
  mutable std::mutex mutex_;
};

}  // namespace beamline::auth
