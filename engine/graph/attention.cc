// Attention and what belongs to it.
#include "engine/core/error.h"
#include "engine/graph/graph.h"

namespace beamline::engine {

Value Graph::AppendAttention(const std::string& name, std::vector<Value> inputs, int64_t width,
                             int64_t keys, const AttentionOptions& options) {
  const Shape queries = shape(inputs[0]);
  if (options.heads < 1 || width < options.heads || width % options.heads != 0) {
    Fail("layer \"", name, "\" has ", options.heads, " heads for ", width,
         " units: make units a multiple of heads");
  }
  if (options.causal && queries.dim(1) != keys) {
    Fail("layer \"", name, "\" is causal but has ", queries.dim(1), " queries for ", keys,
         " keys: causal attention is for one sequence that looks at itself");
  }
  Attributes attributes;
  attributes.heads = options.heads;
  attributes.causal = options.causal;
  const Value lengths = inputs.back();
  attributes.has_lengths = lengths.valid();
  if (!lengths.valid()) {
    inputs.pop_back();
  } else if (info(lengths).dtype != DType::kInt32 || shape(lengths) != Shape({queries.dim(0)})) {
    Fail("layer \"", name, "\" needs integer lengths of shape [", queries.dim(0), "], not ",
         engine::Name(info(lengths).dtype), " ", shape(lengths));
  }
  return Append(OpKind::kAttention, name, std::move(inputs),
                {Shape({queries.dim(0), queries.dim(1), width}),
                 Shape({queries.dim(0), options.heads, queries.dim(1)})},
                attributes)
      .outputs[0];
}

Value Graph::Attention(const std::string& name, Value qkv, Value lengths,
                       const AttentionOptions& options) {
  const Shape& packed = shape(qkv);
  if (info(qkv).dtype != real_ || packed.rank() != 3 || packed.dim(2) % 3 != 0) {
    Fail("layer \"", name, "\" takes queries, keys and values [batch, steps, 3 units], not ",
         packed, ": put a reshape to [steps, features] before it");
  }
  return AppendAttention(name, {qkv, lengths}, packed.dim(2) / 3, packed.dim(1), options);
}

Value Graph::CrossAttention(const std::string& name, Value q, Value kv, Value lengths,
                            const AttentionOptions& options) {
  const Shape& queries = shape(q);
  const Shape& packed = shape(kv);
  const bool numbers = info(q).dtype == real_ && info(kv).dtype == real_;
  if (!numbers || queries.rank() != 3 || packed.rank() != 3 || queries.dim(0) != packed.dim(0) ||
      packed.dim(2) != 2 * queries.dim(2)) {
    Fail("layer \"", name, "\" takes queries [batch, steps, units] and keys and values [batch, ",
         "other steps, 2 units], not ", queries, " and ", packed,
         ": make both inputs sequences [steps, features]");
  }
  return AppendAttention(name, {q, kv, lengths}, queries.dim(2), packed.dim(1), options);
}

Value Graph::Rotary(const std::string& name, Value x, Value cos, Value sin, int64_t heads) {
  const Shape& from = shape(x);
  const Shape& table = shape(cos);
  if (info(x).dtype != real_ || from.rank() != 3) {
    Fail("layer \"", name, "\" turns sequences [batch, steps, features], not ", from,
         ": put a reshape to [steps, features] before it");
  }
  if (table.rank() != 2 || table.dim(0) != from.dim(1) || shape(sin) != table || heads < 1 ||
      2 * heads * table.dim(1) > from.dim(2)) {
    Fail("layer \"", name, "\" turns ", heads, " heads of [batch, steps, features] ", from,
         ", but its tables of cos and sin are ", table, " and ", shape(sin));
  }
  Attributes attributes;
  attributes.heads = heads;
  return Append(OpKind::kRotary, name, {x, cos, sin}, {Shape(from)}, attributes).outputs[0];
}

Value Graph::Lengths(const std::string& name, Value codes) {
  if (info(codes).dtype != DType::kInt32 || shape(codes).rank() != 2) {
    Fail("layer \"", name, "\" takes codes [batch, steps], not ", engine::Name(info(codes).dtype),
         " ", shape(codes));
  }
  const Value lengths =
      Append(OpKind::kLengths, name, {codes}, {Shape({shape(codes).dim(0)})}).outputs[0];
  values_[Check(lengths)].dtype = DType::kInt32;
  return lengths;
}

}  // namespace beamline::engine
