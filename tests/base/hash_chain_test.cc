#include "base/hash_chain.h"

#include <string>
#include <vector>

#include "base/digest.h"
#include "gtest/gtest.h"

namespace beamline {
namespace {

// A chain of these records; the last hash is the head.
std::vector<std::string> Hashes(const std::vector<std::string>& records) {
  std::vector<std::string> hashes;
  std::string before = HashChain::kStart;
  for (const std::string& record : records) {
    hashes.push_back(before = HashChain::Hash(before, record));
  }
  return hashes;
}

bool Speaks(const absl::Status& status, const std::string& words) {
  return absl::IsDataLoss(status) && status.message().find(words) != absl::string_view::npos;
}

TEST(HashChainTest, AHashIsThatOfTheDigitsBeforeAndTheRecord) {
  EXPECT_EQ(HashChain::Hash(HashChain::kStart, "record"),
            Sha256Hex(std::string(64, '0') + "record"));
}

TEST(HashChainTest, WhatWasWrittenIsTaken) {
  const std::vector<std::string> hashes = Hashes({"a", "b"});
  HashChain chain(hashes[0]);
  EXPECT_TRUE(chain.Take(1, "a", hashes[0]).ok());
  EXPECT_TRUE(chain.Take(2, "b", hashes[1]).ok());
  EXPECT_EQ(chain.size(), 2);
  EXPECT_EQ(chain.head(), hashes[1]);
  EXPECT_TRUE(chain.End(2, hashes[1]).ok());
}

TEST(HashChainTest, AnEmptyChainIsWhole) {
  EXPECT_TRUE(HashChain().End(0, HashChain::kStart).ok());
  EXPECT_TRUE(HashChain(HashChain::kStart).End(0, HashChain::kStart).ok());
}

TEST(HashChainTest, WhatIsChangedMissingOrCutOffIsSaid) {
  const std::vector<std::string> hashes = Hashes({"a", "b", "c"});
  HashChain chain;
  EXPECT_TRUE(Speaks(chain.Take(1, "A", hashes[0]), "entry 1 is not"));
  ASSERT_TRUE(chain.Take(1, "a", hashes[0]).ok());
  EXPECT_TRUE(Speaks(chain.Take(3, "c", hashes[2]), "entry 2 is missing"));
  EXPECT_TRUE(Speaks(chain.Take(2, "c", hashes[2]), "entry 2 is not"));
  ASSERT_TRUE(chain.Take(2, "b", hashes[1]).ok());
  EXPECT_TRUE(Speaks(chain.End(3, hashes[2]), "cut off"));
  EXPECT_TRUE(Speaks(chain.End(1, hashes[0]), "not the last"));
  EXPECT_TRUE(Speaks(chain.End(2, hashes[0]), "not what was written"));
}

TEST(HashChainTest, AChainWithoutTheKnownHashIsNotTheOneThatWasKnown) {
  const std::vector<std::string> hashes = Hashes({"a", "b"});
  const std::vector<std::string> anew = Hashes({"a", "x"});
  HashChain chain(hashes[1]);
  ASSERT_TRUE(chain.Take(1, "a", anew[0]).ok());
  ASSERT_TRUE(chain.Take(2, "x", anew[1]).ok());
  EXPECT_TRUE(Speaks(chain.End(2, anew[1]), "no entry has the hash"));
}

}  // namespace
}  // namespace beamline
