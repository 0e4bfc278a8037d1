// Where queries, keys and values are in the operands of kAttention and kAttentionGrad; shared by
// all backends.
#pragma once

#include <cstdint>

#include "engine/backend/backend.h"
#include "engine/core/math.h"

namespace beamline::engine {

// Row i of head h of example b: queries at b * query_batch + i * query_stride + h * width of the
// first sequence operand; keys at key_offset + b * key_batch + j * key_stride + h * width of the
// last one, and values `units` further on. All in elements.
struct AttentionLayout {
  int64_t batch, heads, width, units;
  int64_t queries, keys;
  int64_t query_stride, query_batch;
  int64_t key_stride, key_batch, key_offset;
  int sequences;           // operands: 1 (packed) or 2
  const int32_t* lengths;  // null: none
  bool causal;
};

// Keys of example b that are no padding.
BEAMLINE_MATH int64_t KeysOf(const AttentionLayout& layout, int64_t b) {
  if (layout.lengths == nullptr) return layout.keys;
  const int64_t length = layout.lengths[b];
  return length < 0 ? 0 : math::Min(length, layout.keys);
}

// Of those, how many query i sees.
BEAMLINE_MATH int64_t SeenBy(const AttentionLayout& layout, int64_t i, int64_t keys) {
  return layout.causal ? math::Min(keys, i + 1) : keys;
}

// `first` is the place of the first sequence among the inputs: 0, or 1 in the gradient, which also
// has two more at its end.
BEAMLINE_MATH AttentionLayout LayoutOf(const KernelCall& call, int first) {
  const int behind = first == 0 ? 0 : 2;
  const int lengths = call.attributes->has_lengths ? 1 : 0;
  AttentionLayout layout;
  layout.sequences = call.inputs_count - first - behind - lengths;
  const Operand& q = call.inputs[first];
  const Operand& kv = call.inputs[first + layout.sequences - 1];
  const bool packed = layout.sequences == 1;
  layout.batch = q.extents[0];
  layout.queries = q.extents[1];
  layout.keys = kv.extents[1];
  layout.units = packed ? q.extents[2] / 3 : q.extents[2];
  layout.heads = call.attributes->heads;
  layout.width = layout.units / layout.heads;
  layout.query_stride = q.extents[2];
  layout.query_batch = q.extents[1] * q.extents[2];
  layout.key_stride = kv.extents[2];
  layout.key_batch = kv.extents[1] * kv.extents[2];
  layout.key_offset = packed ? layout.units : 0;
  layout.lengths = lengths == 0
                       ? nullptr
                       : static_cast<const int32_t*>(call.inputs[first + layout.sequences].data);
  layout.causal = call.attributes->causal;
  return layout;
}

}  // namespace beamline::engine
