#include "auth/jwt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/auth/test_issuer.h"

namespace beamline::auth {
namespace {

constexpr char kClaims[] = R"({"iss":"https://i","sub":"ada","groups":["a","b"],"exp":1.5e9})";

std::shared_ptr<KeySet> Keys(const std::vector<std::string>& keys) {
  auto set = KeySet::Parse(KeySetJson(keys));
  EXPECT_TRUE(set.ok()) << set.status();
  return *std::move(set);
}

// Whether `keys` vouch for `token`.
bool Vouches(const KeySet& keys, const std::string& token) {
  const auto parsed = Jwt::Parse(token);
  return parsed.ok() && keys.Verify(*parsed).ok();
}

// Changes one character of one part (0 to 2), so that it is still Base64.
std::string Changed(std::string token, int part) {
  size_t at = 0;
  for (int i = 0; i < part; ++i) at = token.find('.', at) + 1;
  at += 6;
  token[at] = token[at] == 'A' ? 'B' : 'A';
  return token;
}

TEST(Jwt, SignaturesOfAllAlgorithmsAreVerified) {
  const TestKey rsa = TestKey::Rsa();
  const std::map<std::string, TestKey> keys = {{"RS256", rsa},
                                               {"RS384", rsa},
                                               {"RS512", rsa},
                                               {"PS256", rsa},
                                               {"PS384", rsa},
                                               {"PS512", rsa},
                                               {"ES256", TestKey::Ec("P-256")},
                                               {"ES384", TestKey::Ec("P-384")},
                                               {"ES512", TestKey::Ec("P-521")}};
  for (const auto& [algorithm, key] : keys) {
    const auto set = Keys({key.Jwk(R"("kid":"k")")});
    const std::string token = SignToken(key, algorithm, "k", kClaims);
    EXPECT_TRUE(Vouches(*set, token)) << algorithm;
    EXPECT_FALSE(Vouches(*set, Changed(token, 1))) << algorithm;
    EXPECT_FALSE(Vouches(*set, Changed(token, 2))) << algorithm;
    EXPECT_FALSE(Vouches(*set, token.substr(0, token.rfind('.') + 1))) << algorithm;
    const TestKey other = algorithm[0] == 'E' ? TestKey::Ec() : TestKey::Rsa();
    EXPECT_FALSE(Vouches(*Keys({other.Jwk(R"("kid":"k")")}), token)) << algorithm;
  }
}

// RFC 7515, appendices A.2 and A.3.
TEST(Jwt, TheExamplesOfTheStandardAreVerified) {
  const std::string claims =
      ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19"
      "yb290Ijp0cnVlfQ.";
  const std::string modulus =
      "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ"
      "PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0"
      "LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD"
      "Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2"
      "PAcDTW9gb54h4FRWyuXpoQ";
  const auto rsa = Keys({absl::StrCat(R"({"kty":"RSA","e":"AQAB","n":")", modulus, R"("})")});
  EXPECT_TRUE(Vouches(
      *rsa,
      "eyJhbGciOiJSUzI1NiJ9" + claims +
          "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W"
          "2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS"
          "jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"
          "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"));
  const auto ec =
      Keys({R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
            R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})"});
  const std::string token =
      "eyJhbGciOiJFUzI1NiJ9" + claims +
      "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
  EXPECT_TRUE(Vouches(*ec, token));
  EXPECT_FALSE(Vouches(*rsa, token));
  EXPECT_EQ(Jwt::Parse(token)->claims().Text("iss"), "joe");
}

TEST(Jwt, ClaimsAreReadAsTextsListsAndNumbers) {
  const auto token = Jwt::Parse(SignToken(
      TestKey::Ec(), "ES256", "k",
      R"({"sub":"ada","groups":["a",7,"b"],"exp":1500000000,"nested":{"x":"y"},"flag":true})"));
  ASSERT_TRUE(token.ok()) << token.status();
  const Claims& claims = token->claims();
  EXPECT_EQ(token->key_id(), "k");
  EXPECT_EQ(claims.Text("sub"), "ada");
  EXPECT_EQ(claims.Text("groups"), "") << "two are not one";
  EXPECT_TRUE(claims.Has("groups", "a") && claims.Has("groups", "b"));
  EXPECT_FALSE(claims.Has("groups", "7"));
  EXPECT_TRUE(claims.Has("sub", "ada"));
  EXPECT_EQ(claims.numbers.at("exp"), 1.5e9);
  EXPECT_EQ(claims.texts.count("nested") + claims.texts.count("flag"), 0u);
}

TEST(Jwt, OnlySignaturesByKeyPairsCount) {
  const TestKey key = TestKey::Rsa();
  const std::string jwk = key.Jwk(R"("kid":"k")");
  const auto set = Keys({jwk});
  const auto refused = [&](const std::string& header, const auto& sign) {
    return !Jwt::Parse(Assemble(header, kClaims, sign)).ok();
  };
  const auto nothing = [](const std::string&) { return std::string(); };
  EXPECT_TRUE(refused(R"({"alg":"none"})", nothing));
  EXPECT_TRUE(refused(R"({"alg":"None","kid":"k"})", nothing));
  EXPECT_TRUE(refused(R"({"kid":"k"})", nothing));
  EXPECT_TRUE(refused(R"({"alg":["RS256"],"kid":"k"})", nothing));
  for (const std::string& secret : {jwk, KeySetJson({jwk}), std::string()}) {
    const auto by_secret = [&](const std::string& text) { return HmacSha256(secret, text); };
    EXPECT_TRUE(refused(R"({"alg":"HS256","kid":"k"})", by_secret));
    EXPECT_FALSE(Vouches(*set, Assemble(R"({"alg":"RS256","kid":"k"})", kClaims, by_secret)));
  }
  const auto signs = [&](const std::string& text) { return key.Sign(text, "RS256"); };
  EXPECT_TRUE(refused(R"({"alg":"RS256","kid":"k","crit":["exp"]})", signs));
  EXPECT_TRUE(refused(R"({"alg":"RS256","kid":"k","typ":"logout+jwt"})", signs));
  EXPECT_FALSE(refused(R"({"alg":"RS256","kid":"k","typ":"at+jwt"})", signs));
}

TEST(Jwt, OthersAreNone) {
  const std::string good = SignToken(TestKey::Ec(), "ES256", "k", kClaims);
  ASSERT_TRUE(Jwt::Parse(good).ok());
  for (const std::string& text :
       {std::string(), std::string("eyJ"), std::string("eyJ.."), good + ".x", good.substr(1),
        "eyJ" + std::string(Jwt::kMaxBytes, 'x') + "..", "bl_" + good,
        SignToken(TestKey::Ec(), "ES256", "k", "[]"), SignToken(TestKey::Ec(), "ES256", "k", ""),
        SignToken(TestKey::Ec(), "ES256", "k", R"({"sub":"a","sub":"b"})"),
        SignToken(TestKey::Ec(), "ES256", std::string(Jwt::kMaxKeyId + 1, 'k'), kClaims)}) {
    EXPECT_FALSE(Jwt::Parse(text).ok()) << text;
  }
  const std::string longest(Jwt::kMaxKeyId, 'k');
  EXPECT_TRUE(Jwt::Parse(SignToken(TestKey::Ec(), "ES256", longest, kClaims)).ok());
}

TEST(KeySet, TheKeyIsFoundByIdAndAlgorithm) {
  const TestKey one = TestKey::Ec();
  const TestKey two = TestKey::Ec();
  const TestKey rsa = TestKey::Rsa();
  const auto set =
      Keys({one.Jwk(R"("kid":"1")"), two.Jwk(R"("kid":"2")"), rsa.Jwk(R"("kid":"2")")});
  EXPECT_TRUE(Vouches(*set, SignToken(one, "ES256", "1", kClaims)));
  EXPECT_TRUE(Vouches(*set, SignToken(two, "ES256", "2", kClaims)));
  EXPECT_TRUE(Vouches(*set, SignToken(rsa, "RS256", "2", kClaims)));
  EXPECT_FALSE(Vouches(*set, SignToken(two, "ES256", "1", kClaims)));
  EXPECT_FALSE(set->HasKeyOf(*Jwt::Parse(SignToken(one, "ES256", "3", kClaims))));
  EXPECT_FALSE(set->HasKeyOf(*Jwt::Parse(SignToken(rsa, "RS256", "1", kClaims))));
  EXPECT_TRUE(Vouches(*set, SignToken(rsa, "RS256", "", kClaims))) << "it can be no other";
  for (const TestKey& key : {one, two}) {
    EXPECT_FALSE(Vouches(*set, SignToken(key, "ES256", "", kClaims))) << "it may be one of two";
  }
}

TEST(KeySet, KeysForSomethingElseArePassedOver) {
  const TestKey key = TestKey::Ec();
  const std::string token = SignToken(key, "ES256", "k", kClaims);
  const std::string other = TestKey::Ec().Jwk(R"("kid":"other")");
  const auto vouches = [&](const std::string& jwk) { return Vouches(*Keys({other, jwk}), token); };
  EXPECT_TRUE(vouches(key.Jwk(R"("kid":"k","use":"sig","alg":"ES256")")));
  EXPECT_FALSE(vouches(key.Jwk(R"("kid":"k","use":"enc")")));
  EXPECT_TRUE(vouches(key.Jwk(R"("kid":"k","key_ops":["sign","verify"])")));
  for (const char* const operations : {R"(["sign"])", "[]", R"("verify")", "[null,7]"}) {
    EXPECT_FALSE(vouches(key.Jwk(absl::StrCat(R"("kid":"k","key_ops":)", operations))))
        << operations;
  }
  EXPECT_FALSE(vouches(key.Jwk(R"("kid":"k","alg":"ES384")")));
  EXPECT_FALSE(vouches(key.Jwk(R"("kid":"k","alg":"ECDH-ES")")));
  const TestKey rsa = TestKey::Rsa();
  EXPECT_FALSE(Vouches(*Keys({other, rsa.Jwk(R"("kid":"k","alg":"RS512")")}),
                       SignToken(rsa, "RS256", "k", kClaims)));
  EXPECT_FALSE(KeySet::Parse(KeySetJson({TestKey::Rsa(1024).Jwk()})).ok()) << "it is too short";
  EXPECT_FALSE(KeySet::Parse(R"({"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"k"}]})").ok());
}

TEST(KeySet, OthersAreNone) {
  for (const char* const text :
       {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[]})", R"({"keys":[1,null,"x",{}]})",
        R"({"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]})",
        R"({"keys":[{"kty":"RSA","n":"","e":"AQAB"}]})", R"({"keys":[{"kty":"RSA"}]})"}) {
    EXPECT_FALSE(KeySet::Parse(text).ok()) << text;
  }
  EXPECT_FALSE(KeySet::Parse(std::string(KeySet::kMaxBytes + 1, ' ')).ok());
}

}  // namespace
}  // namespace beamline::auth
