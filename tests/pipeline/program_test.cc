// What programs of the user's get and leave, without running any.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "engine/core/error.h"
#include "engine/data/csv.h"
#include "pipeline/archive.h"
#include "pipeline/csv_writer.h"
#include "pipeline/metric_lines.h"
#include "pipeline/program_folder.h"
#include "pipeline/program_learner.h"

namespace beamline::pipeline {
namespace {

namespace fs = std::filesystem;
using engine::data::Column;
using engine::data::Table;
using ::testing::HasSubstr;

class FolderTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(Path(name)).parent_path());
    std::ofstream(Path(name)) << text;
  }
  template <typename Body>
  static std::string Complaint(const Body& body) {
    try {
      body();
    } catch (const engine::Error& error) {
      return error.what();
    }
    return "";
  }
  TemporaryDirectory folder_;
};

using Archive = FolderTest;

TEST_F(Archive, ComesBackAsItWas) {
  Write("model/deep/er/weights", std::string(100'000, '\1'));
  Write("model/empty", "");
  Write("model/tool", "#!/bin/sh");
  fs::permissions(Path("model/tool"), fs::perms::owner_all);
  EXPECT_EQ(PackFolder(Path("model"), "model", Path("a.tar"), {}, "card", "{}"), 3);
  EXPECT_EQ(FirstFile(Path("a.tar"), "card"), "{}");
  EXPECT_EQ(FirstFile(Path("a.tar"), "other"), "");
  fs::create_directory(Path("out"));
  UnpackFolder(Path("a.tar"), "model", Path("out"));
  EXPECT_EQ(ReadFile(Path("out/deep/er/weights")).value(), std::string(100'000, '\1'));
  EXPECT_EQ(ReadFile(Path("out/empty")).value(), "");
  EXPECT_EQ(fs::status(Path("out/tool")).permissions(), fs::perms::owner_all);
  EXPECT_FALSE(fs::exists(Path("out/card")));
  // The same content, the same bytes, whenever it was written.
  fs::last_write_time(Path("out/empty"), fs::file_time_type::clock::now() - std::chrono::hours(9));
  PackFolder(Path("out"), "model", Path("b.tar"), {}, "card", "{}");
  EXPECT_EQ(ReadFile(Path("a.tar")).value(), ReadFile(Path("b.tar")).value());
}

TEST_F(Archive, AnyTarReadsIt) {
  Write("model/" + std::string(100, 'f'), "x");
  Write("model/" + std::string(90, 'd') + "/y", "y");
  PackFolder(Path("model"), "model", Path("a.tar"), {});
  fs::create_directory(Path("out"));
  const std::string command = "tar -C " + Path("out") + " -xf " + Path("a.tar");
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(ReadFile(Path("out/model/" + std::string(90, 'd') + "/y")).value(), "y");
  EXPECT_EQ(ReadFile(Path("out/model/" + std::string(100, 'f'))).value(), "x");
}

TEST_F(Archive, TakesFilesAndFoldersOnly) {
  const auto pack = [&] {
    return Complaint([&] { PackFolder(Path("model"), "model", Path("a.tar"), {10, 2}); });
  };
  Write("model/a", "12345");
  EXPECT_EQ(pack(), "");
  fs::create_symlink("/etc/passwd", Path("model/link"));
  EXPECT_THAT(pack(), HasSubstr("\"model/link\" is a link"));
  fs::remove(Path("model/link"));
  ASSERT_EQ(mkfifo(Path("model/pipe").c_str(), 0600), 0);
  EXPECT_THAT(pack(), HasSubstr("neither file nor folder"));
  fs::remove(Path("model/pipe"));
  Write("model/b", "123456");
  EXPECT_THAT(pack(), HasSubstr("take more than"));
  Write("model/b", "");
  Write("model/c", "");
  EXPECT_THAT(pack(), HasSubstr("more than 2 files"));
  fs::rename(Path("model"), Path("elsewhere"));
  fs::create_directory_symlink(Path("elsewhere"), Path("model"));
  EXPECT_THAT(pack(), HasSubstr("cannot read model"));
}

// An archive of one file, with the name changed after the fact and the checksum made right.
TEST_F(Archive, LeadsNowhereElse) {
  Write("model/abcdef", "x");
  PackFolder(Path("model"), "model", Path("a.tar"), {});
  std::string bytes = ReadFile(Path("a.tar")).value();
  const auto rename = [&](const std::string& name) {
    std::string changed = bytes;
    int sum = 0;
    changed.replace(0, 6, name);
    changed.replace(148, 8, 8, ' ');
    for (int i = 0; i < 512; ++i)
      sum += static_cast<unsigned char>(changed[static_cast<size_t>(i)]);
    char text[9];
    std::snprintf(text, sizeof text, "%06o", sum);
    changed.replace(148, 7, text, 7);
    Write("bad.tar", changed);
    return Complaint([&] { UnpackFolder(Path("bad.tar"), "model", Path("out")); });
  };
  fs::create_directory(Path("out"));
  EXPECT_EQ(rename("fedcba"), "");
  EXPECT_THAT(rename("../upx"), HasSubstr("outside of its folder"));
  EXPECT_THAT(rename("a/../b"), HasSubstr("outside of its folder"));
  EXPECT_FALSE(fs::exists(Path("upx")));
  // Damaged anywhere, or cut off.
  for (const size_t at : {0U, 124U, 150U, 257U}) {
    std::string damaged = bytes;
    damaged[at] ^= 1;
    Write("bad.tar", damaged);
    EXPECT_THAT(Complaint([&] { UnpackFolder(Path("bad.tar"), "model", Path("out")); }),
                HasSubstr("damaged"))
        << at;
  }
  Write("bad.tar", bytes.substr(0, 512));
  EXPECT_THAT(Complaint([&] { UnpackFolder(Path("bad.tar"), "model", Path("out")); }),
              HasSubstr("damaged"));
}

TEST(MetricLine, IsOneOfThree) {
  ProgramWord word = ParseMetricLine(R"({"metric": "loss", "value": -1.5e-3, "step": 7})");
  EXPECT_EQ(word.kind, ProgramWord::kMetric);
  EXPECT_EQ(word.metric.name(), "loss");
  EXPECT_EQ(word.metric.value(), -1.5e-3);
  EXPECT_EQ(word.metric.step(), 7);
  word = ParseMetricLine(R"({"progress": 0.5, "activity": "fitting"})");
  EXPECT_EQ(word.kind, ProgramWord::kProgress);
  EXPECT_EQ(word.activity, "fitting");
  EXPECT_EQ(ParseMetricLine(R"({"checkpoint": 3})").step, 3);
}

TEST(MetricLine, SaysWhatIsWrong) {
  const auto why = [](const std::string& line) { return ParseMetricLine(line).why; };
  EXPECT_THAT(why("loss=1"), HasSubstr("no JSON"));
  EXPECT_THAT(why("[1]"), HasSubstr("no JSON"));
  EXPECT_THAT(why("{}"), HasSubstr("none of"));
  EXPECT_THAT(why(R"({"metric": "loss"})"), HasSubstr("\"value\""));
  EXPECT_THAT(why(R"({"metric": "loss", "value": "NaN"})"), HasSubstr("\"value\""));
  EXPECT_THAT(why(R"({"metric": "", "value": 1})"), HasSubstr("1 to 100 bytes"));
  EXPECT_THAT(why(R"({"metric": "x", "value": 1, "step": -1})"), HasSubstr("from 0"));
  EXPECT_THAT(why(R"({"metric": "x", "value": 1, "epoch": 1e12})"), HasSubstr("from 0"));
  EXPECT_THAT(why(R"({"progress": 1.5})"), HasSubstr("from 0 to 1"));
  EXPECT_THAT(why(R"({"checkpoint": "x"})"), HasSubstr("number of a step"));
  EXPECT_THAT(why("{\"progress\": 1, \"x\": \"" + std::string(5000, 'x') + "\"}"),
              HasSubstr("4096"));
}

using Metrics = FolderTest;

TEST_F(Metrics, AreFollowedAsTheFileGrows) {
  MetricFile file(Path("metrics.jsonl"));
  const auto append = [&](const std::string& text) {
    std::ofstream(Path("metrics.jsonl"), std::ios::app) << text;
  };
  EXPECT_TRUE(file.Read(1000, false).empty());
  append("{\"checkpoint\": 1}\n\n{\"check");
  EXPECT_EQ(file.Read(1000, false).size(), 1U);
  append("point\": 2}\n");
  const auto second = file.Read(1000, false);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].step, 2);
  append("{\"checkpoint\": 3}");
  EXPECT_TRUE(file.Read(1000, false).empty());
  EXPECT_EQ(file.Read(1000, true).size(), 1U);
  // Opened to be written anew.
  std::ofstream(Path("metrics.jsonl")) << "{\"checkpoint\": 4}\n";
  ASSERT_EQ(file.Read(1000, false).size(), 1U);
  EXPECT_FALSE(file.TooLong());
  append(std::string(static_cast<size_t>(MetricFile::kMaxBytes), 'x') + "\n{\"checkpoint\": 5}\n");
  EXPECT_TRUE(file.TooLong());
  const auto rest = file.Read(MetricFile::kMaxBytes, true);
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].kind, ProgramWord::kWrong);
}

using Input = FolderTest;

TEST_F(Input, ReadsBackAsItWas) {
  const std::vector<double> numbers = {0.1, -1e-300, NAN, 1e308, 3};
  const std::vector<std::string> texts = {"a, b", "\"q\"", "", " blank ", "line\nend"};
  WriteInput(Table({Column::Of("x", numbers), Column::OfStrings("t, u", texts),
                    Column::Of("image", std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {2})}),
             Path("in"));
  engine::data::CsvOptions options;
  options.header = engine::data::CsvHeader::kPresent;
  const Table back = engine::data::ReadCsv(ReadFile(Path("in.csv")).value(), options);
  ASSERT_EQ(back.rows(), 5);
  for (int64_t row = 0; row < 5; ++row) {
    const auto i = static_cast<size_t>(row);
    if (i != 2) {
      EXPECT_EQ(back.Get("x").Number(row), numbers[i]);
    }
    EXPECT_EQ(back.Get("t, u").Text(row), texts[i]);
  }
  EXPECT_TRUE(back.Get("x").IsMissing(2));
  const std::string array = ReadFile(Path("in.image.npy")).value();
  EXPECT_TRUE(array.starts_with("\x93NUMPY"));
  EXPECT_THAT(array, HasSubstr("'descr': '|u1', 'fortran_order': False, 'shape': (5, 2,)"));
  EXPECT_EQ(array.size() % 64, 10U);
  EXPECT_TRUE(array.ends_with("\x09\x0a"));
}

using Predicted = FolderTest;

TEST_F(Predicted, AreTakenByTheNamesOfClasses) {
  v1::ModelCard card;
  card.add_classes("no");
  card.add_classes("maybe");
  card.add_classes("yes");
  Write("p.csv", "yes,no,maybe\n0.5,0.25,0.25\n0,1,0\n");
  const Said said = ReadPredictions(Path("p.csv"), 2, card);
  EXPECT_EQ(said.values, (std::vector<float>{0.25F, 0.25F, 0.5F, 1, 0, 0}));
  card.mutable_classes()->RemoveLast();
  Write("p.csv", "no,maybe\n0.25,0.75\n");
  EXPECT_EQ(ReadPredictions(Path("p.csv"), 1, card).values, std::vector<float>{0.75F});
}

}  // namespace
}  // namespace beamline::pipeline
