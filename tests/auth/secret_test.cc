#include "auth/secret.h"

#include <gtest/gtest.h>

#include <set>

#include "base/digest.h"
#include "base/ids.h"
#include "base/without_secrets.h"

namespace beamline::auth {
namespace {

TEST(Secret, HasTheFormThatIsDocumented) {
  SystemRandom random;
  const NewSecret made = MakeSecret(SecretKind::kToken, random);
  EXPECT_EQ(made.text.size(), 84u);
  EXPECT_EQ(made.text.substr(0, 20), "bl_" + made.id + "_");
  EXPECT_EQ(made.hash, Sha256Hex(made.text.substr(20)));
  EXPECT_EQ(made.hash.find(made.text.substr(20)), std::string::npos);
  EXPECT_EQ(MakeSecret(SecretKind::kJoinToken, random).text.substr(0, 3), "bj_");
}

TEST(Secret, ParsesWhatItMade) {
  SystemRandom random;
  for (const SecretKind kind : {SecretKind::kToken, SecretKind::kJoinToken}) {
    const NewSecret made = MakeSecret(kind, random);
    const std::optional<ParsedSecret> parsed = ParseSecret(kind, made.text);
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(parsed->id, made.id);
    EXPECT_TRUE(HashesEqual(parsed->hash, made.hash));
  }
}

TEST(Secret, KindsAreNotExchangeable) {
  SystemRandom random;
  const NewSecret made = MakeSecret(SecretKind::kJoinToken, random);
  EXPECT_FALSE(ParseSecret(SecretKind::kToken, made.text).has_value());
}

TEST(Secret, IsCutOutOfWhatIsShown) {
  SystemRandom random;
  for (const SecretKind kind : {SecretKind::kToken, SecretKind::kJoinToken}) {
    const std::string text = MakeSecret(kind, random).text;
    const std::string prefix = text.substr(0, 3);
    EXPECT_EQ(WithoutSecrets("users/ada/tokens/" + text), "users/ada/tokens/" + prefix);
    EXPECT_EQ(WithoutSecrets(text + "/" + text), prefix);
    EXPECT_EQ(WithoutSecrets("x" + text.substr(0, 30)), "x" + prefix) << "also a part of one";
  }
  EXPECT_EQ(WithoutSecrets("bj_1/bl_2"), "bj_");
  EXPECT_EQ(WithoutSecrets("bl_1/bj_2"), "bl_");
  EXPECT_EQ(WithoutSecrets("projects/p/runs/r-0.fold"), "projects/p/runs/r-0.fold");
  EXPECT_EQ(WithoutSecrets(""), "");
  const std::string pasted = MakeSecret(SecretKind::kToken, random).text;
  EXPECT_EQ(CheckUserId(pasted).message().find(pasted.substr(3, 20)), std::string::npos);
}

TEST(Secret, NeverTheSameTwice) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const NewSecret made = MakeSecret(SecretKind::kToken, random);
    EXPECT_TRUE(seen.insert(made.id).second);
    EXPECT_TRUE(seen.insert(made.hash).second);
  }
}

TEST(Secret, RefusesEveryMalformedText) {
  SystemRandom random;
  const std::string good = MakeSecret(SecretKind::kToken, random).text;
  for (const std::string& bad :
       {std::string(), std::string("bl_"), good.substr(1), good.substr(0, 83), good + "0",
        std::string(1 << 20, 'a'), std::string(84, '\0')}) {
    EXPECT_FALSE(ParseSecret(SecretKind::kToken, bad).has_value());
  }
  // 'u' is in no part's alphabet.
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = 'u';
    EXPECT_FALSE(ParseSecret(SecretKind::kToken, bad).has_value()) << i;
  }
}

TEST(Secret, OneWrongDigitIsAnotherHash) {
  SystemRandom random;
  const NewSecret made = MakeSecret(SecretKind::kToken, random);
  std::string wrong = made.text;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  const std::optional<ParsedSecret> parsed = ParseSecret(SecretKind::kToken, wrong);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->id, made.id);
  EXPECT_FALSE(HashesEqual(parsed->hash, made.hash));
  EXPECT_FALSE(HashesEqual("", made.hash));
}

}  // namespace
}  // namespace beamline::auth
