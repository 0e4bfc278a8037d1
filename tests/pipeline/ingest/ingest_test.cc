// Files of all kinds that become tables, plain, compressed, damaged: many tests, hence the length.
#include "pipeline/ingest/ingest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "pipeline/ingest/decompress.h"
#include "pipeline/ingest/zip.h"

namespace beamline::pipeline {
namespace {

using engine::data::ColumnType;
using engine::data::Table;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Written by NumPy 1.24.2 (savez, savez_compressed): X = [[1, 2], [3, 4]] float32, y = [0, 1]
// int64.
constexpr std::string_view kStored =
    "504b0304140000000000000021004efb2075900000009000000005001400582e6e7079010010009000000000"
    "0000009000000000000000934e554d5059010076007b276465736372273a20273c6634272c2027666f727472"
    "616e5f6f72646572273a2046616c73652c20277368617065273a2028322c2032292c207d2020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020202020202020"
    "2020202020200a0000803f000000400000404000008040504b0304140000000000000021007e6afbc9900000"
    "009000000005001400792e6e70790100100090000000000000009000000000000000934e554d505901007600"
    "7b276465736372273a20273c6938272c2027666f727472616e5f6f72646572273a2046616c73652c20277368"
    "617065273a2028322c292c207d20202020202020202020202020202020202020202020202020202020202020"
    "20202020202020202020202020202020202020202020202020202020200a0000000000000000010000000000"
    "0000504b01021403140000000000000021004efb207590000000900000000500000000000000000000008001"
    "00000000582e6e7079504b01021403140000000000000021007e6afbc9900000009000000005000000000000"
    "00000000008001c7000000792e6e7079504b05060000000002000200660000008e0100000000";
constexpr std::string_view kDeflated =
    "504b0304140000000800000021004efb2075530000009000000005001400582e6e7079010010009000000000"
    "00000053000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9366a2aea3a09e965f5452"
    "9498179f5f94920a12774bcc294e058a17672416a402f91a463a0a469a3a0ab50a64032e0686067b06060607"
    "2002e2060700504b0304140000000800000021007e6afbc9490000009000000005001400792e6e7079010010"
    "00900000000000000049000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9369a1aea3"
    "a09e965f54529498179f5f94920a12774bcc294e058a17672416a402f91a463a9a3a0ab50a14002e06286084"
    "d200504b01021403140000000800000021004efb207553000000900000000500000000000000000000008001"
    "00000000582e6e7079504b01021403140000000800000021007e6afbc9490000009000000005000000000000"
    "000000000080018a000000792e6e7079504b05060000000002000200660000000a0100000000";

std::string Bytes(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

std::string Gzip(const std::string& bytes) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
  return out;
}

const char kCsv[] = "a,b\n1,x\n2,y\n";

class IngestTest : public ::testing::Test {
 protected:
  absl::StatusOr<Ingested> Run(const std::string& bytes, const std::string& name = "data.csv",
                               const IngestOptions& options = {}) {
    const std::string input = folder_.path() + "/input";
    EXPECT_TRUE(WriteFileAtomically(input, bytes).ok());
    return Ingest(input, name, output(), options);
  }
  std::string output() const { return folder_.path() + "/output"; }

  // The message, after checking that nothing was left behind.
  std::string Refusal(const std::string& bytes, const IngestOptions& options = {},
                      absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
    const absl::StatusOr<Ingested> got = Run(bytes, "data.csv", options);
    EXPECT_EQ(got.status().code(), code) << got.status();
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      files += entry.path().filename() != "input";
    }
    EXPECT_EQ(files, 0);
    return std::string(got.status().message());
  }

  TemporaryDirectory folder_;
};

TEST_F(IngestTest, ReadsCsvPlainAndCompressed) {
  std::string expected;
  for (const std::string& bytes :
       {std::string(kCsv), Gzip(kCsv), Zstd(kCsv), Gzip("a,b\n1,x") + Gzip("\n2,y\n"),
        Zstd("a,b\n1,") + Zstd("x\n2,y\n")}) {
    const auto got = Run(bytes);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->dataset.table.rows(), 2);
    EXPECT_EQ(got->dataset.table.Get("b").Text(1), "y");
    EXPECT_EQ(got->dataset.statistics[0].mean, 1.5);
    const std::string written = *ReadFile(output());
    EXPECT_EQ(got->size_bytes, static_cast<int64_t>(written.size()));
    if (expected.empty()) expected = written;
    EXPECT_TRUE(written == expected);
    EXPECT_TRUE(engine::data::OpenColumnar(output()).table.Find("a") != nullptr);
  }
}

TEST_F(IngestTest, TheOutputDependsOnNeitherThreadsNorCompression) {
  std::string csv = "n,f,t,late\n";
  for (int i = 0; i < 120'000; ++i) {
    absl::StrAppend(&csv, i, ",", i * 0.37, ",t", i % 13, i == 119'000 ? ",z\n" : ",4\n");
  }
  IngestOptions options;
  ASSERT_TRUE(Run(csv, "a", options).ok());
  const std::string expected = *ReadFile(output());
  options.threads = 2;
  options.csv.block_bytes = 50'000;
  for (const std::string& bytes : {csv, Gzip(csv), Zstd(csv)}) {
    ASSERT_TRUE(Run(bytes, "a", options).ok());
    EXPECT_TRUE(*ReadFile(output()) == expected);
  }
}

TEST_F(IngestTest, ReadsNpz) {
  for (const std::string_view hex : {kStored, kDeflated}) {
    for (const bool compressed : {false, true}) {
      const auto got = Run(compressed ? Zstd(Bytes(hex)) : Bytes(hex), "data.npz");
      ASSERT_TRUE(got.ok()) << got.status();
      const engine::data::Table& table = got->dataset.table;
      EXPECT_EQ(table.Get("X").type(), ColumnType::kFloat32);
      EXPECT_THAT(table.Get("X").item_shape(), ElementsAre(2));
      EXPECT_THAT(table.Get("X").values<float>(), ElementsAre(1, 2, 3, 4));
      EXPECT_THAT(table.Get("y").values<int64_t>(), ElementsAre(0, 1));
    }
  }
}

TEST_F(IngestTest, ReadsNpyUnderTheNameOfTheFile) {
  // The first entry of the stored archive.
  const std::string zip = Bytes(kStored);
  const size_t start = zip.find("\x93NUMPY");
  const auto got = Run(zip.substr(start, 128 + 16), "folder/images.npy");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->dataset.table.columns()[0].name(), "images");
}

// Two images of 2 x 3, and their labels.
const std::string kImages = Bytes("00000803000000020000000200000003000102030405fafbfcfdfeff");
const std::string kLabels = Bytes("00000801000000020709");

TEST_F(IngestTest, ReadsIdxPlainAndCompressedAndJoined) {
  std::string expected;
  for (const std::string& bytes : {kImages + kLabels, Gzip(kImages) + Gzip(kLabels),
                                   Zstd(kImages) + Zstd(kLabels), Gzip(kImages + kLabels)}) {
    IngestOptions options;
    options.files = 2;
    const auto got = Run(bytes, "train-images-idx3-ubyte.gz", options);
    ASSERT_TRUE(got.ok()) << got.status();
    const Table& table = got->dataset.table;
    EXPECT_THAT(table.Get("image").item_shape(), ElementsAre(2, 3));
    EXPECT_EQ(table.Get("image").type(), ColumnType::kUint8);
    EXPECT_EQ(table.Get("image").Number(1, 5), 255);
    EXPECT_THAT(table.Get("label").values<uint8_t>(), ElementsAre(7, 9));
    const std::string written = *ReadFile(output());
    if (expected.empty()) expected = written;
    EXPECT_TRUE(written == expected);
  }
  IngestOptions named;
  named.csv.names = {"x", "y"};
  EXPECT_TRUE(Run(kImages + kLabels, "a", named)->dataset.table.Find("y") != nullptr);
}

TEST_F(IngestTest, RefusesDamagedIdx) {
  const std::string both = Gzip(kImages) + Gzip(kLabels);
  EXPECT_THAT(Refusal(both.substr(0, both.size() - 20)), HasSubstr("truncated"));
  EXPECT_THAT(Refusal(kImages + kLabels.substr(0, 9)), HasSubstr("IDX array 2 is truncated"));
  EXPECT_THAT(Refusal(kLabels + Gzip(kImages)), HasSubstr("compress all files in the same way"));
  EXPECT_THAT(Refusal(Bytes("00000803ffffffffffffffffffffffff")), HasSubstr("is the file damaged"));
  IngestOptions options;
  options.format = FileFormat::kIdx;
  EXPECT_THAT(Refusal(kCsv, options), HasSubstr("is it an IDX file?"));
  options.csv.types["label"] = ColumnType::kCategorical;
  EXPECT_THAT(Refusal(kImages, options), HasSubstr("column_types is for CSV"));
}

TEST_F(IngestTest, ReadsFormatsOfLines) {
  const std::string series = "#c\n@problemName x\n@classLabel true 1 2\n@data\n1,2:1\n3:2\n";
  for (const std::string& bytes : {series, Gzip(series)}) {
    const auto found = Run(bytes, "x.ts");
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_THAT(found->dataset.table.Get("series").values<int64_t>(), ElementsAre(0, 0, 1));
    EXPECT_THAT(found->dataset.table.Get("class").values<int64_t>(), ElementsAre(1, 1, 2));
  }
  IngestOptions options;
  options.format = FileFormat::kLibsvm;
  const auto sparse = Run(Zstd("1 2:0.5\n0 1:4\n"), "x.svm", options);
  ASSERT_TRUE(sparse.ok()) << sparse.status();
  EXPECT_THAT(sparse->dataset.table.Get("f2").values<double>(), ElementsAre(0.5, 0));
  options.format = FileFormat::kEdgeList;
  options.csv.types = {{"weight", ColumnType::kFloat64}};
  const auto arcs = Run("# arcs\na b 1\nb c 2\n", "x.txt", options);
  ASSERT_TRUE(arcs.ok()) << arcs.status();
  EXPECT_EQ(arcs->dataset.table.Get("source").Text(1), "b");
  EXPECT_EQ(arcs->dataset.table.Get("weight").type(), ColumnType::kFloat64);
}

TEST_F(IngestTest, RefusesFormatsOfLines) {
  IngestOptions options;
  options.format = FileFormat::kEdgeList;
  EXPECT_EQ(Refusal("a b\nc\n", options), "data.csv: line 2: an arc needs a source and a target");
  options.format = FileFormat::kLibsvm;
  options.csv.names = {"a"};
  EXPECT_THAT(Refusal("1 1:1\n", options), HasSubstr("column_names are not for LIBSVM"));
}

TEST_F(IngestTest, BoundsWhatSparseRowsBecome) {
  std::string rows = "1 10000:1\n";
  while (rows.size() < 100'000) rows += "1 1:1\n";
  IngestOptions options;
  options.format = FileFormat::kLibsvm;
  options.max_expansion = 100;
  EXPECT_THAT(Refusal(rows, options), HasSubstr("are a table of more than 16777216 bytes"));
}

TEST_F(IngestTest, JoinsArraysOnly) {
  IngestOptions options;
  options.files = 2;
  EXPECT_THAT(Refusal(Gzip(kCsv) + Gzip(kCsv), options),
              HasSubstr("the 2 files make no table together: only IDX and NPY files are joined"));
  EXPECT_THAT(Refusal(Bytes(kStored), options), HasSubstr("no table together"));
}

TEST_F(IngestTest, ReadsLargeIdxThroughATemporaryFile) {
  // 40 MB of values: more than is kept in memory.
  constexpr size_t kRows = 40'000, kItem = 1000;
  std::string bytes = Bytes("0000080300009c40000000640000000a");
  for (size_t i = 0; i < kRows * kItem; ++i) bytes += static_cast<char>(i * 2654435761U >> 24);
  const auto got = Run(Gzip(bytes), "large");
  ASSERT_TRUE(got.ok()) << got.status();
  const auto values = got->dataset.table.Get("image").values<uint8_t>();
  ASSERT_EQ(values.size(), kRows * kItem);
  EXPECT_TRUE(std::equal(values.begin(), values.end(), bytes.begin() + 16,
                         [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); }));
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    files += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_EQ(files, 2);  // Input and output, nothing else.
}

TEST_F(IngestTest, RefusesWithTheNameOfTheFile) {
  EXPECT_EQ(Refusal(""), "data.csv: the file is empty");
  EXPECT_EQ(Refusal(Gzip("")), "data.csv: the file is empty");
  EXPECT_EQ(Refusal("a,b\n1,2\n3\n"),
            "data.csv: line 3 (row 2): the row has 1 field, but there are 2 columns");
  EXPECT_THAT(Refusal("\x89HDF\r\n\x1A\n"), HasSubstr("the HDF5 file is damaged or truncated"));
  EXPECT_THAT(Refusal("PAR1\x15"), HasSubstr("a Parquet file: convert it to CSV"));
  EXPECT_THAT(Refusal("BZh91AY&SYxxxx"), HasSubstr("bzip2"));
  IngestOptions options;
  options.format = FileFormat::kNpy;
  EXPECT_THAT(Refusal(kCsv, options), HasSubstr("is not an NPY file"));
  options.format = FileFormat::kNpz;
  EXPECT_THAT(Refusal(kCsv, options), HasSubstr("the NPZ file is damaged"));
}

TEST_F(IngestTest, RefusesDamagedArchives) {
  std::string csv = "a,b\n";
  for (int i = 0; i < 3000; ++i) absl::StrAppend(&csv, i, ",", i * i, "\n");
  for (const std::string& bytes : {Gzip(csv), Zstd(csv)}) {
    EXPECT_THAT(Refusal(bytes.substr(0, bytes.size() / 2)), HasSubstr("truncated"));
    std::string damaged = bytes;
    damaged[bytes.size() / 2] ^= 0x55;
    damaged[bytes.size() / 2 + 1] ^= 0x55;
    EXPECT_THAT(Refusal(damaged), HasSubstr("data.csv: "));
  }
  EXPECT_THAT(Refusal(Gzip(csv) + "tail"), HasSubstr("other bytes at its end"));
}

TEST_F(IngestTest, NoDamageToAnNpzCrashes) {
  for (const std::string_view hex : {kStored, kDeflated}) {
    const std::string bytes = Bytes(hex);
    const ExpansionLimit limit(1000, 1 << 20, 1000);
    int accepted = 0;
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (const unsigned char value : {0x00, 0x7F, 0xFF}) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(value);
        try {
          engine::data::ReadArrays(ReadNpz(damaged, limit));
          ++accepted;
        } catch (const engine::Error&) {
        }
      }
    }
    EXPECT_GT(accepted, 0);  // dates, versions
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_THROW(ReadNpz(bytes.substr(0, size), limit), engine::Error);
    }
  }
}

// Data that the process may write to and that is not a file's, which no table may exceed. Units:
// bytes.
int64_t OwnBytes() {
  const std::string status = *ReadFile("/proc/self/status");
  return int64_t{1024} * std::atoll(status.c_str() + status.find("VmData:") + 7);
}

// Runs `body` with at most so many bytes more than now; they count as soon as they are asked for.
// Files that are mapped do not count.
template <typename Body>
void WithMemory(int64_t bytes, const Body& body) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_DATA, &before), 0);
  const rlimit limit{static_cast<rlim_t>(OwnBytes() + bytes), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
  body();
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &before), 0);
}

// 200 thousand rows of 12 numbers: 19 MB as cells, and as much as columns.
std::string ManyRows() {
  std::string csv = "a,b,c,d,e,f,g,h,i,j,k,l\n";
  for (int row = 0; row < 200'000; ++row) {
    for (int column = 0; column < 12; ++column) {
      absl::StrAppend(&csv, (row * 7 + column) % 100, column % 3 == 0 ? ".5" : "",
                      column < 11 ? "," : "\n");
    }
  }
  return csv;
}

#ifndef BEAMLINE_SANITIZED
// Sanitizers have much memory of their own.
TEST_F(IngestTest, MemoryDoesNotGrowWithRows) {
  // So that what is large goes back to the system when it is freed, and counts when it is taken.
  ASSERT_EQ(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
  const std::string csv = ManyRows();
  IngestOptions options;
  options.csv.block_bytes = 1 << 16;
  options.memory_bytes = INT64_MAX;
  ASSERT_TRUE(Run(csv, "x", options).ok());
  const std::string expected = *ReadFile(output());
  ASSERT_GT(expected.size(), 19'000'000U);
  options.memory_bytes = 4 << 20;
  const std::string input = folder_.path() + "/input";
  for (const std::string& bytes : {csv, Gzip(csv)}) {
    ASSERT_TRUE(WriteFileAtomically(input, bytes).ok());
    WithMemory(16 << 20, [&] {
      const auto got = Ingest(input, "x", output(), options);
      EXPECT_TRUE(got.ok()) << got.status();
    });
    EXPECT_TRUE(*ReadFile(output()) == expected);
  }
  // What the limit is worth: in memory it does not fit.
  options.memory_bytes = INT64_MAX;
  WithMemory(16 << 20, [&] {
    EXPECT_EQ(Ingest(input, "x", output(), options).status().code(),
              absl::StatusCode::kResourceExhausted);
  });
}
#endif

TEST_F(IngestTest, ATableThatTheDiskHasNoRoomForIsRefused) {
  IngestOptions options;
  options.memory_bytes = 1 << 20;
  options.max_scratch_bytes = 20 << 20;
  options.csv.block_bytes = 1 << 16;
  EXPECT_THAT(Refusal(ManyRows(), options, absl::StatusCode::kResourceExhausted),
              AllOf(HasSubstr("data.csv: a table needs"), HasSubstr("make room on the server")));
}

TEST_F(IngestTest, BoundsExpansion) {
  std::string bomb;
  const std::string line = std::string(1000, '1') + "\n";
  while (bomb.size() < 32 << 20) bomb += line;
  IngestOptions options;
  options.max_expansion = 10;
  for (const std::string& bytes : {Gzip(bomb), Zstd(bomb)}) {
    EXPECT_THAT(Refusal(bytes, options, absl::StatusCode::kResourceExhausted),
                AllOf(HasSubstr("data.csv: the file becomes larger than"), HasSubstr("raise")));
  }
  options = {};
  options.max_expanded_bytes = 10;
  EXPECT_THAT(Refusal(Gzip(kCsv), options, absl::StatusCode::kResourceExhausted),
              HasSubstr("larger than 10 bytes"));
  EXPECT_THAT(Refusal(Bytes(kDeflated), options, absl::StatusCode::kResourceExhausted),
              HasSubstr("larger than 10 bytes"));
}

TEST_F(IngestTest, FilesThatCannotBeOpenedOrWritten) {
  EXPECT_EQ(Ingest("/nonexistent", "x", output()).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(folder_.path() + "/input", kCsv).ok());
  EXPECT_EQ(Ingest(folder_.path() + "/input", "x", "/nonexistent/output").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Ingest(folder_.path(), "x", output()).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace beamline::pipeline
