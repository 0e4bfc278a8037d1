#include "engine/data/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "tests/engine/data/test_util.h"

namespace beamline::engine::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Written by NumPy 1.24.2 (numpy.lib.format.write_array).
constexpr std::string_view kF4 =
    "934e554d5059010076007b276465736372273a20273c6634272c2027666f727472616e5f6f72646572273a20"
    "46616c73652c20277368617065273a2028322c2032292c207d20202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200a0000c03f"
    "000000c0000040400000c07f";
constexpr std::string_view kF8Fortran =
    "934e554d5059010076007b276465736372273a20273c6638272c2027666f727472616e5f6f72646572273a20"
    "547275652c20277368617065273a2028322c2033292c207d2020202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200a00000000"
    "000000000000000000000840000000000000f03f000000000000104000000000000000400000000000001440";
constexpr std::string_view kI2Version2 =
    "934e554d50590200740000007b276465736372273a20273c6932272c2027666f727472616e5f6f7264657227"
    "3a2046616c73652c20277368617065273a2028322c292c207d20202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200affffff7f";
constexpr std::string_view kF2Version3 =
    "934e554d50590300740000007b276465736372273a20273c6632272c2027666f727472616e5f6f7264657227"
    "3a2046616c73652c20277368617065273a2028352c292c207d20202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200a003c00b8"
    "ff7b0100007c";
constexpr std::string_view kBool =
    "934e554d5059010076007b276465736372273a20277c6231272c2027666f727472616e5f6f72646572273a20"
    "46616c73652c20277368617065273a2028322c292c207d202020202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200a0100";
constexpr std::string_view kU8 =
    "934e554d5059010076007b276465736372273a20273c7538272c2027666f727472616e5f6f72646572273a20"
    "46616c73652c20277368617065273a2028322c292c207d202020202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200a01000000"
    "000000000000000000000080";
constexpr std::string_view kBigEndian =
    "934e554d5059010076007b276465736372273a20273e6934272c2027666f727472616e5f6f72646572273a20"
    "46616c73652c20277368617065273a2028322c292c207d202020202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200a00000001"
    "00000002";
constexpr std::string_view kText =
    "934e554d5059010076007b276465736372273a20273c5532272c2027666f727472616e5f6f72646572273a20"
    "46616c73652c20277368617065273a2028322c292c207d202020202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200a61000000"
    "000000006200000063000000";
constexpr std::string_view kScalar =
    "934e554d5059010076007b276465736372273a20273c6638272c2027666f727472616e5f6f72646572273a20"
    "46616c73652c20277368617065273a2028292c207d2020202020202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200a00000000"
    "00000840";
constexpr std::string_view kEmpty =
    "934e554d5059010076007b276465736372273a20273c6638272c2027666f727472616e5f6f72646572273a20"
    "46616c73652c20277368617065273a2028302c2033292c207d20202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020200a";
constexpr std::string_view kStructured =
    "934e554d5059010076007b276465736372273a205b282761272c20273c663427292c20282762272c20273c69"
    "3427295d2c2027666f727472616e5f6f72646572273a2046616c73652c20277368617065273a2028322c292c"
    "207d202020202020202020202020202020202020202020202020202020202020202020202020200a00000000"
    "000000000000000000000000";

std::string Bytes(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

Column Read(std::string_view hex) { return ReadNpy("x", Bytes(hex)); }
std::string NpyError(const std::string& bytes) {
  return ErrorOf([&] { ReadNpy("x", bytes); });
}

TEST(NpyTest, ReadsWhatNumPyWrote) {
  const Column f4 = Read(kF4);
  EXPECT_EQ(f4.type(), ColumnType::kFloat32);
  EXPECT_EQ(f4.rows(), 2);
  EXPECT_THAT(f4.item_shape(), ElementsAre(2));
  EXPECT_EQ(f4.Number(0, 0), 1.5);
  EXPECT_EQ(f4.Number(0, 1), -2);
  EXPECT_EQ(f4.Number(1, 0), 3);
  EXPECT_TRUE(std::isnan(f4.Number(1, 1)));
  EXPECT_THAT(Read(kI2Version2).values<int32_t>(), ElementsAre(-1, 32767));
  EXPECT_THAT(Read(kF2Version3).values<float>(),
              ElementsAre(1.0f, -0.5f, 65504.0f, 5.9604644775390625e-08f,
                          std::numeric_limits<float>::infinity()));
  const Column bools = Read(kBool);
  EXPECT_EQ(bools.type(), ColumnType::kBool);
  EXPECT_EQ(bools.Text(0), "true");
  EXPECT_EQ(bools.Text(1), "false");
}

TEST(NpyTest, TurnsFortranOrderIntoCOrder) {
  const Column column = Read(kF8Fortran);
  EXPECT_THAT(column.item_shape(), ElementsAre(3));
  EXPECT_THAT(column.values<double>(), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(NpyTest, RefusesByName) {
  EXPECT_THAT(NpyError(Bytes(kU8)), HasSubstr("row 2: 9223372036854775808 is above 2^63 - 1"));
  EXPECT_THAT(NpyError(Bytes(kBigEndian)), HasSubstr("\">i4\", which is big-endian"));
  EXPECT_THAT(NpyError(Bytes(kText)), HasSubstr("\"x\" has values of type \"<U2\""));
  EXPECT_THAT(NpyError(Bytes(kScalar)), HasSubstr("a single value"));
  EXPECT_THAT(NpyError(Bytes(kEmpty)), HasSubstr("is empty"));
  EXPECT_THAT(NpyError(Bytes(kStructured)), HasSubstr("structured type"));
  EXPECT_THAT(NpyError("PK"), HasSubstr("is not an NPY file"));
  EXPECT_THAT(NpyError(Bytes(kF4) + "x"), HasSubstr("longer than its header says"));
  std::string version = Bytes(kF4);
  version[6] = 4;
  EXPECT_THAT(NpyError(version), HasSubstr("NPY version 4"));
  std::string boolean = Bytes(kBool);
  boolean.back() = 2;
  EXPECT_THAT(NpyError(boolean), HasSubstr("neither 0 nor 1"));
}

TEST(NpyTest, NoDamageCrashes) {
  for (const std::string_view hex : {kF4, kF8Fortran, kF2Version3, kBool}) {
    const std::string bytes = Bytes(hex);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_NE(NpyError(bytes.substr(0, size)), "(no error)") << size;
    }
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (const unsigned char value : {0x00, 0x39, 0x7F, 0xFF}) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(value);
        NpyError(damaged);
      }
    }
  }
}

TEST(NpyTest, ArraysBecomeColumnsInTheOrderOfTheirNames) {
  const Table table = ReadArrays({{"y", Bytes(kBool), nullptr}, {"X", Bytes(kF4), nullptr}});
  EXPECT_EQ(table.columns()[0].name(), "X");
  EXPECT_EQ(table.rows(), 2);
  EXPECT_EQ(ErrorOf([] {
              ReadArrays({{"a", Bytes(kBool), nullptr}, {"b", Bytes(kF2Version3), nullptr}});
            }),
            "column \"b\" has 5 rows, but \"a\" has 2");
  EXPECT_THAT(ErrorOf([] { ReadArrays({}); }), HasSubstr("no array"));
}

TEST(NpyTest, ReadsSeveralFilesAsOneTable) {
  const std::string first = Bytes(kF4), second = Bytes(kU8.substr(0, kU8.size() - 16)) +
                                                 std::string("\2\0\0\0\0\0\0\0", 8);
  const Table table = ReadNpyFiles("x", {}, first + second);
  ASSERT_EQ(table.columns().size(), 2);
  EXPECT_EQ(table.columns()[0].name(), "array0");
  EXPECT_THAT(table.Get("array1").values<int64_t>(), ElementsAre(1, 2));
  EXPECT_EQ(ReadNpyFiles("x", {}, first).columns()[0].name(), "x");
  EXPECT_EQ(ReadNpyFiles("x", {"a", "b"}, first + second).columns()[1].name(), "b");
  EXPECT_THAT(ErrorOf([&] { ReadNpyFiles("x", {"a"}, first + second); }),
              HasSubstr("1 column names for 2 arrays"));
  EXPECT_THAT(ErrorOf([&] { ReadNpyFiles("x", {}, first + "tail"); }),
              HasSubstr("longer than its header says"));
  EXPECT_THAT(ErrorOf([&] { ReadNpyFiles("x", {}, first + Bytes(kF2Version3)); }),
              HasSubstr("array 2 has 5 rows, but array 1 has 2"));
}

}  // namespace
}  // namespace beamline::engine::data
