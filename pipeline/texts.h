// Texts as tokens: what objective translate learns from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "beamline/v1/training_data.pb.h"
#include "engine/data/table.h"
#include "engine/data/transform.h"
#include "engine/learners/batch_source.h"
#include "pipeline/examples.h"
#include "pipeline/row_source.h"

namespace beamline::pipeline {

// A vocabulary with more tokens is refused.
inline constexpr size_t kMaxTextTokens = 100'000;
// The most tokens that a definition may let a text have.
inline constexpr int64_t kMaxTextSteps = 65536;

// The tokens of a text: its code points, or what white space (that of Unicode 15) separates. A byte
// that is not well-formed UTF-8 is a character by itself.
std::vector<std::string> TextTokens(std::string_view text, v1::Translation::Tokens tokens);
// The text that such tokens make: side by side, words with a space between them.
std::string JoinTokens(const std::vector<std::string>& tokens, v1::Translation::Tokens kind);
// "characters" or "words".
const char* TokensName(v1::Translation::Tokens tokens);

// Codes that a network sees of the source, and tells of the target: one more than its tokens, for
// its end. 0 where the definition leaves the numbers out.
struct TextSteps {
  int64_t source = 0;
  int64_t target = 0;
};
TextSteps TextStepsOf(const v1::TrainingData& data);

// Vocabularies of source and target, in this order, from the training rows; ascending in byte
// order. A code is a token's place from 1, and 0 that of any other; the target's first category is
// the empty text, which stands for its boundary (engine::kBoundaryCode).
// Fills in what data->translation leaves out, from the rows of all parts. Throws engine::Error,
// naming row and column, for a text that is missing, has no tokens, more tokens than allowed, or is
// not UTF-8; or if a vocabulary is too large.
engine::data::FittedTransforms FitTexts(const engine::data::Table& table,
                                        const SplitExamples& parts, v1::TrainingData* data);

// Rows of two columns of texts as codes: [source steps, target steps], negative behind the end of
// each text. Without the target's column (predictions) that part is negative. Thread-safe:
// immutable. Holds codes in memory if they are no larger than `memory_bytes`, else reads the texts
// batch by batch; the codes are the same.
class TextSource : public engine::BatchSource {
 public:
  // `data`: with nothing left out. Throws engine::Error as FitTexts does, for the rows of this
  // source.
  TextSource(const engine::data::FittedTransforms& fitted, const engine::data::Table& table,
             std::vector<int64_t> rows, const v1::TrainingData& data,
             const engine::BatchLayout& layout, const Truth& truth, int64_t memory_bytes);
  ~TextSource() override;

  int64_t rows() const override { return static_cast<int64_t>(rows_.size()); }
  const engine::BatchLayout& layout() const override { return layout_; }
  void Gather(std::span<const int64_t> rows, const engine::BatchView& out) const override;

 private:
  class Encoder;
  void Encode(int64_t row, int32_t* codes) const;

  engine::data::Table table_;
  std::vector<int64_t> rows_;
  engine::BatchLayout layout_;
  std::unique_ptr<const Encoder> source_, target_;  // `target_` is null without such a column
  std::vector<float> weights_;
  std::vector<int32_t> codes_;  // of all rows, or empty
};

}  // namespace beamline::pipeline
