#include "engine/data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <random>
#include <string>

#include "engine/data/columnar.h"
#include "tests/engine/data/test_util.h"

namespace beamline::engine::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Texts(const Column& column) {
  std::vector<std::string> out;
  for (int64_t row = 0; row < column.rows(); ++row) out.push_back(column.Text(row));
  return out;
}

std::vector<std::string> Names(const Table& table) {
  std::vector<std::string> out;
  for (const Column& column : table.columns()) out.push_back(column.name());
  return out;
}

std::string TypeOf(const Table& table, const std::string& name) {
  return std::string(TypeName(table.Get(name).type()));
}

std::string CsvError(std::string_view text, const CsvOptions& options = {}) {
  return ErrorOf([&] { ReadCsv(text, options); });
}

// All that a table is, as text.
std::string Dump(const Table& table) {
  std::string out;
  for (const Column& column : table.columns()) {
    out += column.name() + ":" + std::string(TypeName(column.type()));
    for (const std::string& text : Texts(column)) out += "|" + text;
    out += "\n";
  }
  return out;
}

// The same bytes, piece by piece, as from a decompressor.
class StreamSource : public ByteSource {
 public:
  explicit StreamSource(std::string bytes) : bytes_(std::move(bytes)), memory_(bytes_) {}
  size_t Read(char* buffer, size_t size) override { return memory_.Read(buffer, size); }
  void Rewind() override { memory_.Rewind(); }

 private:
  std::string bytes_;
  MemorySource memory_;
};

TEST(CsvTest, InfersTypesAndHeader) {
  const Table table = ReadCsv(
      "id,pt,ok,name\n"
      "1,0.5,true,muon\n"
      "2,1e3,FALSE,\n"
      ",-2,,electron\n");
  EXPECT_EQ(table.rows(), 3);
  EXPECT_THAT(Names(table), ElementsAre("id", "pt", "ok", "name"));
  EXPECT_EQ(TypeOf(table, "id"), "int64");
  EXPECT_EQ(TypeOf(table, "pt"), "float64");
  EXPECT_EQ(TypeOf(table, "ok"), "bool");
  EXPECT_EQ(TypeOf(table, "name"), "categorical");
  EXPECT_THAT(Texts(table.Get("id")), ElementsAre("1", "2", ""));
  EXPECT_THAT(Texts(table.Get("pt")), ElementsAre("0.5", "1000", "-2"));
  EXPECT_THAT(Texts(table.Get("ok")), ElementsAre("true", "false", ""));
  EXPECT_THAT(Texts(table.Get("name")), ElementsAre("muon", "", "electron"));
  EXPECT_THAT(table.Get("name").categories(), ElementsAre("electron", "muon"));
}

TEST(CsvTest, DetectsThatThereIsNoHeader) {
  const Table table = ReadCsv("5.1,3.5,Iris-setosa\n4.9,3.0,Iris-setosa\n");
  EXPECT_EQ(table.rows(), 2);
  EXPECT_THAT(Names(table), ElementsAre("c0", "c1", "c2"));
  EXPECT_EQ(ReadCsv("a,b\nb,a\na,b\n").rows(), 3);
  EXPECT_EQ(ReadCsv("x,y\nb,a\na,b\n").rows(), 2);
}

TEST(CsvTest, HeaderAndNamesCanBeGiven) {
  CsvOptions options;
  options.header = CsvHeader::kAbsent;
  EXPECT_EQ(ReadCsv("a,1\nb,2\n", options).rows(), 2);
  EXPECT_EQ(TypeOf(ReadCsv("x,y\n1,2\n", options), "c0"), "categorical");
  options.header = CsvHeader::kPresent;
  options.names = {"left", "right"};
  const Table table = ReadCsv("1,2\n3,4\n", options);
  EXPECT_THAT(Names(table), ElementsAre("left", "right"));
  EXPECT_EQ(table.rows(), 1);
}

TEST(CsvTest, FindsTheDelimiter) {
  EXPECT_THAT(Names(ReadCsv("a;b\n1,5;2\n3,5;4\n")), ElementsAre("a", "b"));
  EXPECT_THAT(Names(ReadCsv("a\tb\tc\n1\t2\t3\n")), ElementsAre("a", "b", "c"));
  CsvOptions options;
  options.delimiter = '|';
  EXPECT_THAT(Names(ReadCsv("a|b\n1|2\n", options)), ElementsAre("a", "b"));
  EXPECT_THAT(Texts(ReadCsv("one\n1\n2\n").Get("one")), ElementsAre("1", "2"));
}

TEST(CsvTest, ReadsQuotedFieldsOfRfc4180) {
  const Table table = ReadCsv(
      "\"na\"\"me\",text\r\n"
      "1,\"a, \"\"b\"\"\r\nsecond line\"\r\n"
      "2,\"\"\r\n"
      "\"3\",\" kept \"\r\n");
  EXPECT_THAT(Names(table), ElementsAre("na\"me", "text"));
  EXPECT_EQ(TypeOf(table, "na\"me"), "int64");
  EXPECT_THAT(Texts(table.Get("text")), ElementsAre("a, \"b\"\r\nsecond line", "", " kept "));
}

TEST(CsvTest, LineEndsBlanksAndEmptyLines) {
  const std::string expected = Dump(ReadCsv("a,b\n1,x\n2,y\n"));
  EXPECT_EQ(Dump(ReadCsv("a,b\r\n1,x\r\n2,y\r\n")), expected);
  EXPECT_EQ(Dump(ReadCsv("a,b\n1,x\n2,y")), expected);
  EXPECT_EQ(Dump(ReadCsv("\n\na,b\n\n1,x\r\n\r\n2,y\n\n")), expected);
  EXPECT_EQ(Dump(ReadCsv(" a , b\n 1,x \n2\t, y\n")), expected);
  EXPECT_EQ(Dump(ReadCsv("\xEF\xBB\xBF"
                         "a,b\n1,x\n2,y\n")),
            expected);
  // In a file of one column an empty line is a missing value.
  EXPECT_THAT(Texts(ReadCsv("a\n1\n\n3\n").Get("a")), ElementsAre("1", "", "3"));
}

TEST(CsvTest, MissingMarkers) {
  const Table table = ReadCsv("a,b\n1,x\nNA,?\nNaN,null\n?,\"NA\"\n2,NULL\n");
  EXPECT_EQ(TypeOf(table, "a"), "int64");
  EXPECT_THAT(Texts(table.Get("a")), ElementsAre("1", "", "", "", "2"));
  EXPECT_THAT(Texts(table.Get("b")), ElementsAre("x", "", "", "NA", ""));
  CsvOptions options;
  options.missing = {"", "-999"};
  const Table other = ReadCsv("a,b\n-999,x\n7,NA\n", options);
  EXPECT_THAT(Texts(other.Get("a")), ElementsAre("", "7"));
  EXPECT_THAT(Texts(other.Get("b")), ElementsAre("x", "NA"));
  EXPECT_EQ(TypeOf(ReadCsv("a,b\n,1\n,2\n"), "a"), "float64");
}

TEST(CsvTest, ALateValueDecidesTheType) {
  std::string text = "a,b,c\n";
  for (int i = 0; i < 5000; ++i) text += std::to_string(i) + ",1,7\n";
  text += "x,1.5,true\n";
  CsvOptions options;
  options.block_bytes = 1000;
  for (const bool stream : {false, true}) {
    StreamSource streamed(text);
    const Table table = stream ? ReadCsv(streamed, options) : ReadCsv(text, options);
    EXPECT_EQ(TypeOf(table, "a"), "categorical");
    EXPECT_EQ(table.Get("a").Text(4999), "4999");
    EXPECT_EQ(table.Get("a").Text(5000), "x");
    EXPECT_EQ(TypeOf(table, "b"), "float64");
    EXPECT_EQ(TypeOf(table, "c"), "categorical");
    EXPECT_EQ(table.Get("c").Text(5000), "true");
  }
  options.types["a"] = ColumnType::kInt32;
  EXPECT_EQ(CsvError(text, options), "line 5002 (row 5001), column \"a\": \"x\" is not an integer");
}

TEST(CsvTest, GivenTypes) {
  CsvOptions options;
  options.types = {{"a", ColumnType::kFloat32},
                   {"b", ColumnType::kCategorical},
                   {"c", ColumnType::kBool},
                   {"d", ColumnType::kUint8}};
  const Table table = ReadCsv("a,b,c,d\n0.1,01,1,255\n,1,0,\n", options);
  EXPECT_EQ(table.Get("a").values<float>()[0], 0.1f);
  EXPECT_TRUE(std::isnan(table.Get("a").values<float>()[1]));
  EXPECT_THAT(table.Get("b").categories(), ElementsAre("01", "1"));
  EXPECT_THAT(Texts(table.Get("c")), ElementsAre("true", "false"));
  EXPECT_THAT(Texts(table.Get("d")), ElementsAre("255", ""));
  const auto error = [&](const char* row) {
    return CsvError(std::string("a,b,c,d\n") + row + "\n", options);
  };
  EXPECT_EQ(error("abc,x,1,1"), "line 2 (row 1), column \"a\": \"abc\" is not a number");
  EXPECT_EQ(error("1,x,2,1"), "line 2 (row 1), column \"c\": \"2\" is not true, false, 1 or 0");
  EXPECT_EQ(error("1,x,1,256"), "line 2 (row 1), column \"d\": \"256\" is out of range for uint8");
  EXPECT_EQ(error("1,x,1,1.5"), "line 2 (row 1), column \"d\": \"1.5\" is not an integer");
  EXPECT_EQ(error("1e39,x,1,1"),
            "row 1, column \"a\": 1e+39 is too large for float32: use float64");
  options.types = {{"nope", ColumnType::kBool}};
  EXPECT_EQ(error("1,2,3,4"), "a type is given for column \"nope\", which the file does not have");
}

TEST(CsvTest, ErrorsNameThePlace) {
  EXPECT_EQ(CsvError(""), "the file is empty: it has no row");
  EXPECT_EQ(CsvError("\n\n"), "the file is empty: it has no row");
  EXPECT_EQ(CsvError("a,b\n"), "the file has a header but no data row");
  EXPECT_EQ(CsvError("a,b\n\n\n"), "the file has a header but no data row");
  EXPECT_EQ(CsvError("a,b\n1,2\n3\n"),
            "line 3 (row 2): the row has 1 field, but there are 2 columns");
  EXPECT_EQ(CsvError("a,b\n1,2\n\n3,4,5,6\n"),
            "line 4 (row 2): the row has 4 fields, but there are 2 columns");
  EXPECT_THAT(CsvError("a,b\n1,\"x\ny\"\n3,\"z\n"),
              AllOf(HasSubstr("line 4 (row 2), column \"b\": "), HasSubstr("not closed")));
  EXPECT_THAT(CsvError("a,b\n1,5\" pipe\n"),
              AllOf(HasSubstr("line 2 (row 1), column \"b\": a quote inside")));
  EXPECT_THAT(CsvError("a,b\n1,\"x\"y\n"), HasSubstr("text follows the closing quote of \"x\""));
  EXPECT_THAT(CsvError(std::string_view("a,b\n1,x\0y\n", 10)),
              HasSubstr("column \"b\": \"x\\x00y\" contains a NUL byte"));
  EXPECT_THAT(CsvError("a,b\n1,\xC3(\n"),
              HasSubstr("line 2 (row 1), column \"b\": \"\\xc3(\" is not valid UTF-8"));
  EXPECT_THAT(CsvError("a,b\n1,2\r3,4\n"), HasSubstr("a carriage return without a line feed"));
  EXPECT_THAT(CsvError("\xFF\xFE"
                       "a"),
              HasSubstr("UTF-16"));
}

TEST(CsvTest, ErrorsOfNames) {
  CsvOptions options;
  options.header = CsvHeader::kPresent;
  EXPECT_THAT(CsvError("a,a\n1,2\n", options), HasSubstr("two columns have the name \"a\""));
  EXPECT_THAT(CsvError("a,,c\n1,2,3\n", options), HasSubstr("column 2 of 3 has no name"));
  EXPECT_THAT(CsvError("a,\xFF\n1,2\n", options), HasSubstr("not valid UTF-8"));
  options.names = {"x"};
  EXPECT_EQ(CsvError("a,b\n1,2\n", options), "1 names are given, but line 1 has 2 fields");
}

TEST(CsvTest, Limits) {
  CsvOptions options;
  options.max_columns = 2;
  EXPECT_THAT(CsvError("a,b,c\n1,2,3\n", options), HasSubstr("more than 2 columns"));
  options = {};
  options.max_rows = 1;
  EXPECT_THAT(CsvError("a,b\n1,2\n3,4\n", options), HasSubstr("more than 1 rows"));
  options = {};
  options.max_field_bytes = 4;
  EXPECT_THAT(CsvError("a,b\n1,abcde\n", options), HasSubstr("longer than 4 bytes"));
  EXPECT_THAT(CsvError("a,b\n1,123456\n2,123456\n", options), HasSubstr("longer than 4 bytes"));
  EXPECT_THAT(CsvError("a,b\n1,\"abc\"\"de\"\n", options), HasSubstr("longer than 4 bytes"));
  options = {};
  options.max_categories = 2;
  EXPECT_THAT(CsvError("a,b\n1,x\n2,y\n3,z\n", options),
              HasSubstr("column \"b\" has more than 2 different texts"));
  options = {};
  options.block_bytes = 0;
  EXPECT_THAT(CsvError("a\n1\n", options), HasSubstr("at least 1"));
  options = {};
  options.delimiter = '"';
  EXPECT_THAT(CsvError("a\n1\n", options), HasSubstr("delimiter"));
}

// A file with everything in it: quotes, line ends within them, missing and mixed values.
std::string RandomCsv(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string out = "number,text,integer,mixed\n";
  for (int row = 0; row < 400; ++row) {
    out += random() % 9 == 0 ? "" : std::to_string(static_cast<double>(random() % 1000) / 8);
    const char* const texts[] = {"plain", "\"a,b\"", "\"line\nbreak\"", "\"q\"\"q\"", "", "\"\""};
    out += std::string(",") + texts[random() % 6] + ",";
    out += random() % 5 == 0 ? "NA" : std::to_string(random() % 100);
    out += random() % 50 == 0 ? ",word" : ",3";
    out += random() % 2 == 0 ? "\n" : "\r\n";
  }
  return out;
}

TEST(CsvTest, TheTableDependsOnNeitherThreadsNorBlocksNorSource) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const std::string text = RandomCsv(seed);
    const std::string expected = Dump(ReadCsv(text));
    for (const int threads : {1, 2, 5}) {
      for (const int64_t block_bytes : {1, 7, 64, 1000, 1 << 20}) {
        CsvOptions options;
        options.threads = threads;
        options.block_bytes = block_bytes;
        ASSERT_EQ(Dump(ReadCsv(text, options)), expected) << threads << " " << block_bytes;
        StreamSource stream(text);
        ASSERT_EQ(Dump(ReadCsv(stream, options)), expected) << threads << " " << block_bytes;
      }
    }
  }
}

// A folder that is empty at the end, as files without names leave it.
class ScratchFolder {
 public:
  ScratchFolder() { EXPECT_NE(mkdtemp(path_.data()), nullptr); }
  ~ScratchFolder() { EXPECT_EQ(rmdir(path_.c_str()), 0) << path_ << " is not empty"; }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = ::testing::TempDir() + "/csv.XXXXXX";
};

TEST(CsvTest, ATableInFilesIsTheSame) {
  const ScratchFolder folder;
  // Of every type, with and without missing values; the last column is a number for long.
  std::string text = "f,i,b,t,late,none,whole\n";
  for (int row = 0; row < 3000; ++row) {
    text += row % 7 == 0 ? "," : std::to_string(row / 8.0) + ",";
    text += row % 11 == 0 ? "," : std::to_string(row) + ",";
    text += row % 2 == 0 ? "true," : "false,";
    text += row % 5 == 0 ? "," : "word" + std::to_string(row % 13) + ",";
    text += std::to_string(row) + (row == 2900 ? ".5,," : ",,") + std::to_string(-row) + "\n";
  }
  for (const bool again : {false, true}) {
    if (again) text += "1,2,true,x,y,,3\n";  // "late" is text.
    for (const ColumnType whole : {ColumnType::kInt32, ColumnType::kFloat32}) {
      CsvOptions options;
      options.types["whole"] = whole;
      const std::string expected = Dump(ReadCsv(text, options));
      options.block_bytes = 1500;  // Four stripes.
      for (const int threads : {1, 3}) {
        Workspace workspace({.threads = threads,
                             .memory_bytes = 0,
                             .folder = folder.path(),
                             .disk_bytes = 1 << 20});
        MemorySource source(text);
        ASSERT_EQ(Dump(ReadCsv(source, options, workspace)), expected) << threads << again;
      }
    }
  }
}

TEST(CsvTest, ATableThatFitsNowhereIsRefused) {
  const ScratchFolder folder;
  std::string text = "x,y\n";
  for (int row = 0; row < 10'000; ++row) text += "1,2\n";
  Workspace workspace(
      {.memory_bytes = 0, .folder = folder.path(), .disk_bytes = 100'000, .remedy = "make room"});
  CsvOptions options;
  options.block_bytes = 1000;
  MemorySource source(text);
  EXPECT_THROW(ReadCsv(source, options, workspace), NoRoom);
  EXPECT_THAT(ErrorOf([&] { ReadCsv(source, options, workspace); }), HasSubstr("left: make room"));
}

// A block may have no row at all: then nothing is missing in it.
TEST(CsvTest, AnEmptyLastBlockChangesNoByte) {
  const auto bytes = [](int64_t block_bytes) {
    CsvOptions options;
    options.block_bytes = block_bytes;
    std::string columnar;
    WriteColumnar(ReadCsv("a,b\n4,5\n4,5\n\n", options),
                  [&](std::string_view piece) { columnar += piece; });
    return columnar;
  };
  for (int64_t block_bytes = 1; block_bytes < 12; ++block_bytes) {
    EXPECT_EQ(bytes(block_bytes) == bytes(1 << 20), true) << block_bytes;
  }
}

TEST(CsvTest, TheErrorDependsOnNeitherThreadsNorBlocks) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string text = RandomCsv(static_cast<uint64_t>(round));
    for (int i = 0; i < 3; ++i) {
      const char bad[] = {'"', ',', '\n', '\r', '\0', '\xFF'};
      text[40 + random() % (text.size() - 40)] = bad[random() % 6];
    }
    CsvOptions options;
    options.header = CsvHeader::kPresent;
    options.delimiter = ',';
    const std::string expected = CsvError(text, options);
    options.threads = 3;
    for (const int64_t block_bytes : {1, 50, 3000}) {
      options.block_bytes = block_bytes;
      ASSERT_EQ(CsvError(text, options), expected) << round << " " << block_bytes;
    }
  }
}

TEST(CsvTest, RandomBytesNeverCrash) {
  std::mt19937_64 random(11);
  const std::string alphabet = "a1.,;\t\"\n\r -e\xC3\xA9";
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (size_t i = random() % 60; i > 0; --i) text += alphabet[random() % alphabet.size()];
    CsvOptions options;
    options.block_bytes = 1 + static_cast<int64_t>(random() % 20);
    CsvError(text, options);
  }
}

}  // namespace
}  // namespace beamline::engine::data
