// Small transformers, and sequences of tokens for them.
#pragma once

#include <string>

#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine::testing {

// Appends a layer of that kind and name.
LayerSpec& AddLayer(NetworkSpec* spec, LayerKind kind, const std::string& name,
                    const std::vector<std::string>& inputs = {});

// Appends a pre-norm block that reads layer `from`: "<name>_norm1", "<name>_attention",
// "<name>_sum1", "<name>_norm2", "<name>_fc1" (GELU, `hidden` units), "<name>_fc2" and
// "<name>_sum2". `attention` says what kind of attention.
void AddBlock(NetworkSpec* spec, const std::string& name, const std::string& from, int64_t width,
              int64_t hidden, const LayerSpec& attention);

struct LanguageModel {
  int64_t vocabulary = 11;
  int64_t width = 8;
  int64_t heads = 2;
  int64_t hidden = 16;
  int64_t blocks = 2;
  bool rotary = false;
};
// Tokens, learned positions (or rotary ones), causal blocks, norm, a dense head; AdamW, next token.
NetworkSpec MakeLanguageModel(const LanguageModel& model);

// An encoder block over five padded tokens with sinusoidal positions; a decoder block over the 12
// features as three steps, with rotary positions, that looks at it; one number. Vocabulary 11.
NetworkSpec EncoderDecoder();

// An encoder block over the codes, 10 tokens, and a decoder that tells each token of a target, of
// 8, with label smoothing.
NetworkSpec TranslationModel();

// Rows in which each token follows from the one before it, but for some noise. With `padding` every
// third row ends early.
MemoryBatchSource TokenRows(int64_t rows, int64_t columns, int64_t vocabulary, uint64_t seed,
                            bool padding = false);

}  // namespace beamline::engine::testing
