#include "pipeline/program_learner.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/file.h"
#include "engine/core/error.h"
#include "engine/data/csv.h"
#include "pipeline/archive.h"
#include "pipeline/csv_writer.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;

constexpr int64_t kRowsAtOnce = 4096;
constexpr size_t kMaxPredictionBytes = size_t{1} << 30;
// How far the probabilities of a row may be from 1 together.
constexpr double kSlack = 1e-3;

// Column `k` of `width` in a row-major block.
template <typename T>
std::vector<T> ColumnOf(const std::vector<T>& block, int64_t width, int64_t k) {
  std::vector<T> values;
  for (size_t at = static_cast<size_t>(k); at < block.size(); at += static_cast<size_t>(width)) {
    values.push_back(block[at]);
  }
  return values;
}

void AddTruth(const v1::ModelCard& card, const Truth& truth, int64_t begin, int64_t end,
              std::vector<Column>* columns) {
  const auto part = [&](const std::vector<float>& values) {
    return std::vector<float>(values.begin() + begin, values.begin() + end);
  };
  if (card.classes().empty()) {
    columns->push_back(Column::Of(card.target(), part(truth.raw)));
  } else {
    std::vector<std::string> names;
    for (int64_t i = begin; i < end; ++i) {
      names.push_back(card.classes(truth.labels[static_cast<size_t>(i)]));
    }
    columns->push_back(Column::OfStrings(card.target(), names));
  }
  if (!truth.weights.empty()) {
    columns->push_back(Column::Of(card.data().weight(), part(truth.weights)));
  }
}

Table Examples(const engine::BatchSource& source, const v1::ModelCard& card, const Truth* truth,
               int64_t begin, int64_t end) {
  const engine::BatchLayout& layout = source.layout();
  std::vector<int64_t> rows(static_cast<size_t>(end - begin));
  std::iota(rows.begin(), rows.end(), begin);
  std::vector<float> features(rows.size() * static_cast<size_t>(layout.features));
  std::vector<int32_t> codes(rows.size() * static_cast<size_t>(layout.code_columns));
  source.Gather(rows, {.features = layout.features > 0 ? features.data() : nullptr,
                       .codes = layout.code_columns > 0 ? codes.data() : nullptr});
  std::vector<Column> columns;
  for (int64_t k = 0; k < layout.features; ++k) {
    columns.push_back(
        Column::Of(card.features(static_cast<int>(k)), ColumnOf(features, layout.features, k)));
  }
  for (int64_t k = 0; k < layout.code_columns; ++k) {
    columns.push_back(Column::Of(card.code_columns(static_cast<int>(k)),
                                 ColumnOf(codes, layout.code_columns, k)));
  }
  if (truth != nullptr) AddTruth(card, *truth, begin, end, &columns);
  return Table(std::move(columns));
}

std::string ReadWhole(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd && errno == ENOENT) {
    engine::Fail(
        "the program left no predictions.csv: with \"predict\" it writes one row for each "
        "of rows.csv");
  }
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0) {
    engine::Fail("predictions.csv cannot be read: ", std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) engine::Fail("predictions.csv is no file: write one with the rows");
  auto bytes = ReadFile("/proc/self/fd/" + std::to_string(fd.get()), kMaxPredictionBytes);
  if (!bytes.ok()) engine::Fail("predictions.csv cannot be read, or is larger than 1 GiB");
  return *std::move(bytes);
}

double Finite(const Column& column, int64_t row) {
  const double value = column.is_numeric() ? column.Number(row) : NAN;
  if (std::isfinite(value)) return value;
  engine::Fail("predictions.csv, ", engine::data::RowName(row), ": \"", column.name(),
               "\" is no number");
}

}  // namespace

void WriteExamples(const engine::BatchSource& source, const v1::ModelCard& card, const Truth* truth,
                   const std::string& path) {
  // Whatever the program left there instead.
  unlink(path.c_str());
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) engine::Fail("cannot write ", path, ": ", std::strerror(errno));
  for (int64_t begin = 0; begin < source.rows(); begin += kRowsAtOnce) {
    const int64_t end = std::min(begin + kRowsAtOnce, source.rows());
    ToCsv(
        Examples(source, card, truth, begin, end),
        [&](std::string_view piece) {
          const absl::Status status = WriteFully(fd.get(), piece);
          if (!status.ok()) engine::Fail(path, ": ", std::string(status.message()));
        },
        begin == 0);
  }
}

void AddFacts(const v1::ModelCard& card, google::protobuf::Struct* facts) {
  auto& fields = *facts->mutable_fields();
  fields["target"].set_string_value(card.target());
  fields["weight"].set_string_value(card.data().weight());
  auto& classes = *fields["classes"].mutable_list_value();
  for (const std::string& name : card.classes()) classes.add_values()->set_string_value(name);
  auto& features = *fields["features"].mutable_list_value();
  for (const std::string& name : card.features()) features.add_values()->set_string_value(name);
  for (const std::string& name : card.code_columns()) {
    features.add_values()->set_string_value(name);
  }
}

Said ReadPredictions(const std::string& path, int64_t rows, const v1::ModelCard& card) {
  const Table table = [&] {
    const std::string bytes = ReadWhole(path);
    engine::data::CsvOptions options;
    options.header = engine::data::CsvHeader::kPresent;
    options.delimiter = ',';
    try {
      return engine::data::ReadCsv(bytes, options);
    } catch (const engine::Error& error) {
      engine::Fail("predictions.csv: ", error.what());
    }
  }();
  if (table.rows() != rows) {
    engine::Fail("predictions.csv has ", table.rows(), " rows, but rows.csv has ", rows,
                 ": write one for each, in the same order");
  }
  const auto column = [&](const std::string& name) -> const Column& {
    const Column* found = table.Find(name);
    if (found == nullptr) {
      engine::Fail("predictions.csv has no column \"", name, "\": ",
                   card.classes().empty() ? "the predicted numbers belong there"
                                          : "write a column for each class, with its probability");
    }
    return *found;
  };
  Said said;
  said.classes = card.classes_size();
  if (said.classes == 0) {
    const Column& values = column("prediction");
    for (int64_t row = 0; row < rows; ++row) {
      said.values.push_back(static_cast<float>(Finite(values, row)));
    }
    return said;
  }
  std::vector<const Column*> columns;
  for (const std::string& name : card.classes()) columns.push_back(&column(name));
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<double> probabilities;
    for (const Column* values : columns) probabilities.push_back(Finite(*values, row));
    const double sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
    if (*std::min_element(probabilities.begin(), probabilities.end()) < 0 ||
        std::abs(sum - 1) > kSlack) {
      engine::Fail("predictions.csv, ", engine::data::RowName(row),
                   ": the probabilities of the classes must not be negative, and be 1 together; "
                   "they are ",
                   sum);
    }
    for (size_t k = said.classes == 2 ? 1 : 0; k < probabilities.size(); ++k) {
      said.values.push_back(static_cast<float>(probabilities[k] / sum));
    }
  }
  return said;
}

double LossOf(const Said& said, const Truth& truth) {
  const std::string name = said.classes > 0 ? "log_loss" : "rmse";
  const auto values = Metrics(said, truth, {name});
  const auto found = values.find(name);
  if (found == values.end()) return NAN;
  return said.classes > 0 ? found->second : found->second * found->second;
}

std::string CardText(const v1::ModelCard& card) {
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  if (!google::protobuf::util::MessageToJsonString(card, &json, options).ok()) {
    engine::Fail("the model card cannot be written as JSON");
  }
  return json;
}

bool IsProgramModel(std::string_view bytes) { return bytes.starts_with(kCardName); }

v1::ModelCard ReadProgramCard(const std::string& path) {
  v1::ModelCard card;
  const std::string json = FirstFile(path, kCardName);
  if (!google::protobuf::util::JsonStringToMessage(json, &card).ok() || card.format() != 1) {
    engine::Fail("the model's card is damaged or of a later version");
  }
  return card;
}

}  // namespace beamline::pipeline
