#include "engine/learners/markov_chain.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/learners/classic_learner.h"
#include "engine/learners/markov_counts.h"

namespace beamline::engine {
namespace {

class MarkovChain : public ClassicLearner {
 public:
  MarkovChain(const MarkovSpec& spec, const LearnerData& data)
      : ClassicLearner(Define(spec, data), data), spec_(spec) {
    contexts_ = &AddWeight("contexts", {-1}, DType::kInt64);
    followers_ = &AddWeight("followers", {-1}, DType::kInt64);
    counts_ = &AddWeight("counts", {-1});
    Taken(false);
  }
  Evaluation Evaluate(const BatchSource& source) override;

 protected:
  StepResult Train(int64_t step) override;
  void Infer(const RowBlock& block, const Inference& out) override;
  bool FillsProbabilities() const override { return true; }
  bool FillsOutputs() const override { return false; }
  void Check(const Tensors& tensors) const override;
  void Taken(bool weights_only) override;
  int64_t WorkingBytes() const override;
  Shape OutputShape(int64_t rows) const override {
    return Shape({rows, layout().code_columns - 1, spec_.vocabulary});
  }

 private:
  using Follower = MarkovCounts::Follower;

  static Definition Define(const MarkovSpec& spec, const LearnerData& data);
  void CheckCodes(const RowBlock& block) const;
  void Keep(const std::vector<int64_t>& contexts, const std::vector<Follower>& followers);
  double LossOf(const std::vector<Follower>& followers) const;
  // Numbers of the contexts before codes[at], from the empty one on, as far as they were seen;
  // whether all that are asked for were.
  bool FindContexts(const int32_t* codes, int64_t at, std::vector<int64_t>* found) const;
  // The longest of them alone.
  bool FindContext(const int32_t* codes, int64_t at, int64_t* found) const;
  // A context and those within it, from the empty one on.
  void PathOf(int64_t context, std::vector<int64_t>* path) const;
  double Probability(const std::vector<int64_t>& contexts, bool seen, int64_t code) const;
  void Distribution(const std::vector<int64_t>& contexts, bool seen,
                    std::vector<double>* probabilities) const;
  std::span<const int64_t> FollowersOf(int64_t context) const {
    const auto begin = begins_[static_cast<size_t>(context)];
    const auto end = begins_[static_cast<size_t>(context) + 1];
    return followers_->values<int64_t>().subspan(begin, end - begin);
  }

  const MarkovSpec spec_;
  Tensor* contexts_;
  Tensor* followers_;
  Tensor* counts_;
  std::vector<size_t> begins_;    // of the followers of each context, and their end
  std::vector<size_t> children_;  // of the contexts that are one code longer, and their end
  std::vector<double> totals_;    // of their counts
};

ClassicLearner::Definition MarkovChain::Define(const MarkovSpec& spec, const LearnerData& data) {
  if (spec.vocabulary < 1 || spec.order < 1 || spec.order > 20 || !(spec.alpha > 0)) {
    Fail("markov_chain needs an order from 1 to 20, an alpha above 0 and a vocabulary");
  }
  if (data.layout.code_columns < 2) Fail("markov_chain needs rows of at least two codes");
  Definition definition;
  definition.name = "markov_chain";
  definition.text = Concat(std::hexfloat, spec.vocabulary, ' ', spec.order, ' ',
                           static_cast<int>(spec.smoothing), ' ', spec.alpha);
  definition.threads = spec.threads;
  definition.takes_codes = true;
  return definition;
}

void MarkovChain::CheckCodes(const RowBlock& block) const {
  for (int64_t i = 0; i < block.rows * layout().code_columns; ++i) {
    if (block.codes[i] < spec_.vocabulary) continue;
    Fail("row ", block.index[static_cast<size_t>(i / layout().code_columns)], " has the code ",
         block.codes[i], ", but there are only ", spec_.vocabulary);
  }
}

ClassicLearner::StepResult MarkovChain::Train(int64_t) {
  const MarkovCounts counts = CountCodes(
      *training(), spec_.vocabulary, spec_.order,
      [&](const RowBlock& block) {
        CheckWeights(block);
        CheckCodes(block);
      },
      &pool());
  if (counts.followers.empty()) {
    Fail("no training row has two known codes side by side, with a weight");
  }
  Keep(counts.contexts, counts.followers);
  StepResult result;
  result.loss = LossOf(counts.followers);
  result.examples = training()->rows();
  return result;
}

// Over the codes that were counted: each is judged by the longest context it has, so those that
// have a longer one are taken away from the shorter.
double MarkovChain::LossOf(const std::vector<Follower>& followers) const {
  const std::span<const int64_t> contexts = contexts_->values<int64_t>();
  std::vector<double> judged;
  for (const Follower& one : followers) judged.push_back(one.count);
  for (const Follower& one : followers) {
    const int64_t context = one.key / spec_.vocabulary;
    if (context == 0) continue;
    const int64_t within = contexts[static_cast<size_t>(context - 1)] / spec_.vocabulary;
    const int64_t key = within * spec_.vocabulary + one.key % spec_.vocabulary;
    const std::span<const int64_t> own = FollowersOf(within);
    const auto place = std::lower_bound(own.begin(), own.end(), key) - own.begin();
    judged[begins_[static_cast<size_t>(within)] + static_cast<size_t>(place)] -= one.count;
  }
  double sum = 0, weight = 0;
  std::vector<int64_t> path;
  for (size_t i = 0; i < followers.size(); ++i) {
    // What is left of a difference is rounding.
    if (!(judged[i] > 1e-9 * followers[i].count)) continue;
    PathOf(followers[i].key / spec_.vocabulary, &path);
    sum -= judged[i] * std::log(Probability(path, true, followers[i].key % spec_.vocabulary));
    weight += judged[i];
  }
  return sum / weight;
}

void MarkovChain::PathOf(int64_t context, std::vector<int64_t>* path) const {
  path->assign(1, context);
  while (path->back() > 0) {
    path->push_back(contexts_->values<int64_t>()[static_cast<size_t>(path->back() - 1)] /
                    spec_.vocabulary);
  }
  std::reverse(path->begin(), path->end());
}

void MarkovChain::Keep(const std::vector<int64_t>& contexts,
                       const std::vector<Follower>& followers) {
  *contexts_ = Tensor::From({static_cast<int64_t>(contexts.size())}, contexts);
  const Shape shape({static_cast<int64_t>(followers.size())});
  *followers_ = Tensor(shape, DType::kInt64);
  *counts_ = Tensor(shape, DType::kFloat32);
  for (size_t i = 0; i < followers.size(); ++i) {
    followers_->values<int64_t>()[i] = followers[i].key;
    counts_->values<float>()[i] = static_cast<float>(followers[i].count);
  }
  Taken(false);
}

void MarkovChain::Taken(bool) {
  const std::span<const int64_t> followers = followers_->values<int64_t>();
  const std::span<const float> counts = counts_->values<float>();
  const auto contexts = static_cast<size_t>(contexts_->NumElements()) + 1;
  begins_.assign(contexts + 1, followers.size());
  totals_.assign(contexts, 0);
  for (size_t i = followers.size(); i-- > 0;) {
    const auto context = static_cast<size_t>(followers[i] / spec_.vocabulary);
    begins_[context] = i;
    totals_[context] += static_cast<double>(counts[i]);
  }
  const std::span<const int64_t> longer = contexts_->values<int64_t>();
  children_.assign(contexts + 1, longer.size());
  for (size_t i = longer.size(); i-- > 0;) {
    children_[static_cast<size_t>(longer[i] / spec_.vocabulary)] = i;
  }
  for (size_t context = contexts; context-- > 0;) {
    begins_[context] = std::min(begins_[context], begins_[context + 1]);
    children_[context] = std::min(children_[context], children_[context + 1]);
  }
}

void MarkovChain::Check(const Tensors& tensors) const {
  const auto contexts = tensors.find("contexts")->second.values<int64_t>();
  const auto followers = tensors.find("followers")->second.values<int64_t>();
  const auto counts = tensors.find("counts")->second.values<float>();
  bool right = followers.size() == counts.size();
  for (size_t i = 0; right && i < contexts.size(); ++i) {
    right = contexts[i] >= 0 && contexts[i] / spec_.vocabulary <= static_cast<int64_t>(i) &&
            (i == 0 || contexts[i - 1] < contexts[i]);
  }
  for (size_t i = 0; right && i < followers.size(); ++i) {
    right = followers[i] >= 0 &&
            followers[i] / spec_.vocabulary <= static_cast<int64_t>(contexts.size()) &&
            (i == 0 || followers[i - 1] < followers[i]) && counts[i] > 0 &&
            std::isfinite(counts[i]);
  }
  if (!right) Fail("the counts of the Markov chain are damaged: take them from a training");
}

bool MarkovChain::FindContext(const int32_t* codes, int64_t at, int64_t* found) const {
  const std::span<const int64_t> contexts = contexts_->values<int64_t>();
  *found = 0;
  for (int64_t k = 1; k <= spec_.order && k <= at && codes[at - k] >= 0; ++k) {
    const int64_t key = *found * spec_.vocabulary + codes[at - k];
    const auto own = static_cast<size_t>(*found);
    const auto end = contexts.begin() + static_cast<int64_t>(children_[own + 1]);
    const auto place =
        std::lower_bound(contexts.begin() + static_cast<int64_t>(children_[own]), end, key);
    if (place == end || *place != key) return false;
    *found = place - contexts.begin() + 1;
  }
  return true;
}

bool MarkovChain::FindContexts(const int32_t* codes, int64_t at,
                               std::vector<int64_t>* found) const {
  int64_t longest = 0;
  const bool seen = FindContext(codes, at, &longest);
  PathOf(longest, found);
  return seen;
}

double MarkovChain::Probability(const std::vector<int64_t>& contexts, bool seen,
                                int64_t code) const {
  const auto vocabulary = static_cast<double>(spec_.vocabulary);
  const auto count = [&](int64_t context) {
    const std::span<const int64_t> followers = FollowersOf(context);
    const int64_t key = context * spec_.vocabulary + code;
    const auto place = std::lower_bound(followers.begin(), followers.end(), key);
    if (place == followers.end() || *place != key) return 0.0;
    const size_t at =
        begins_[static_cast<size_t>(context)] + static_cast<size_t>(place - followers.begin());
    return static_cast<double>(counts_->values<float>()[at]);
  };
  if (spec_.smoothing == MarkovSmoothing::kAdditive) {
    if (!seen) return 1 / vocabulary;
    return (count(contexts.back()) + spec_.alpha) /
           (totals_[static_cast<size_t>(contexts.back())] + spec_.alpha * vocabulary);
  }
  double p = 1 / vocabulary;
  for (const int64_t context : contexts) {
    const auto types = static_cast<double>(FollowersOf(context).size());
    if (types == 0) continue;
    p = (count(context) + types * p) / (totals_[static_cast<size_t>(context)] + types);
  }
  return p;
}

void MarkovChain::Distribution(const std::vector<int64_t>& contexts, bool seen,
                               std::vector<double>* probabilities) const {
  const auto vocabulary = static_cast<double>(spec_.vocabulary);
  probabilities->assign(static_cast<size_t>(spec_.vocabulary), 1 / vocabulary);
  const bool additive = spec_.smoothing == MarkovSmoothing::kAdditive;
  if (additive && !seen) return;
  for (size_t i = additive ? contexts.size() - 1 : 0; i < contexts.size(); ++i) {
    const std::span<const int64_t> followers = FollowersOf(contexts[i]);
    const auto begin = begins_[static_cast<size_t>(contexts[i])];
    const double extra =
        additive ? spec_.alpha * vocabulary : static_cast<double>(followers.size());
    const double total = totals_[static_cast<size_t>(contexts[i])] + extra;
    if (extra == 0) continue;
    for (double& p : *probabilities) p = extra * p / total;
    for (size_t k = 0; k < followers.size(); ++k) {
      (*probabilities)[static_cast<size_t>(followers[k] % spec_.vocabulary)] +=
          static_cast<double>(counts_->values<float>()[begin + k]) / total;
    }
  }
}

// Contexts come again and again: what is said of each is made once.
void MarkovChain::Infer(const RowBlock& block, const Inference& out) {
  const int64_t width = layout().code_columns;
  const auto vocabulary = static_cast<size_t>(spec_.vocabulary);
  CheckCodes(block);
  // A context, or with additive smoothing one that was never seen: the number behind all.
  const auto unseen = static_cast<int64_t>(totals_.size());
  const int64_t places = block.rows * (width - 1);
  std::vector<int64_t> contexts(static_cast<size_t>(places));
  pool().ParallelFor(block.rows, [&](int64_t row) {
    for (int64_t at = 1; at < width; ++at) {
      int64_t& context = contexts[static_cast<size_t>(row * (width - 1) + at - 1)];
      const bool seen = FindContext(block.codes + row * width, at, &context);
      if (!seen && spec_.smoothing == MarkovSmoothing::kAdditive) context = unseen;
    }
  });
  std::vector<int64_t> places_of(static_cast<size_t>(unseen) + 1, -1), different;
  for (const int64_t context : contexts) {
    int64_t& place = places_of[static_cast<size_t>(context)];
    if (place >= 0) continue;
    place = static_cast<int64_t>(different.size());
    different.push_back(context);
  }
  std::vector<float> p(different.size() * vocabulary);
  pool().ParallelFor(static_cast<int64_t>(different.size()), [&](int64_t i) {
    std::vector<int64_t> path;
    std::vector<double> probabilities;
    const int64_t context = different[static_cast<size_t>(i)];
    PathOf(context == unseen ? 0 : context, &path);
    Distribution(path, context != unseen, &probabilities);
    for (size_t code = 0; code < vocabulary; ++code) {
      p[static_cast<size_t>(i) * vocabulary + code] = static_cast<float>(probabilities[code]);
    }
  });
  pool().ParallelFor(block.rows, [&](int64_t row) {
    for (int64_t place = row * (width - 1); place < (row + 1) * (width - 1); ++place) {
      const auto from = static_cast<size_t>(
                            places_of[static_cast<size_t>(contexts[static_cast<size_t>(place)])]) *
                        vocabulary;
      const auto to = place * spec_.vocabulary;
      std::copy_n(p.data() + from, vocabulary, out.probabilities + to);
    }
  });
}

Evaluation MarkovChain::Evaluate(const BatchSource& source) {
  RequireLayout(source);
  const int64_t width = layout().code_columns;
  Evaluation evaluation;
  evaluation.rows = source.rows();
  double sum = 0;
  RowReader(source, &pool()).ForEach([&](const RowBlock& block) {
    CheckCodes(block);
    std::vector<double> losses(static_cast<size_t>(block.rows));
    std::vector<int64_t> judged(static_cast<size_t>(block.rows));
    pool().ParallelFor(block.rows, [&](int64_t row) {
      const int32_t* codes = block.codes + row * width;
      std::vector<int64_t> contexts;
      for (int64_t at = 1; at < width; ++at) {
        if (codes[at] < 0) continue;
        const bool seen = FindContexts(codes, at, &contexts);
        losses[static_cast<size_t>(row)] -= std::log(Probability(contexts, seen, codes[at]));
        ++judged[static_cast<size_t>(row)];
      }
    });
    for (int64_t row = 0; row < block.rows; ++row) {
      sum += block.Weight(row) * losses[static_cast<size_t>(row)];
      evaluation.weight_sum +=
          std::abs(block.Weight(row)) * static_cast<double>(judged[static_cast<size_t>(row)]);
    }
  });
  evaluation.loss = evaluation.weight_sum > 0 ? sum / evaluation.weight_sum : 0;
  evaluation.main_loss = evaluation.loss;
  return evaluation;
}

int64_t MarkovChain::WorkingBytes() const {
  if (training() == nullptr) return 0;
  // And the contexts and followers of each order.
  const int64_t codes = training()->rows() * layout().code_columns;
  return MarkovCountBytes(layout(), training()->rows()) + codes * 28 * (spec_.order + 1);
}

}  // namespace

std::unique_ptr<Learner> MakeMarkovChain(const MarkovSpec& spec, const LearnerData& data) {
  return std::make_unique<MarkovChain>(spec, data);
}

}  // namespace beamline::engine
