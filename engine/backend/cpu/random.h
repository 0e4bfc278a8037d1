// Philox (engine/core/philox.h) for many counters at once: the same words as Philox4x32.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "engine/backend/cpu/kernels.h"
#include "engine/core/philox.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

// Blocks that are made side by side.
inline constexpr int kPhiloxBlocks = 16;

#if defined(__AVX512F__)
using PhiloxLanes = __m512i;
inline constexpr int kPhiloxVectors = 1;
#elif defined(__AVX2__)
using PhiloxLanes = __m256i;
inline constexpr int kPhiloxVectors = 2;
#endif

#if defined(__AVX512F__) || defined(__AVX2__)

// High and low words of the products of 32-bit lanes with one multiplier: the even lanes, the odd
// lanes, and both joined.
inline __attribute__((always_inline)) void MultiplyWide(PhiloxLanes x, PhiloxLanes by,
                                                        PhiloxLanes* high, PhiloxLanes* low) {
#if defined(__AVX512F__)
  // With masks of ones: GCC 12 warns without cause of the plain forms (GCC bug 105593).
  const __m512i even = _mm512_maskz_mul_epu32(0xff, x, by);
  const __m512i odd = _mm512_maskz_mul_epu32(0xff, _mm512_maskz_srli_epi64(0xff, x, 32), by);
  *high = _mm512_mask_blend_epi32(0xaaaa, _mm512_maskz_srli_epi64(0xff, even, 32), odd);
  *low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_maskz_slli_epi64(0xff, odd, 32));
#else
  const __m256i even = _mm256_mul_epu32(x, by);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), by);
  *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
  *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
#endif
}

inline __attribute__((always_inline)) PhiloxLanes Lanes(uint32_t x) {
#if defined(__AVX512F__)
  return _mm512_set1_epi32(static_cast<int>(x));
#else
  return _mm256_set1_epi32(static_cast<int>(x));
#endif
}

inline __attribute__((always_inline)) PhiloxLanes Xor(PhiloxLanes a, PhiloxLanes b, PhiloxLanes c) {
#if defined(__AVX512F__)
  return _mm512_ternarylogic_epi32(a, b, c, 0x96);
#else
  return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
#endif
}

// words[w][i]: word w of the block with counters (first + i, c1, c2, c3).
inline __attribute__((always_inline)) void PhiloxWords(uint64_t seed, uint32_t first, uint32_t c1,
                                                       uint32_t c2, uint32_t c3,
                                                       uint32_t words[4][kPhiloxBlocks]) {
  alignas(64) static constexpr uint32_t kSteps[kPhiloxBlocks] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                                 8, 9, 10, 11, 12, 13, 14, 15};
  for (int v = 0; v < kPhiloxVectors; ++v) {
    constexpr int kLanes = kPhiloxBlocks / kPhiloxVectors;
    PhiloxLanes x[4] = {Lanes(first), Lanes(c1), Lanes(c2), Lanes(c3)};
#if defined(__AVX512F__)
    x[0] = _mm512_add_epi32(x[0], _mm512_load_si512(kSteps));
#else
    x[0] = _mm256_add_epi32(
        x[0], _mm256_load_si256(reinterpret_cast<const __m256i*>(kSteps + v * kLanes)));
#endif
    auto k0 = static_cast<uint32_t>(seed);
    auto k1 = static_cast<uint32_t>(seed >> 32);
    const PhiloxLanes m0 = Lanes(0xD2511F53u);
    const PhiloxLanes m1 = Lanes(0xCD9E8D57u);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      PhiloxLanes high0, low0, high1, low1;
      MultiplyWide(x[0], m0, &high0, &low0);
      MultiplyWide(x[2], m1, &high1, &low1);
      x[0] = Xor(high1, x[1], Lanes(k0));
      x[2] = Xor(high0, x[3], Lanes(k1));
      x[1] = low1;
      x[3] = low0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    for (int w = 0; w < 4; ++w) {
      __builtin_memcpy(words[w] + v * kLanes, &x[w], sizeof(PhiloxLanes));
    }
  }
}

#else

inline __attribute__((always_inline)) void PhiloxWords(uint64_t seed, uint32_t first, uint32_t c1,
                                                       uint32_t c2, uint32_t c3,
                                                       uint32_t words[4][kPhiloxBlocks]) {
  for (uint32_t i = 0; i < kPhiloxBlocks; ++i) {
    const PhiloxBlock block = Philox4x32(static_cast<uint32_t>(seed),
                                         static_cast<uint32_t>(seed >> 32), first + i, c1, c2, c3);
    for (int w = 0; w < 4; ++w) words[w][i] = block.word[w];
  }
}

#endif

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
