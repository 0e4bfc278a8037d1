#include "engine/data/sparse_rows.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/data/text_lines.h"

namespace beamline::engine::data {
namespace {

struct Row {
  double label = 0;
  int64_t whole = 0;  // the label, if that is a whole number
  int64_t query = -1;
  size_t first = 0;  // of its entries
};
struct Entry {
  int32_t index;
  double value;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : lines_(text) {}

  Table Read(int64_t max_bytes) {
    for (std::string_view line; lines_.Next(&line);) {
      line = TextLines::Trimmed(line.substr(0, line.find('#')));
      if (!line.empty()) AddRow(line);
    }
    if (rows_.empty()) throw Error("there are no rows");
    if (entries_.empty()) throw Error("no row has a feature");
    return ToTable(max_bytes);
  }

 private:
  [[noreturn]] void Wrong(std::string_view what) const {
    Fail("line ", lines_.number(), " (row ", rows_.size(), "): ", what);
  }

  double Number(std::string_view text, std::string_view what) const {
    const ScannedNumber number = ParseNumber(text);
    if (number.kind == ScannedNumber::Kind::kNone) {
      Wrong(Cat(what, " ", Quoted(text), " is not a number"));
    }
    return number.value;
  }

  void AddRow(std::string_view line) {
    rows_.push_back({.first = entries_.size()});
    const std::string_view label = TakeWord(&line);
    if (label.find(',') != std::string_view::npos) {
      Wrong("has several labels: give each row one");
    }
    const ScannedNumber number = ParseNumber(label);
    if (number.kind == ScannedNumber::Kind::kNone || label.find(':') != std::string_view::npos) {
      Wrong(Cat("the label ", Quoted(label), " is not a number"));
    }
    whole_ = whole_ && number.kind == ScannedNumber::Kind::kInteger;
    rows_.back().label = number.value;
    rows_.back().whole = number.integer;
    int64_t before = -1;
    while (!line.empty()) {
      std::string_view value = TakeWord(&line);
      const std::string_view name = TakeUntil(&value, ':');
      if (name == "qid") {
        TakeQuery(value);
        continue;
      }
      const ScannedNumber index = ParseNumber(name);
      if (index.kind != ScannedNumber::Kind::kInteger || index.integer < 0) {
        Wrong(Cat(Quoted(name), " is no index: write index:value"));
      }
      if (index.integer > kMostSparseFeatures) {
        Wrong(Cat("feature ", index.integer, " is beyond ", kMostSparseFeatures,
                  ", the most that a table may have"));
      }
      if (index.integer <= before) Wrong("the indices do not ascend");
      before = index.integer;
      entries_.push_back({static_cast<int32_t>(index.integer), Number(value, "the value")});
      most_ = std::max(most_, index.integer);
      least_ = std::min(least_, index.integer);
    }
    if ((rows_.back().query >= 0) != (rows_.front().query >= 0)) {
      Wrong("some rows have a qid and some have none");
    }
  }

  void TakeQuery(std::string_view text) {
    const ScannedNumber query = ParseNumber(text);
    if (query.kind != ScannedNumber::Kind::kInteger || query.integer < 0) {
      Wrong(Cat("the qid ", Quoted(text), " is no whole number from 0 on"));
    }
    rows_.back().query = query.integer;
  }

  Table ToTable(int64_t max_bytes) const {
    const int64_t first = least_ == 0 ? 0 : 1;
    const int64_t features = most_ - first + 1;
    const auto rows = static_cast<int64_t>(rows_.size());
    if (rows > max_bytes / 8 / (features + 2)) {
      Fail(rows, " rows of ", features, " features are a table of more than ", max_bytes,
           " bytes: leave out features or rows");
    }
    std::vector<std::vector<double>> values(static_cast<size_t>(features),
                                            std::vector<double>(rows_.size()));
    for (size_t r = 0; r < rows_.size(); ++r) {
      const size_t end = r + 1 < rows_.size() ? rows_[r + 1].first : entries_.size();
      for (size_t k = rows_[r].first; k < end; ++k) {
        values[static_cast<size_t>(entries_[k].index - first)][r] = entries_[k].value;
      }
    }
    std::vector<Column> columns;
    if (whole_) {
      std::vector<int64_t> labels;
      for (const Row& row : rows_) labels.push_back(row.whole);
      columns.push_back(Column::Of("label", std::move(labels)));
    } else {
      std::vector<double> labels;
      for (const Row& row : rows_) labels.push_back(row.label);
      columns.push_back(Column::Of("label", std::move(labels)));
    }
    if (rows_.front().query >= 0) {
      std::vector<int64_t> queries;
      for (const Row& row : rows_) queries.push_back(row.query);
      columns.push_back(Column::Of("query", std::move(queries)));
    }
    for (int64_t k = 0; k < features; ++k) {
      columns.push_back(Column::Of(Cat("f", first + k), std::move(values[static_cast<size_t>(k)])));
    }
    return Table(std::move(columns));
  }

  TextLines lines_;
  std::vector<Row> rows_;
  std::vector<Entry> entries_;
  bool whole_ = true;
  int64_t least_ = kMostSparseFeatures;
  int64_t most_ = 0;
};

}  // namespace

Table ReadSparseRows(std::string_view text, int64_t max_bytes) {
  return Reader(text).Read(std::min(max_bytes, kMostSparseBytes));
}

}  // namespace beamline::engine::data
