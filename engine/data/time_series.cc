#include "engine/data/time_series.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "engine/core/error.h"
#include "engine/data/text_lines.h"

namespace beamline::engine::data {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

enum class Answer { kNone, kClass, kNumber };

// Of the archives, none has 2000.
constexpr size_t kMostDimensions = 100'000;
constexpr size_t kMostClassBytes = 1024;

class Reader {
 public:
  Reader(std::string_view text, const std::vector<std::string>& names, int64_t max_bytes)
      : lines_(text), names_(names), max_bytes_(max_bytes) {}

  Table Read() {
    ReadHeader();
    for (std::string_view line; lines_.Next(&line);) {
      if (!line.empty() && line.front() != '#') AddSeries(line);
    }
    if (count_ == 0) throw Error("there are no series behind @data");
    return ToTable();
  }

 private:
  [[noreturn]] void Wrong(std::string_view what) const {
    Fail("line ", lines_.number(), ": ", what);
  }

  void ReadHeader() {
    for (std::string_view line; lines_.Next(&line);) {
      if (line.empty() || line.front() == '#') continue;
      const std::string_view written = TakeWord(&line);
      const std::string word = Lower(written);
      if (word == "@data") return;
      if (word.front() != '@') Wrong("is no line of the header: @data is missing before it");
      const std::string value = Lower(line);
      if (word == "@timestamps" && value == "true") {
        Wrong("series with time stamps are not read: leave the stamps out");
      }
      if (word == "@targetlabel" && value.starts_with("true")) answer_ = Answer::kNumber;
      if (word == "@classlabel" && value.starts_with("true")) {
        answer_ = Answer::kClass;
        TakeWord(&line);
        while (!line.empty()) classes_.emplace(TakeWord(&line));
      }
    }
    throw Error("there is no line @data");
  }

  void AddSeries(std::string_view line) {
    std::vector<std::string_view> parts;
    while (true) {
      const bool last = line.find(':') == std::string_view::npos;
      parts.push_back(TextLines::Trimmed(TakeUntil(&line, ':')));
      if (parts.size() > kMostDimensions + 1) {
        Wrong(
            Cat("has more than ", kMostDimensions, " dimensions, the most that a table may have"));
      }
      if (last) break;
    }
    std::string_view answer;
    if (answer_ != Answer::kNone) {
      answer = parts.back();
      parts.pop_back();
    }
    if (parts.empty()) Wrong("has no values: the class stands behind a colon");
    if (count_ == 0) dimensions_.resize(parts.size());
    if (parts.size() != dimensions_.size()) {
      Wrong(
          Cat("has ", parts.size(), " dimensions, but the first series has ", dimensions_.size()));
    }
    const size_t before = dimensions_[0].size();
    for (size_t k = 0; k < parts.size(); ++k) AddValues(parts[k], &dimensions_[k]);
    const size_t behind = dimensions_[0].size();
    for (const std::vector<double>& dimension : dimensions_) {
      if (dimension.size() != behind) Wrong("its dimensions differ in length");
    }
    if (static_cast<int64_t>(behind) >
        max_bytes_ / 8 / static_cast<int64_t>(dimensions_.size() + 2)) {
      Wrong(Cat("makes the table larger than ", max_bytes_, " bytes"));
    }
    series_.resize(behind, count_++);
    AddAnswer(answer, behind - before);
  }

  void AddValues(std::string_view text, std::vector<double>* out) const {
    if (text.empty()) Wrong("has a dimension without values");
    if (text.front() == '(') Wrong("series with time stamps are not read: leave the stamps out");
    while (true) {
      const bool last = text.find(',') == std::string_view::npos;
      const std::string_view value = TextLines::Trimmed(TakeUntil(&text, ','));
      if (value == "?" || Lower(value) == "nan") {
        out->push_back(NAN);
      } else {
        const ScannedNumber number = ParseNumber(value);
        if (number.kind == ScannedNumber::Kind::kNone) {
          Wrong(Cat(Quoted(value), " is not a number"));
        }
        out->push_back(number.value);
      }
      if (last) return;
    }
  }

  void AddAnswer(std::string_view text, size_t steps) {
    if (answer_ == Answer::kNone) return;
    if (answer_ == Answer::kNumber) {
      const ScannedNumber number = ParseNumber(text);
      if (number.kind == ScannedNumber::Kind::kNone) Wrong(Cat(Quoted(text), " is not a number"));
      targets_.resize(targets_.size() + steps, number.value);
      return;
    }
    if (text.empty() || (!classes_.empty() && !classes_.contains(text))) {
      Wrong(Cat("the class ", Quoted(text), " is none of those of @classLabel"));
    }
    if (text.size() > kMostClassBytes) {
      Wrong(Cat("the class ", Quoted(text), " has ", text.size(),
                " bytes: give it a name of up to ", kMostClassBytes));
    }
    auto label = labels_.find(text);
    if (label == labels_.end()) label = labels_.emplace(text, Label{}).first;
    label_of_.push_back(&*label);
  }

  // Whether every class is a whole number, written as such: "1" and "01" are two names.
  bool TakeWholeNumbers() {
    for (auto& [name, label] : labels_) {
      const ScannedNumber number = ParseNumber(name);
      if (number.kind != ScannedNumber::Kind::kInteger || Cat(number.integer) != name) return false;
      label.whole = number.integer;
    }
    return true;
  }

  Column ClassColumn() {
    if (TakeWholeNumbers()) {
      std::vector<int64_t> numbers(series_.size());
      for (size_t i = 0; i < numbers.size(); ++i) {
        numbers[i] = label_of_[static_cast<size_t>(series_[i])]->second.whole;
      }
      return Column::Of("class", std::move(numbers));
    }
    auto names = std::make_shared<std::vector<std::string>>();
    for (auto& [name, label] : labels_) {
      label.code = static_cast<int32_t>(names->size());
      names->push_back(name);
    }
    auto codes = std::make_shared<std::vector<int32_t>>(series_.size());
    for (size_t i = 0; i < codes->size(); ++i) {
      (*codes)[i] = label_of_[static_cast<size_t>(series_[i])]->second.code;
    }
    return Column({.name = "class",
                   .type = ColumnType::kCategorical,
                   .rows = static_cast<int64_t>(codes->size()),
                   .values = codes->data(),
                   .categories = std::move(names),
                   .owner = codes});
  }

  Table ToTable() {
    if (!names_.empty() && names_.size() != dimensions_.size()) {
      Fail("there are ", dimensions_.size(), " dimensions, but ", names_.size(),
           " column_names: give one for each");
    }
    std::vector<Column> columns;
    for (size_t k = 0; k < dimensions_.size(); ++k) {
      columns.push_back(
          Column::Of(names_.empty() ? Cat("dim", k) : names_[k], std::move(dimensions_[k])));
    }
    if (answer_ == Answer::kClass) columns.push_back(ClassColumn());
    if (answer_ == Answer::kNumber) columns.push_back(Column::Of("target", std::move(targets_)));
    columns.push_back(Column::Of("series", std::move(series_)));
    return Table(std::move(columns));
  }

  struct Label {
    int32_t code = 0;
    int64_t whole = 0;
  };
  using Labels = std::map<std::string, Label, std::less<>>;

  TextLines lines_;
  const std::vector<std::string>& names_;
  const int64_t max_bytes_;
  Answer answer_ = Answer::kNone;
  std::set<std::string, std::less<>> classes_;
  std::vector<std::vector<double>> dimensions_;
  Labels labels_;
  std::vector<const Labels::value_type*> label_of_;  // of each series
  std::vector<double> targets_;                      // of each step
  std::vector<int64_t> series_;                      // of each step
  int64_t count_ = 0;
};

}  // namespace

Table ReadTimeSeries(std::string_view text, const std::vector<std::string>& names,
                     int64_t max_bytes) {
  if (!IsValidUtf8(text)) throw Error("the file is not UTF-8");
  return Reader(text, names, max_bytes).Read();
}

bool IsTimeSeries(std::string_view head) {
  TextLines lines(head);
  for (std::string_view line; lines.Next(&line);) {
    if (line.empty() || line.front() == '#') continue;
    return Lower(line).starts_with("@problemname");
  }
  return false;
}

}  // namespace beamline::engine::data
