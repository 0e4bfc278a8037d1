// Models of tokens: how well they do, what they write, and which tokens are alike.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/learners/learner.h"
#include "engine/nn/network_spec.h"

namespace beamline::pipeline {

// Of one window or row: sums over its tokens.
struct TokenSums {
  double tokens = 0;
  double log_loss = 0;  // of -ln p, nats
  double right = 0;     // tokens that are the most probable ones
  double whole = 0;     // 1 if all are right; of translations only
};

// Of each window, all its tokens but the first, unknown ones left out. Goes through the windows
// some at a time: memory grows by three numbers a window.
std::vector<TokenSums> SumTokens(engine::Learner& learner, const engine::BatchSource& source);
// The same over the tokens that are hidden where a model is measured. `spec`: the learner's.
std::vector<TokenSums> SumHidden(engine::Learner& learner, const engine::BatchSource& source,
                                 const engine::NetworkSpec& spec);

// log_loss (mean, nats per token), perplexity (its exponential), accuracy, exact_match (share of
// windows that are whole). `weights`, of windows; empty: 1 each.
std::map<std::string, double> MeasureTokens(std::span<const TokenSums> windows,
                                            std::span<const float> weights,
                                            const std::vector<std::string>& names);

// How tokens are drawn.
struct Drawing {
  int64_t tokens = 0;  // behind each row
  double temperature = 1;
  uint64_t seed = 0;
};

// Probabilities of the token behind a row.
struct NextToken {
  std::vector<float> probabilities;  // by code
  std::vector<int32_t> written;      // `tokens` codes, none of them 0 (unknown)
};

// Of each row of codes, of which the network sees the last `steps`: the probabilities of the token
// behind it, and how it goes on. Each token is drawn from the probabilities to the power of
// 1 / temperature, unknown ones left out, by a number that depends on seed, row and place alone.
// `layout` is the learner's. Throws engine::Error for a row without codes.
std::vector<NextToken> ContinueRows(engine::Learner& learner, const engine::BatchLayout& layout,
                                    std::vector<std::vector<int32_t>> rows, const Drawing& drawing);

// Rows of codes as a learner takes them, -1 behind their end. None is longer than
// layout.code_columns.
engine::MemoryBatchSource PaddedRows(const engine::BatchLayout& layout,
                                     const std::vector<std::vector<int32_t>>& rows);

// Where a row of tokens lies, and the codes nearest to it.
struct TokenPlace {
  std::vector<float> embedding;
  std::vector<int32_t> nearest;
};

// Of each row of codes, by a learner that makes vectors of tokens, [codes, dimensions] with the
// name "vectors" among `tensors`: its place, and the `tokens` codes nearest to it beside its own.
// Throws engine::Error for a row of which no code is known.
std::vector<TokenPlace> PlaceRows(engine::Learner& learner, const engine::BatchLayout& layout,
                                  const std::vector<engine::NamedTensor>& tensors,
                                  const std::vector<std::vector<int32_t>>& rows, int64_t tokens);

}  // namespace beamline::pipeline
