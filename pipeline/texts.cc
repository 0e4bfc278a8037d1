#include "pipeline/texts.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_join.h"
#include "engine/core/error.h"
#include "engine/nn/network_spec.h"
#include "pipeline/schema.h"
#include "pipeline/utf8.h"

namespace beamline::pipeline {
namespace {

using engine::Fail;
using engine::data::Column;
using engine::data::FittedColumn;
using engine::data::RowName;
using Tokens = v1::Translation::Tokens;

// Property White_Space of Unicode 15, of one character in UTF-8.
bool IsWhiteSpace(const std::string& character) {
  static const std::set<std::string, std::less<>> kSpaces = {
      "\t",           "\n",           "\v",
      "\f",           "\r",           " ",
      "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80",
      "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
      "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85",
      "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
      "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
      "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F",
      "\xE3\x80\x80"};
  return kSpaces.contains(character);
}

// One of the two columns of texts.
struct Side {
  const Column& column;
  Tokens kind;
  const char* field;  // what limits it: "max_source"
};

std::string Place(const Side& side, int64_t row) {
  return engine::Concat(RowName(row), ", column \"", side.column.name(), "\": ");
}

std::vector<std::string> Read(const Side& side, int64_t row) {
  const std::string text = side.column.Text(row);
  if (const size_t at = FirstInvalidUtf8(text); at != std::string::npos) {
    Fail(Place(side, row), "the text is not UTF-8 (byte ", at + 1, "): convert the file");
  }
  std::vector<std::string> tokens = TextTokens(text, side.kind);
  if (!tokens.empty()) return tokens;
  Fail(Place(side, row), text.empty() ? "the text is missing" : "the text has no words",
       ": remove the row");
}

// Each row's tokens, of all parts.
template <typename Use>
void ForEachText(const Side& side, const SplitExamples& parts, const Use& use) {
  for (const Examples* part : {&parts.train, &parts.validation, &parts.test}) {
    for (const int64_t row : part->heads) use(row, Read(side, row));
  }
}

// The tokens of the longest text; throws if that are more than `most`, if there is such a limit.
int64_t Longest(const Side& side, const SplitExamples& parts, int64_t most) {
  int64_t longest = 0;
  ForEachText(side, parts, [&](int64_t row, const std::vector<std::string>& tokens) {
    const auto count = static_cast<int64_t>(tokens.size());
    longest = std::max(longest, count);
    const int64_t allowed = most > 0 ? most : kMaxTextSteps;
    if (count <= allowed) return;
    Fail(Place(side, row), "the text has ", count, " ", TokensName(side.kind), ", but ",
         count > kMaxTextSteps
             ? engine::Concat("at most ", kMaxTextSteps, " are read: shorten the text")
             : engine::Concat(side.field, " is ", most, ": set it to ", count,
                              ", leave it out, or shorten the text"));
  });
  return most > 0 ? most : longest;
}

FittedColumn FitVocabulary(const Side& side, const std::vector<int64_t>& rows) {
  std::set<std::string> tokens;
  for (const int64_t row : rows) {
    for (std::string& token : Read(side, row)) tokens.insert(std::move(token));
    if (tokens.size() <= kMaxTextTokens) continue;
    Fail("column \"", side.column.name(), "\" has more than ", kMaxTextTokens,
         " different tokens: use tokens: characters, or fewer rows");
  }
  FittedColumn fitted;
  fitted.column = side.column.name();
  fitted.output = FittedColumn::Output::kCode;
  fitted.categories.assign(tokens.begin(), tokens.end());
  return fitted;
}

}  // namespace

std::vector<std::string> TextTokens(std::string_view text, Tokens tokens) {
  std::vector<std::string> characters = Characters(text);
  if (tokens != v1::Translation::TOKENS_WORDS) return characters;
  std::vector<std::string> words;
  bool inside = false;
  for (const std::string& character : characters) {
    const bool space = IsWhiteSpace(character);
    if (!space && !inside) words.emplace_back();
    if (!space) words.back() += character;
    inside = !space;
  }
  return words;
}

std::string JoinTokens(const std::vector<std::string>& tokens, Tokens kind) {
  return absl::StrJoin(tokens, kind == v1::Translation::TOKENS_WORDS ? " " : "");
}

const char* TokensName(Tokens tokens) {
  return tokens == v1::Translation::TOKENS_WORDS ? "words" : "characters";
}

TextSteps TextStepsOf(const v1::TrainingData& data) {
  if (!Translates(data)) return {};
  const v1::Translation& translation = data.translation();
  return {translation.max_source(),
          translation.max_target() > 0 ? translation.max_target() + 1 : 0};
}

engine::data::FittedTransforms FitTexts(const engine::data::Table& table,
                                        const SplitExamples& parts, v1::TrainingData* data) {
  v1::Translation& translation = *data->mutable_translation();
  const Side source{table.Get(data->features(0)), translation.tokens(), "max_source"};
  const Side target{table.Get(data->target()), translation.tokens(), "max_target"};
  translation.set_max_source(Longest(source, parts, translation.max_source()));
  translation.set_max_target(Longest(target, parts, translation.max_target()));
  engine::data::FittedTransforms fitted;
  fitted.columns.push_back(FitVocabulary(source, parts.training_rows));
  fitted.columns.push_back(FitVocabulary(target, parts.training_rows));
  std::vector<std::string>& tokens = fitted.columns[1].categories;
  tokens.insert(tokens.begin(), "");  // Where engine::kBoundaryCode finds it.
  return fitted;
}

// Texts of one column as codes.
class TextSource::Encoder {
 public:
  Encoder(const Column& column, const FittedColumn& fitted, Tokens kind, const char* field,
          int64_t steps, bool closed)
      : column_(column), kind_(kind), field_(field), steps_(steps), closed_(closed) {
    for (size_t i = 0; i < fitted.categories.size(); ++i) {
      codes_.emplace(fitted.categories[i], static_cast<int32_t>(i) + 1);
    }
  }

  // Writes as many codes as there are steps.
  void Encode(int64_t row, int32_t* out) const {
    const Side side{column_, kind_, field_};
    const std::vector<std::string> tokens = Read(side, row);
    const auto count = static_cast<int64_t>(tokens.size());
    const int64_t most = steps_ - (closed_ ? 1 : 0);
    if (count > most) {
      Fail(Place(side, row), "the text has ", count, " ", TokensName(kind_), ", but the model ",
           closed_ ? "writes" : "reads", " at most ", most, ": shorten it, or train with a larger ",
           field_);
    }
    std::fill_n(out, steps_, -1);
    for (int64_t i = 0; i < count; ++i) {
      const auto found = codes_.find(tokens[static_cast<size_t>(i)]);
      out[i] = found == codes_.end() ? 0 : found->second;
    }
    if (closed_) out[count] = engine::kBoundaryCode;
  }

 private:
  const Column column_;
  const Tokens kind_;
  const char* const field_;
  const int64_t steps_;
  const bool closed_;  // by kBoundaryCode
  std::unordered_map<std::string, int32_t> codes_;
};

TextSource::TextSource(const engine::data::FittedTransforms& fitted,
                       const engine::data::Table& table, std::vector<int64_t> rows,
                       const v1::TrainingData& data, const engine::BatchLayout& layout,
                       const Truth& truth, int64_t memory_bytes)
    : table_(table), rows_(std::move(rows)), layout_(layout) {
  if (fitted.columns.size() != 2 || data.features_size() != 1) {
    Fail("a translation has the vocabularies of two texts, but there are ", fitted.columns.size());
  }
  const Tokens kind = data.translation().tokens();
  const int64_t told = layout_.target_codes;
  source_ = std::make_unique<Encoder>(table_.Get(data.features(0)), fitted.columns[0], kind,
                                      "max_source", layout_.code_columns - told, false);
  if (const Column* target = table_.Find(data.target())) {
    target_ = std::make_unique<Encoder>(*target, fitted.columns[1], kind, "max_target", told, true);
  }
  if (layout_.has_weights) {
    weights_ = truth.weights;
    if (weights_.empty()) weights_.assign(rows_.size(), 1.0F);
  }
  const auto size = static_cast<int64_t>(rows_.size()) * layout_.code_columns;
  if (size * static_cast<int64_t>(sizeof(int32_t)) > memory_bytes) return;
  codes_.resize(static_cast<size_t>(size));
  for (size_t i = 0; i < rows_.size(); ++i) {
    Encode(rows_[i], codes_.data() + static_cast<int64_t>(i) * layout_.code_columns);
  }
}

TextSource::~TextSource() = default;

void TextSource::Encode(int64_t row, int32_t* codes) const {
  source_->Encode(row, codes);
  int32_t* const target = codes + layout_.code_columns - layout_.target_codes;
  if (target_ == nullptr) {
    std::fill_n(target, layout_.target_codes, -1);
  } else {
    target_->Encode(row, target);
  }
}

void TextSource::Gather(std::span<const int64_t> rows, const engine::BatchView& out) const {
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows[i]);
    if (out.weights != nullptr && !weights_.empty()) out.weights[i] = weights_[row];
    if (out.codes == nullptr) continue;
    int32_t* const to = out.codes + static_cast<int64_t>(i) * layout_.code_columns;
    if (codes_.empty()) {
      Encode(rows_[row], to);
    } else {
      std::copy_n(codes_.begin() + rows[i] * layout_.code_columns, layout_.code_columns, to);
    }
  }
}

}  // namespace beamline::pipeline
