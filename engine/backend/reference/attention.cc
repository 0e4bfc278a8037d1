// Attention and its gradient.
#include "engine/backend/attention_layout.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {
namespace {

// One head of one example.
template <typename T>
struct Head {
  const T* q;
  const T* k;
  const T* v;
  int64_t keys;
  T scale;
};

template <typename T>
Head<T> HeadOf(const KernelCall& call, const AttentionLayout& layout, int first, int64_t b,
               int64_t h) {
  Head<T> head;
  head.q = In<T>(call, first) + b * layout.query_batch + h * layout.width;
  head.k = In<T>(call, first + layout.sequences - 1) + layout.key_offset + b * layout.key_batch +
           h * layout.width;
  head.v = head.k + layout.units;
  head.keys = KeysOf(layout, b);
  head.scale = T(1) / math::Sqrt(static_cast<T>(layout.width));
  return head;
}

template <typename T>
T Dot(const T* a, const T* b, int64_t n) {
  T sum = 0;
  for (int64_t c = 0; c < n; ++c) sum = math::Fma(a[c], b[c], sum);
  return sum;
}

}  // namespace

template <typename T>
void Attention(const KernelCall& call, const RunState&) {
  const AttentionLayout layout = LayoutOf(call, 0);
  for (int64_t b = 0; b < layout.batch; ++b) {
    for (int64_t h = 0; h < layout.heads; ++h) {
      const Head<T> head = HeadOf<T>(call, layout, 0, b, h);
      for (int64_t i = 0; i < layout.queries; ++i) {
        const T* q = head.q + i * layout.query_stride;
        T* y = Out<T>(call, 0) + (b * layout.queries + i) * layout.units + h * layout.width;
        T& lse = Out<T>(call, 1)[(b * layout.heads + h) * layout.queries + i];
        const int64_t seen = SeenBy(layout, i, head.keys);
        const auto score = [&](int64_t j) {
          return head.scale * Dot(q, head.k + j * layout.key_stride, layout.width);
        };
        for (int64_t c = 0; c < layout.width; ++c) y[c] = 0;
        lse = 0;
        if (seen == 0) continue;
        T largest = score(0);
        for (int64_t j = 1; j < seen; ++j) largest = math::Max(largest, score(j));
        T sum = 0;
        for (int64_t j = 0; j < seen; ++j) {
          const T p = math::Exp(score(j) - largest);
          sum += p;
          const T* v = head.v + j * layout.key_stride;
          for (int64_t c = 0; c < layout.width; ++c) y[c] = math::Fma(p, v[c], y[c]);
        }
        for (int64_t c = 0; c < layout.width; ++c) y[c] /= sum;
        lse = largest + math::Log(sum);
      }
    }
  }
}
BEAMLINE_INSTANTIATE(Attention)

// With P = softmax(S), S = scale Q K^T and dP = dY V^T: dV = P^T dY, dS = P (dP - sum_c dY Y),
// dQ = scale dS K, dK = scale dS^T Q.
template <typename T>
void AttentionGrad(const KernelCall& call, const RunState&) {
  const AttentionLayout layout = LayoutOf(call, 1);
  const int saved = call.inputs_count - 2;
  for (int o = 0; o < call.outputs_count; ++o) {
    for (int64_t i = 0; i < call.outputs[o].elements; ++i) Out<T>(call, o)[i] = 0;
  }
  for (int64_t b = 0; b < layout.batch; ++b) {
    for (int64_t h = 0; h < layout.heads; ++h) {
      const Head<T> head = HeadOf<T>(call, layout, 1, b, h);
      T* dqs = Out<T>(call, 0) + (head.q - In<T>(call, 1));
      T* dks = Out<T>(call, layout.sequences - 1) + (head.k - In<T>(call, layout.sequences));
      for (int64_t i = 0; i < layout.queries; ++i) {
        const T* q = head.q + i * layout.query_stride;
        T* dq = dqs + i * layout.query_stride;
        const int64_t at = (b * layout.queries + i) * layout.units + h * layout.width;
        const T* dy = In<T>(call, 0) + at;
        const T dot = Dot(dy, In<T>(call, saved) + at, layout.width);
        const T lse = In<T>(call, saved + 1)[(b * layout.heads + h) * layout.queries + i];
        for (int64_t j = 0; j < SeenBy(layout, i, head.keys); ++j) {
          const T* k = head.k + j * layout.key_stride;
          T* dk = dks + j * layout.key_stride;
          T* dv = dk + layout.units;
          const T p = math::Exp(head.scale * Dot(q, k, layout.width) - lse);
          const T dp = Dot(dy, head.v + j * layout.key_stride, layout.width);
          const T ds = head.scale * p * (dp - dot);
          for (int64_t c = 0; c < layout.width; ++c) {
            dq[c] = math::Fma(ds, k[c], dq[c]);
            dk[c] = math::Fma(ds, q[c], dk[c]);
            dv[c] = math::Fma(p, dy[c], dv[c]);
          }
        }
      }
    }
  }
}
BEAMLINE_INSTANTIATE(AttentionGrad)

}  // namespace beamline::engine::reference
