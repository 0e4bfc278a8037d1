#include "engine/data/columnar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>

#include "engine/data/checksum.h"
#include "engine/data/csv.h"
#include "tests/engine/data/test_util.h"

namespace beamline::engine::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Write(const Table& table, int threads = 1) {
  std::string out;
  WriteColumnar(
      table, [&](std::string_view piece) { out += piece; }, threads);
  return out;
}

// The bytes at an aligned address, in an allocation of exactly their size, so that ASan sees every
// step out of bounds.
class Aligned {
 public:
  explicit Aligned(std::string_view bytes)
      : data_(static_cast<char*>(std::aligned_alloc(64, (bytes.size() + 63) / 64 * 64))),
        size_(bytes.size()) {
    std::memcpy(data_.get(), bytes.data(), bytes.size());
  }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::unique_ptr<char, Free> data_;
  size_t size_;
};

std::string ParseError(std::string_view bytes, bool verify = true) {
  const Aligned aligned(bytes);
  return ErrorOf([&] {
    const Dataset dataset = ParseColumnar(aligned.view(), nullptr, {.verify = verify});
    for (const Column& column : dataset.table.columns()) {
      for (int64_t row = 0; row < column.rows(); ++row) {
        for (int64_t k = 0; k < column.item_size(); ++k) column.Number(row, k);
        if (column.item_size() == 1) column.Text(row);
      }
    }
  });
}

Table Example() {
  const Table csv = ReadCsv(
      "id,x,ok,kind\n"
      "7,0.5,true,b\n"
      ",-1,false,a\n"
      "9,,,\n");
  std::vector<Column> columns = csv.columns();
  columns.push_back(Column::Of("image", std::vector<uint8_t>{1, 2, 3, 4, 5, 6}, {2, 1}));
  columns.push_back(Column::Of("f", std::vector<float>{1, 2, 3}));
  columns.push_back(Column::Of("i", std::vector<int32_t>{1, -2, 3}));
  return Table(std::move(columns));
}

TEST(ColumnarTest, WhatIsWrittenIsRead) {
  const Table table = Example();
  const Aligned bytes(Write(table));
  const Dataset got = ParseColumnar(bytes.view(), nullptr);
  ASSERT_EQ(got.table.columns().size(), table.columns().size());
  EXPECT_EQ(got.table.rows(), 3);
  for (size_t c = 0; c < table.columns().size(); ++c) {
    const Column& expected = table.columns()[c];
    const Column& column = got.table.columns()[c];
    EXPECT_EQ(column.name(), expected.name());
    EXPECT_EQ(column.type(), expected.type());
    EXPECT_EQ(column.item_shape(), expected.item_shape());
    EXPECT_EQ(column.categories(), expected.categories());
    ASSERT_EQ(column.bytes().size(), expected.bytes().size());
    EXPECT_EQ(std::memcmp(column.bytes().data(), expected.bytes().data(), column.bytes().size()),
              0);
    for (int64_t row = 0; row < 3 && column.item_size() == 1; ++row) {
      EXPECT_EQ(column.Text(row), expected.Text(row));
    }
    const ColumnStatistics statistics = Describe(expected);
    EXPECT_EQ(got.statistics[c].count, statistics.count);
    EXPECT_EQ(got.statistics[c].missing, statistics.missing);
    EXPECT_EQ(got.statistics[c].mean, statistics.mean);
    EXPECT_EQ(got.statistics[c].quantiles, statistics.quantiles);
    EXPECT_EQ(got.statistics[c].histogram, statistics.histogram);
    EXPECT_EQ(got.statistics[c].top.size(), statistics.top.size());
    EXPECT_EQ(got.chunks[c].size(), 1u);
  }
  EXPECT_TRUE(got.table.Get("id").IsMissing(1));
  EXPECT_EQ(got.chunks[0][0].missing, 1);
}

// Every line of the worked example in docs/formats.md: an offset and the bytes there.
TEST(ColumnarTest, TheDocumentedExampleIsTrue) {
  const std::string bytes = Write(ReadCsv("n,kind\n7,b\n,a\n9,b\n"));
  EXPECT_EQ(bytes.size(), 1280u);
  std::istringstream text(
      ReadWhole(std::filesystem::path(BEAMLINE_SOURCE_DIR) / "docs/formats.md"));
  int checked = 0;
  for (std::string line; std::getline(text, line);) {
    if (!line.starts_with("    0")) continue;
    std::istringstream fields(line);
    size_t offset;
    ASSERT_TRUE(fields >> std::hex >> offset) << line;
    for (std::string byte; fields >> byte && byte.size() == 2; ++offset, ++checked) {
      if (byte.find_first_not_of("0123456789abcdef") != std::string::npos) break;
      ASSERT_EQ(static_cast<int>(static_cast<unsigned char>(bytes.at(offset))),
                std::stoi(byte, nullptr, 16))
          << line;
    }
  }
  EXPECT_GT(checked, 150);
}

TEST(ColumnarTest, TheBytesDependOnContentOnly) {
  std::string text = "a,b,c\n";
  for (int i = 0; i < 70'000; ++i)
    text +=
        std::to_string(i % 91) + "," + std::to_string(i) + ".5,t" + std::to_string(i % 7) + "\n";
  CsvOptions options;
  const std::string expected = Write(ReadCsv(text, options));
  options.threads = 3;
  options.block_bytes = 10'000;
  EXPECT_TRUE(Write(ReadCsv(text, options), 4) == expected);
}

TEST(ColumnarTest, SeveralChunksAreReadAndChecked) {
  std::vector<double> values(200'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  std::string bytes = Write(Table({Column::Of("x", values)}));
  const Aligned aligned(bytes);
  EXPECT_EQ(ParseColumnar(aligned.view(), nullptr).chunks[0].size(), 4u);
  bytes[64 + 8 * 140'000] ^= 1;
  EXPECT_EQ(ParseError(bytes),
            "the columnar file is damaged (column \"x\", rows from 131073): fetch or convert it "
            "again");
  EXPECT_EQ(ParseError(bytes, /*verify=*/false), "(no error)");
}

TEST(ColumnarTest, EveryFlippedBitIsNoticed) {
  const std::string bytes = Write(Example());
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = bytes;
      damaged[at] ^= static_cast<char>(1 << bit);
      ASSERT_NE(ParseError(damaged), "(no error)") << "byte " << at << " bit " << bit;
      ParseError(damaged, /*verify=*/false);  // may pass, must not crash
    }
  }
}

TEST(ColumnarTest, EveryTruncationIsNoticed) {
  const std::string bytes = Write(Example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_NE(ParseError(bytes.substr(0, size), false), "(no error)") << size;
  }
  EXPECT_THAT(ParseError(bytes + bytes), HasSubstr("its size is wrong"));
}

// Damage with checksums that are right again, as an attacker would make it.
TEST(ColumnarTest, AForgedDescriptionNeverLeadsOutOfBounds) {
  const std::string bytes = Write(Example());
  uint64_t offset, size;
  std::memcpy(&offset, bytes.data() + bytes.size() - 64, 8);
  std::memcpy(&size, bytes.data() + bytes.size() - 56, 8);
  for (uint64_t at = offset; at < offset + size; ++at) {
    for (const unsigned char value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      std::string forged = bytes;
      forged[at] = static_cast<char>(value);
      uint64_t checksum = Xxh64(std::as_bytes(std::span(forged).subspan(offset, size)));
      std::memcpy(forged.data() + forged.size() - 48, &checksum, 8);
      checksum = Xxh64(std::as_bytes(std::span(forged).subspan(forged.size() - 64, 48)));
      std::memcpy(forged.data() + forged.size() - 16, &checksum, 8);
      ParseError(forged, true);
      ParseError(forged, false);
    }
  }
}

TEST(ColumnarTest, OtherFilesAreRefused) {
  EXPECT_THAT(ParseError("a,b\n1,2\n"), HasSubstr("not a columnar file"));
  std::string later = Write(Example());
  later[8] = 2;
  EXPECT_THAT(ParseError(later), HasSubstr("has version 2, this program reads version 1"));
  EXPECT_THAT(ErrorOf([] { OpenColumnar("/nonexistent/file"); }), HasSubstr("cannot open"));
  EXPECT_THAT(ErrorOf([] { OpenColumnar("/dev/null"); }), HasSubstr("is empty"));
  EXPECT_THAT(ErrorOf([] { Write(Table()); }), HasSubstr("without rows"));
}

TEST(ColumnarTest, AMappedFileOutlivesItsDataset) {
  const std::string path = ::testing::TempDir() + "columnar_test_file";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  const std::string bytes = Write(Example());
  ASSERT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file), bytes.size());
  std::fclose(file);
  const Column column = OpenColumnar(path).table.Get("kind");
  std::remove(path.c_str());
  EXPECT_EQ(column.Text(0), "b");
  EXPECT_EQ(column.Text(1), "a");
}

TEST(ChecksumTest, IsXxh64) {
  const auto hash = [](std::string_view text) { return Xxh64(std::as_bytes(std::span(text))); };
  EXPECT_EQ(hash(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(hash("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(hash("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(hash("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

}  // namespace
}  // namespace beamline::engine::data
