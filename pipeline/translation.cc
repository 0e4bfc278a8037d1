#include "pipeline/translation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "engine/core/error.h"
#include "engine/nn/network_spec.h"
#include "pipeline/texts.h"

namespace beamline::pipeline {
namespace {

constexpr int64_t kNumbersAtOnce = int64_t{1} << 24;

// The most probable code that can be written.
int32_t Likeliest(std::span<const float> probabilities) {
  const auto best = std::max_element(probabilities.begin() + 1, probabilities.end());
  return static_cast<int32_t>(best - probabilities.begin());
}

// Rows whose targets grow.
class Growing : public engine::BatchSource {
 public:
  explicit Growing(const engine::BatchSource& source)
      : layout_(source.layout()), rows_(source.rows()) {
    codes_.resize(static_cast<size_t>(rows_ * layout_.code_columns));
    std::vector<int64_t> all(static_cast<size_t>(rows_));
    std::iota(all.begin(), all.end(), 0);
    source.Gather(all, {.codes = codes_.data()});
    for (int64_t row = 0; row < rows_; ++row) {
      std::fill_n(Target(row), layout_.target_codes, -1);
    }
  }

  int64_t rows() const override { return rows_; }
  const engine::BatchLayout& layout() const override { return layout_; }
  void Gather(std::span<const int64_t> rows, const engine::BatchView& out) const override {
    int32_t* to = out.codes;
    for (const int64_t row : rows) {
      if (to == nullptr) return;
      to = std::copy_n(codes_.begin() + row * layout_.code_columns, layout_.code_columns, to);
    }
  }
  int32_t* Target(int64_t row) {
    return codes_.data() + (row + 1) * layout_.code_columns - layout_.target_codes;
  }

 private:
  const engine::BatchLayout layout_;
  const int64_t rows_;
  std::vector<int32_t> codes_;
};

// Calls use(row, probabilities [target codes, vocabulary]) for each of `rows`, some at a time.
template <typename Use>
void ForEachRow(engine::Learner& learner, const engine::BatchSource& source,
                std::span<const int64_t> rows, const Use& use) {
  size_t at_once = 1;  // The first row says how many numbers one makes.
  for (size_t first = 0; first < rows.size();) {
    const auto some = rows.subspan(first, std::min(at_once, rows.size() - first));
    const engine::Predictions predictions = learner.Predict(source, some);
    const std::span<const float> p = predictions.probabilities.values<float>();
    const size_t each = p.size() / some.size();
    for (size_t i = 0; i < some.size(); ++i) use(some[i], p.subspan(i * each, each));
    first += some.size();
    at_once =
        static_cast<size_t>(std::max<int64_t>(1, kNumbersAtOnce / static_cast<int64_t>(each)));
  }
}

}  // namespace

std::vector<TokenSums> SumTranslated(engine::Learner& learner, const engine::BatchSource& source) {
  const engine::BatchLayout& layout = source.layout();
  const auto told = static_cast<size_t>(layout.target_codes);
  std::vector<TokenSums> sums(static_cast<size_t>(source.rows()));
  std::vector<int64_t> rows(sums.size());
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<int32_t> codes(static_cast<size_t>(layout.code_columns));
  ForEachRow(learner, source, rows, [&](int64_t row, std::span<const float> p) {
    source.Gather({&row, 1}, {.codes = codes.data()});
    const std::span<const int32_t> target = std::span(codes).last(told);
    const size_t vocabulary = p.size() / told;
    TokenSums& sum = sums[static_cast<size_t>(row)];
    sum.whole = 1;
    for (size_t step = 0; step < told && target[step] >= 0; ++step) {
      const auto at = p.subspan(step * vocabulary, vocabulary);
      const auto likelihood = static_cast<double>(at[static_cast<size_t>(target[step])]);
      const bool right = Likeliest(at) == target[step];
      sum.log_loss -= std::log(std::max(likelihood, 1e-30));
      sum.right += right ? 1 : 0;
      sum.tokens += 1;
      // Behind as many tokens as there may be nothing but the end is written.
      if (!right && step + 1 < told) sum.whole = 0;
    }
  });
  return sums;
}

std::vector<Written> WriteTargets(engine::Learner& learner, const engine::BatchSource& source) {
  Growing growing(source);
  const auto told = static_cast<size_t>(growing.layout().target_codes);
  std::vector<Written> written(static_cast<size_t>(source.rows()));
  std::vector<int64_t> open(written.size());
  std::iota(open.begin(), open.end(), 0);
  for (size_t step = 0; step + 1 < told && !open.empty(); ++step) {
    std::vector<int64_t> still_open;
    ForEachRow(learner, growing, open, [&](int64_t row, std::span<const float> p) {
      const size_t vocabulary = p.size() / told;
      const auto at = p.subspan(step * vocabulary, vocabulary);
      const int32_t next = Likeliest(at);
      Written& out = written[static_cast<size_t>(row)];
      out.probability *= static_cast<double>(at[static_cast<size_t>(next)]);
      if (next == engine::kBoundaryCode) return;
      out.codes.push_back(next);
      growing.Target(row)[step] = next;
      still_open.push_back(row);
    });
    open = std::move(still_open);
  }
  return written;
}

std::vector<v1::Prediction> Translate(engine::Learner& learner, const engine::BatchSource& source,
                                      const engine::data::FittedTransforms& fitted,
                                      v1::Translation::Tokens tokens) {
  const std::vector<std::string>& categories = fitted.columns.at(1).categories;
  std::vector<v1::Prediction> predictions;
  for (const Written& written : WriteTargets(learner, source)) {
    v1::Prediction& prediction = predictions.emplace_back();
    std::vector<std::string> texts;
    for (const int32_t code : written.codes) {
      if (static_cast<size_t>(code) > categories.size()) {
        engine::Fail("the model tells more tokens apart than its card names");
      }
      texts.push_back(categories[static_cast<size_t>(code) - 1]);
      prediction.add_tokens(texts.back());
    }
    prediction.set_label(JoinTokens(texts, tokens));
    prediction.add_probabilities(written.probability);
  }
  return predictions;
}

}  // namespace beamline::pipeline
