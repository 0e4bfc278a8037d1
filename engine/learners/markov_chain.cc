#include "engine/learners/markov_chain.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/learners/classic_learner.h"

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
  void Check(const Tensors& tensors) const override;
  void Taken(bool weights_only) override;
  int64_t WorkingBytes() const override;
  Shape OutputShape(int64_t rows) const override {
    return Shape({rows, layout().code_columns - 1, spec_.vocabulary});
  }

 private:
  // A place in the rows whose code is predicted.
  struct Place {
    int64_t at;       // of its code
    int64_t start;    // of the codes that are known before it
    int64_t context;  // its number
    double weight;
  };
  struct Follower {
    int64_t key;
    double count;
  };

  static Definition Define(const MarkovSpec& spec, const LearnerData& data);
  void CheckCodes(const RowBlock& block) const;
  std::vector<int32_t> ReadCodes(std::vector<Place>* places);
  void Keep(const std::vector<int64_t>& contexts, const std::vector<Follower>& followers);
  // Numbers of the contexts before codes[at], from the empty one on, as far as they were seen;
  // whether all that are asked for were.
  bool FindContexts(const int32_t* codes, int64_t at, std::vector<int64_t>* found) const;
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
  std::vector<size_t> begins_;  // of the followers of each context, and their end
  std::vector<double> totals_;  // of their counts
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

std::vector<int32_t> MarkovChain::ReadCodes(std::vector<Place>* places) {
  const int64_t width = layout().code_columns;
  std::vector<int32_t> codes;
  RowReader(*training(), &pool()).ForEach([&](const RowBlock& block) {
    CheckWeights(block);
    CheckCodes(block);
    for (int64_t row = 0; row < block.rows; ++row) {
      const auto first = static_cast<int64_t>(codes.size());
      int64_t start = first;
      codes.insert(codes.end(), block.codes + row * width, block.codes + (row + 1) * width);
      for (int64_t at = first; at < first + width; ++at) {
        if (codes[static_cast<size_t>(at)] < 0) {
          start = at + 1;
        } else if (at > first && block.Weight(row) > 0) {
          places->push_back({at, start, 0, block.Weight(row)});
        }
      }
    }
  });
  return codes;
}

ClassicLearner::StepResult MarkovChain::Train(int64_t) {
  std::vector<Place> places;
  const std::vector<int32_t> codes = ReadCodes(&places);
  if (places.empty()) Fail("no training row has two known codes side by side, with a weight");
  const int64_t vocabulary = spec_.vocabulary;
  std::vector<int64_t> contexts;
  std::vector<Follower> followers;
  for (int64_t length = 0;; ++length) {
    const size_t first = followers.size();
    for (const Place& place : places) {
      followers.push_back(
          {place.context * vocabulary + codes[static_cast<size_t>(place.at)], place.weight});
    }
    // Those of one key are added in the order of the rows.
    std::stable_sort(followers.begin() + static_cast<int64_t>(first), followers.end(),
                     [](const Follower& a, const Follower& b) { return a.key < b.key; });
    size_t last = first;
    for (size_t i = first + 1; i < followers.size(); ++i) {
      if (followers[i].key == followers[last].key) {
        followers[last].count += followers[i].count;
      } else {
        followers[++last] = followers[i];
      }
    }
    followers.resize(std::min(followers.size(), last + 1));
    if (length == spec_.order) break;
    std::erase_if(places, [&](const Place& place) { return place.at - length <= place.start; });
    if (places.empty()) break;
    std::vector<int64_t> keys;
    for (Place& place : places) {
      place.context =
          place.context * vocabulary + codes[static_cast<size_t>(place.at - length - 1)];
      keys.push_back(place.context);
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    for (Place& place : places) {
      const auto rank = std::lower_bound(keys.begin(), keys.end(), place.context) - keys.begin();
      place.context = static_cast<int64_t>(contexts.size()) + rank + 1;
    }
    contexts.insert(contexts.end(), keys.begin(), keys.end());
  }
  Keep(contexts, followers);
  StepResult result;
  result.loss = Evaluate(*training()).loss;
  result.examples = training()->rows();
  return result;
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
  for (size_t context = contexts; context-- > 0;) {
    begins_[context] = std::min(begins_[context], begins_[context + 1]);
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

bool MarkovChain::FindContexts(const int32_t* codes, int64_t at,
                               std::vector<int64_t>* found) const {
  const std::span<const int64_t> contexts = contexts_->values<int64_t>();
  found->assign(1, 0);
  for (int64_t k = 1; k <= spec_.order && k <= at && codes[at - k] >= 0; ++k) {
    const int64_t key = found->back() * spec_.vocabulary + codes[at - k];
    const auto place = std::lower_bound(contexts.begin(), contexts.end(), key);
    if (place == contexts.end() || *place != key) return false;
    found->push_back(place - contexts.begin() + 1);
  }
  return true;
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

void MarkovChain::Infer(const RowBlock& block, const Inference& out) {
  const int64_t width = layout().code_columns;
  const int64_t vocabulary = spec_.vocabulary;
  CheckCodes(block);
  pool().ParallelFor(block.rows, [&](int64_t row) {
    const int32_t* codes = block.codes + row * width;
    std::vector<int64_t> contexts;
    std::vector<double> probabilities;
    for (int64_t at = 1; at < width; ++at) {
      const bool seen = FindContexts(codes, at, &contexts);
      Distribution(contexts, seen, &probabilities);
      const int64_t to = (row * (width - 1) + at - 1) * vocabulary;
      for (int64_t code = 0; code < vocabulary; ++code) {
        const auto p = static_cast<float>(probabilities[static_cast<size_t>(code)]);
        out.outputs[to + code] = math::Log(p);
        out.probabilities[to + code] = p;
      }
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
  // Codes, places and their keys; at most as many contexts and followers at each order.
  const int64_t codes = training()->rows() * layout().code_columns;
  return codes * (4 + static_cast<int64_t>(sizeof(Place)) + 8 + 28 * (spec_.order + 1));
}

}  // namespace

std::unique_ptr<Learner> MakeMarkovChain(const MarkovSpec& spec, const LearnerData& data) {
  return std::make_unique<MarkovChain>(spec, data);
}

}  // namespace beamline::engine
