#include "pipeline/tokens.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/core/philox.h"
#include "engine/learners/masking.h"
#include "engine/learners/word_neighbours.h"
#include "engine/nn/network.h"
#include "pipeline/metric_names.h"

namespace beamline::pipeline {
namespace {

// Of the seed: what is drawn for each token.
constexpr uint64_t kDrawStream = 0x746F6B656E73;
constexpr int64_t kNumbersAtOnce = int64_t{1} << 24;
// Below it the most probable token is taken.
constexpr double kColdest = 1e-3;

// The code that u in [0, 1) stands for, over probabilities to the power of 1 / temperature.
int32_t Draw(std::span<const float> probabilities, double temperature, double u) {
  const auto likeliest = std::max_element(probabilities.begin() + 1, probabilities.end());
  if (temperature < kColdest) return static_cast<int32_t>(likeliest - probabilities.begin());
  // Relative to the largest, so that small temperatures do not underflow.
  // The engine's functions give the same bits on every machine.
  std::vector<double> heights(probabilities.size());
  double sum = 0;
  for (size_t k = 1; k < probabilities.size(); ++k) {
    const float ratio = probabilities[k] / *likeliest;
    const float power = 1.0F / static_cast<float>(temperature);
    heights[k] =
        ratio > 0 ? static_cast<double>(engine::math::Exp(power * engine::math::Log(ratio))) : 0;
    sum += heights[k];
  }
  double left = u * sum;
  for (size_t k = 1; k < probabilities.size(); ++k) {
    if (left < heights[k]) return static_cast<int32_t>(k);
    left -= heights[k];
  }
  return static_cast<int32_t>(likeliest - probabilities.begin());
}

// The last `steps` codes of each row, padded behind: windows as the learner takes them.
class Tails : public engine::BatchSource {
 public:
  Tails(const engine::BatchLayout& layout, const std::vector<std::vector<int32_t>>& rows)
      : layout_(layout), rows_(rows) {}

  int64_t rows() const override { return static_cast<int64_t>(rows_.size()); }
  const engine::BatchLayout& layout() const override { return layout_; }
  void Gather(std::span<const int64_t> rows, const engine::BatchView& out) const override {
    if (out.codes == nullptr) return;
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::vector<int32_t>& codes = rows_[static_cast<size_t>(rows[i])];
      int32_t* const to = out.codes + static_cast<int64_t>(i) * layout_.code_columns;
      std::fill_n(to, layout_.code_columns, -1);
      const int64_t seen = Seen(codes.size());
      std::copy(codes.end() - seen, codes.end(), to);
    }
  }
  // Codes of a row that the network sees. A window has one code more: the one to be predicted.
  int64_t Seen(size_t codes) const {
    return std::min<int64_t>(static_cast<int64_t>(codes), layout_.code_columns - 1);
  }

 private:
  const engine::BatchLayout& layout_;
  const std::vector<std::vector<int32_t>>& rows_;
};

void AddToken(std::span<const float> probabilities, int32_t token, TokenSums* sums) {
  const auto likelihood = static_cast<double>(probabilities[static_cast<size_t>(token)]);
  sums->log_loss -= std::log(std::max(likelihood, 1e-30));
  const auto best = std::max_element(probabilities.begin(), probabilities.end());
  if (best - probabilities.begin() == token) sums->right += 1;
  sums->tokens += 1;
}

// Rows of another source, with what is hidden of them where a model is measured.
class Hidden : public engine::BatchSource {
 public:
  Hidden(const engine::BatchSource& whole, engine::TokenMask mask) : whole_(whole), mask_(mask) {}

  int64_t rows() const override { return whole_.rows(); }
  const engine::BatchLayout& layout() const override { return whole_.layout(); }
  void Gather(std::span<const int64_t> rows, const engine::BatchView& out) const override {
    whole_.Gather(rows, out);
    int32_t* code = out.codes;
    for (const int64_t row : rows) {
      if (code == nullptr) return;
      for (int64_t c = 0; c < layout().code_columns; ++c) mask_.Hide(row, c, code++);
    }
  }

 private:
  const engine::BatchSource& whole_;
  const engine::TokenMask mask_;
};

// Calls use(row, probabilities, codes) for each row of `source`, of which the network sees
// what `shown` gives; some at a time.
template <typename Use>
void ForEachWindow(engine::Learner& learner, const engine::BatchSource& source,
                   const engine::BatchSource& shown, const Use& use) {
  const auto width = static_cast<size_t>(source.layout().code_columns);
  std::vector<int64_t> rows;
  std::vector<int32_t> codes;
  int64_t at_once = 1;  // The first window says how many numbers one makes.
  for (int64_t first = 0; first < source.rows(); first += static_cast<int64_t>(rows.size())) {
    rows.resize(static_cast<size_t>(std::min(at_once, source.rows() - first)));
    std::iota(rows.begin(), rows.end(), first);
    codes.resize(rows.size() * width);
    source.Gather(rows, {.codes = codes.data()});
    const engine::Predictions predictions = learner.Predict(shown, rows);
    const std::span<const float> p = predictions.probabilities.values<float>();
    const size_t each = p.size() / rows.size();
    for (size_t i = 0; i < rows.size(); ++i) {
      use(rows[i], p.subspan(i * each, each), std::span(codes).subspan(i * width, width));
    }
    at_once = std::max<int64_t>(1, kNumbersAtOnce / static_cast<int64_t>(each));
  }
}

}  // namespace

std::vector<TokenSums> SumTokens(engine::Learner& learner, const engine::BatchSource& source) {
  std::vector<TokenSums> windows(static_cast<size_t>(source.rows()));
  ForEachWindow(learner, source, source,
                [&](int64_t row, std::span<const float> p, std::span<const int32_t> codes) {
                  const size_t vocabulary = p.size() / (codes.size() - 1);
                  for (size_t step = 0; step + 1 < codes.size(); ++step) {
                    if (codes[step + 1] < 0) continue;
                    AddToken(p.subspan(step * vocabulary, vocabulary), codes[step + 1],
                             &windows[static_cast<size_t>(row)]);
                  }
                });
  return windows;
}

std::vector<TokenSums> SumHidden(engine::Learner& learner, const engine::BatchSource& source,
                                 const engine::NetworkSpec& spec) {
  const engine::TokenMask mask(spec.masking, engine::Vocabulary(spec), spec.seed,
                               engine::kMeasured);
  std::vector<TokenSums> rows(static_cast<size_t>(source.rows()));
  ForEachWindow(learner, source, Hidden(source, mask),
                [&](int64_t row, std::span<const float> p, std::span<const int32_t> codes) {
                  const size_t vocabulary = p.size() / codes.size();
                  for (size_t step = 0; step < codes.size(); ++step) {
                    int32_t seen = codes[step];
                    if (!mask.Hide(row, static_cast<int64_t>(step), &seen)) continue;
                    AddToken(p.subspan(step * vocabulary, vocabulary), codes[step],
                             &rows[static_cast<size_t>(row)]);
                  }
                });
  return rows;
}

std::map<std::string, double> MeasureTokens(std::span<const TokenSums> windows,
                                            std::span<const float> weights,
                                            const std::vector<std::string>& names) {
  TokenSums all;
  double rows = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    const double weight = weights.empty() ? 1 : static_cast<double>(weights[i]);
    all.tokens += weight * windows[i].tokens;
    all.log_loss += weight * windows[i].log_loss;
    all.right += weight * windows[i].right;
    all.whole += weight * windows[i].whole;
    rows += weight;
  }
  const double log_loss = all.log_loss / all.tokens;
  const std::map<std::string, double> figures = {{"log_loss", log_loss},
                                                 {"perplexity", std::exp(log_loss)},
                                                 {"accuracy", all.right / all.tokens},
                                                 {"exact_match", all.whole / rows}};
  std::map<std::string, double> values;
  for (const std::string& name : names) {
    const auto found = figures.find(name);
    if (found != figures.end() && std::isfinite(found->second)) values.insert(*found);
  }
  return values;
}

std::vector<NextToken> ContinueRows(engine::Learner& learner, const engine::BatchLayout& layout,
                                    std::vector<std::vector<int32_t>> rows,
                                    const Drawing& drawing) {
  const Tails source(layout, rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].empty()) engine::Fail("row ", i + 1, ": is empty: give at least one token");
  }
  std::vector<NextToken> out(rows.size());
  for (int64_t token = 0; token <= drawing.tokens; ++token) {
    const engine::Predictions predictions = learner.Predict(source);
    const std::span<const float> p = predictions.probabilities.values<float>();
    const size_t each = p.size() / rows.size();
    const size_t vocabulary = each / static_cast<size_t>(layout.code_columns - 1);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto last = static_cast<size_t>(source.Seen(rows[i].size()) - 1);
      const auto next = p.subspan(i * each + last * vocabulary, vocabulary);
      if (token == 0) out[i].probabilities.assign(next.begin(), next.end());
      if (token == drawing.tokens) continue;
      const engine::Philox random(drawing.seed, kDrawStream + i);
      const double u = static_cast<double>(random.Uniform(static_cast<uint64_t>(token)));
      out[i].written.push_back(Draw(next, drawing.temperature, u));
      rows[i].push_back(out[i].written.back());
    }
  }
  return out;
}

engine::MemoryBatchSource PaddedRows(const engine::BatchLayout& layout,
                                     const std::vector<std::vector<int32_t>>& rows) {
  engine::MemoryBatch batch;
  batch.rows = static_cast<int64_t>(rows.size());
  batch.layout = layout;
  for (const std::vector<int32_t>& codes : rows) {
    batch.codes.insert(batch.codes.end(), codes.begin(), codes.end());
    batch.codes.resize(batch.codes.size() + static_cast<size_t>(layout.code_columns) - codes.size(),
                       -1);
  }
  return engine::MemoryBatchSource(std::move(batch));
}

std::vector<TokenPlace> PlaceRows(engine::Learner& learner, const engine::BatchLayout& layout,
                                  const std::vector<engine::NamedTensor>& tensors,
                                  const std::vector<std::vector<int32_t>>& rows, int64_t tokens) {
  const auto vectors = std::find_if(tensors.begin(), tensors.end(),
                                    [](const auto& tensor) { return tensor.name == "vectors"; });
  if (vectors == tensors.end()) engine::Fail("the model has no vectors to compare with");
  const auto at_once =
      static_cast<size_t>(std::max<int64_t>(kNumbersAtOnce / layout.code_columns, 1));
  std::vector<TokenPlace> places(rows.size());
  for (size_t first = 0; first < rows.size(); first += at_once) {
    const auto begin = rows.begin() + static_cast<ptrdiff_t>(first);
    const std::vector<std::vector<int32_t>> some(
        begin, begin + static_cast<ptrdiff_t>(std::min(at_once, rows.size() - first)));
    const engine::Predictions said = learner.Predict(PaddedRows(layout, some));
    const std::span<const float> all = said.probabilities.values<float>();
    const auto width = static_cast<size_t>(said.probabilities.shape().Columns());
    for (size_t i = 0; i < some.size(); ++i) {
      const auto point = all.subspan(i * width, width);
      if (std::all_of(point.begin(), point.end(), [](float x) { return x == 0; })) {
        engine::Fail("row ", first + i + 1, ": the model knows none of its tokens");
      }
      places[first + i].embedding.assign(point.begin(), point.end());
    }
    if (tokens == 0) continue;
    auto nearest = engine::NearestCodes(vectors->tensor, said.probabilities, some, tokens);
    for (size_t i = 0; i < some.size(); ++i) places[first + i].nearest = std::move(nearest[i]);
  }
  return places;
}

}  // namespace beamline::pipeline
