// An issuer of tokens for tests, which signs by OpenSSL and knows nothing of the code that
// verifies.
#pragma once

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace beamline::auth {

inline std::string Base64Url(std::string_view bytes) { return absl::WebSafeBase64Escape(A(bytes)); }

// One key pair.
class TestKey {
 public:
  static TestKey Rsa(int bits = 2048) {
    return {EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<size_t>(bits)), 0};
  }
  // `curve`: "P-256", "P-384" or "P-521".
  static TestKey Ec(const char* curve = "P-256") {
    const std::string name = curve;
    return {EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve), name == "P-256"   ? 32u
                                                              : name == "P-384" ? 48u
                                                                                : 66u};
  }

  // The public half as a JSON Web Key with these fields besides: "\"kid\":\"a\"".
  std::string Jwk(const std::string& fields = "") const {
    const std::string more = fields.empty() ? "" : "," + fields;
    if (width_ == 0) {
      return absl::StrCat("{\"kty\":\"RSA\",\"n\":\"", Number("n", 0), "\",\"e\":\"",
                          Number("e", 0), "\"", more, "}");
    }
    const char* const curve = width_ == 32 ? "P-256" : width_ == 48 ? "P-384" : "P-521";
    return absl::StrCat("{\"kty\":\"EC\",\"crv\":\"", curve, "\",\"x\":\"", Number("qx", width_),
                        "\",\"y\":\"", Number("qy", width_), "\"", more, "}");
  }

  // `algorithm` says the hash, and whether RSA pads by PSS.
  std::string Sign(std::string_view text, std::string_view algorithm) const {
    const std::string hash = absl::StrCat("SHA", A(algorithm.substr(2)));
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          EVP_MD_CTX_free);
    EVP_PKEY_CTX* parameters = nullptr;
    EVP_DigestSignInit_ex(context.get(), &parameters, hash.c_str(), nullptr, nullptr, key_.get(),
                          nullptr);
    if (algorithm.starts_with("PS")) {
      EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST);
    }
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::string signature(1024, '\0');
    size_t size = signature.size();
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes,
                   text.size());
    signature.resize(size);
    return width_ == 0 ? signature : BothNumbers(signature);
  }

 private:
  TestKey(EVP_PKEY* key, size_t width) : key_(key, EVP_PKEY_free), width_(width) {}

  static std::string Bytes(const BIGNUM* number, size_t width) {
    std::string bytes(width == 0 ? static_cast<size_t>(BN_num_bytes(number)) : width, '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()),
                 static_cast<int>(bytes.size()));
    return bytes;
  }
  std::string Number(const char* name, size_t width) const {
    BIGNUM* number = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &number);
    const std::string text = Base64Url(Bytes(number, width));
    BN_free(number);
    return text;
  }
  // What RFC 7518, section 3.4, has in place of ASN.1.
  std::string BothNumbers(const std::string& der) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* const pair = d2i_ECDSA_SIG(nullptr, &bytes, static_cast<long>(der.size()));
    const std::string both =
        Bytes(ECDSA_SIG_get0_r(pair), width_) + Bytes(ECDSA_SIG_get0_s(pair), width_);
    ECDSA_SIG_free(pair);
    return both;
  }

  std::shared_ptr<EVP_PKEY> key_;
  // Of EC: bytes of a coordinate. 0: RSA.
  size_t width_;
};

// A token with this header and these claims, JSON both, and this signature.
inline std::string Assemble(std::string_view header, std::string_view claims, const auto& sign) {
  const std::string text = Base64Url(header) + "." + Base64Url(claims);
  return text + "." + Base64Url(sign(text));
}

inline std::string SignToken(const TestKey& key, std::string_view algorithm, std::string_view kid,
                             std::string_view claims) {
  const std::string id = kid.empty() ? "" : absl::StrCat(",\"kid\":\"", A(kid), "\"");
  return Assemble(absl::StrCat("{\"alg\":\"", A(algorithm), "\",\"typ\":\"JWT\"", id, "}"), claims,
                  [&](const std::string& text) { return key.Sign(text, algorithm); });
}

inline std::string HmacSha256(std::string_view secret, std::string_view text) {
  std::string code(32, '\0');
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(code.data()), nullptr);
  return code;
}

// A key set of these keys, as Jwk gives them.
inline std::string KeySetJson(const std::vector<std::string>& keys) {
  std::string list;
  for (const std::string& key : keys) absl::StrAppend(&list, list.empty() ? "" : ",", key);
  return absl::StrCat("{\"keys\":[", list, "]}");
}

// The claims of a token, changed one at a time.
struct TestClaims {
  // JSON values by name.
  std::map<std::string, std::string> values;

  TestClaims With(const std::string& name, const std::string& json) const {
    TestClaims changed = *this;
    changed.values[name] = json;
    return changed;
  }
  TestClaims Without(const std::string& name) const {
    TestClaims changed = *this;
    changed.values.erase(name);
    return changed;
  }
  std::string Json() const {
    std::string text = "{";
    for (const auto& [name, value] : values) {
      absl::StrAppend(&text, text.size() > 1 ? "," : "", "\"", name, "\":", value);
    }
    return text + "}";
  }
};

}  // namespace beamline::auth
