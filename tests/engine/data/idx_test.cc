#include "engine/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/engine/data/test_util.h"

namespace beamline::engine::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string BigEndian(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// An array whose values are `values`, of `bytes` bytes each.
std::string Idx(int type, const std::vector<uint32_t>& sizes, int bytes,
                const std::vector<uint64_t>& values) {
  std::string out = BigEndian(static_cast<uint64_t>(type) << 8 | sizes.size(), 4);
  for (const uint32_t size : sizes) out += BigEndian(size, 4);
  for (const uint64_t value : values) out += BigEndian(value, bytes);
  return out;
}

Table Read(const std::string& bytes, const IdxOptions& options = {}) {
  MemorySource source(bytes);
  return ReadIdx(source, options);
}

std::string Refusal(const std::string& bytes, const IdxOptions& options = {}) {
  return ErrorOf([&] { Read(bytes, options); });
}

// Two images of 2 x 3 and their labels.
const std::string kImages = Idx(8, {2, 2, 3}, 1, {0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255});
const std::string kLabels = Idx(8, {2}, 1, {7, 9});

TEST(IdxTest, ReadsImagesAndTheirLabels) {
  const Table table = Read(kImages + kLabels);
  ASSERT_EQ(table.columns().size(), 2);
  const Column& image = table.Get("image");
  EXPECT_EQ(image.type(), ColumnType::kUint8);
  EXPECT_THAT(image.item_shape(), ElementsAre(2, 3));
  EXPECT_THAT(image.values<uint8_t>(), ElementsAre(0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255));
  EXPECT_THAT(table.Get("label").values<uint8_t>(), ElementsAre(7, 9));
  EXPECT_TRUE(table.Get("label").item_shape().empty());
}

TEST(IdxTest, ReadsEveryType) {
  const Table table = Read(Idx(0x09, {2}, 1, {0x80, 0x7F}) + Idx(0x0B, {2}, 2, {0x8000, 0x7FFF}) +
                           Idx(0x0C, {2}, 4, {0x80000000, 0x01020304}) +
                           Idx(0x0D, {2}, 4, {0x3FC00000, 0xC0000000}) +
                           Idx(0x0E, {2}, 8, {0x3FF8000000000000, 0xC000000000000000}));
  ASSERT_EQ(table.columns().size(), 5);
  EXPECT_THAT(table.columns()[0].values<int32_t>(), ElementsAre(-128, 127));
  EXPECT_THAT(table.columns()[1].values<int32_t>(), ElementsAre(-32768, 32767));
  EXPECT_THAT(table.columns()[2].values<int32_t>(), ElementsAre(INT32_MIN, 0x01020304));
  EXPECT_THAT(table.columns()[3].values<float>(), ElementsAre(1.5F, -2.0F));
  EXPECT_THAT(table.columns()[4].values<double>(), ElementsAre(1.5, -2.0));
}

TEST(IdxTest, NamesColumnsByWhatTheyHold) {
  const auto names = [](const std::string& bytes, const std::vector<std::string>& given = {}) {
    std::vector<std::string> out;
    const Table table = Read(bytes, {.names = given, .store = {}});
    for (const Column& column : table.columns()) {
      out.push_back(column.name());
    }
    return out;
  };
  const std::string numbers = Idx(0x0D, {2}, 4, {0, 0});
  EXPECT_THAT(names(kImages), ElementsAre("image"));
  EXPECT_THAT(names(kLabels + kImages), ElementsAre("label", "image"));
  EXPECT_THAT(names(kImages + kImages + kLabels), ElementsAre("array0", "array1", "label"));
  EXPECT_THAT(names(numbers), ElementsAre("array0"));
  EXPECT_THAT(names(kImages + numbers), ElementsAre("image", "array1"));
  EXPECT_THAT(names(kImages + kLabels, {"x", "y"}), ElementsAre("x", "y"));
  EXPECT_EQ(Refusal(kImages + kLabels, {.names = {"x"}, .store = {}}),
            "there are 1 column names for 2 arrays: give one for each");
}

TEST(IdxTest, RefusesWhatIsNotWhole) {
  const std::string both = kImages + kLabels;
  for (size_t size = 0; size < both.size(); ++size) {
    if (size == kImages.size()) continue;
    EXPECT_THAT(Refusal(both.substr(0, size)), HasSubstr("is truncated")) << size;
  }
  EXPECT_EQ(Refusal(kImages.substr(0, 20)),
            "IDX array 1 is truncated: its header says 2 x 2 x 3 values of 1 byte, but the file "
            "ends after 4 bytes of them; fetch it again");
  EXPECT_THAT(Refusal(kImages + "tail"),
              HasSubstr("IDX array 2 does not begin with an IDX magic number: the array before it "
                        "is longer than its header says"));
  EXPECT_THAT(Refusal(kImages + "\x1F\x8B\x08\x01"), HasSubstr("compress all files in the same"));
  EXPECT_EQ(Refusal(kImages + Idx(8, {3}, 1, {1, 2, 3})),
            "IDX array 2 has 3 rows, but array 1 has 2: give files that belong together");
}

TEST(IdxTest, RefusesAbsurdHeaders) {
  EXPECT_EQ(Refusal(Idx(8, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, 1, {})),
            "IDX array 1 has 4294967295 x 4294967295 x 4294967295 values, more than 68719476736 "
            "bytes: is the file damaged?");
  // Large, but possible: nothing is made room for before it is there.
  EXPECT_THAT(Refusal(Idx(8, {1 << 30}, 1, {1})), HasSubstr("ends after 1 bytes of them"));
  EXPECT_EQ(Refusal(Idx(8, {2, 0}, 1, {})), "IDX array 1 is empty: it has 2 x 0 values");
  EXPECT_EQ(Refusal(Idx(8, {}, 1, {1})), "IDX array 1 is a single value: save an array");
  EXPECT_THAT(Refusal(Idx(8, std::vector<uint32_t>(10, 1), 1, {1})),
              HasSubstr("has 10 dimensions, more than 9"));
  EXPECT_THAT(Refusal(Idx(0x0A, {1}, 1, {1})), HasSubstr("does not begin with an IDX magic"));
  EXPECT_THAT(Refusal(kLabels, {.names = {}, .max_array_bytes = 1, .store = {}}),
              HasSubstr("more than 1 bytes"));
}

TEST(IdxTest, IsRecognisedByItsFirstBytes) {
  EXPECT_TRUE(IsIdx(kImages));
  EXPECT_TRUE(IsIdx(kLabels));
  EXPECT_FALSE(IsIdx(kLabels.substr(0, 3)));
  EXPECT_FALSE(IsIdx("a,b\n"));
  EXPECT_FALSE(IsIdx(Idx(0x0A, {1}, 1, {})));
}

}  // namespace
}  // namespace beamline::engine::data
