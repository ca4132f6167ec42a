/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of four words (AVX2). The operations are described in vector_portable.h. */
#ifndef VC_VECTOR_H
#define VC_VECTOR_H

#include <immintrin.h>
#include <string.h>

#include "goldilocks.h"

#define VEC_LANES 4
typedef __m256i vec;

static inline vec v_load(const uint64_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
static inline void v_store(uint64_t *p, vec a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }

static inline vec v_first(size_t n) { /* all ones in the first n lanes */
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)n), _mm256_set_epi64x(3, 2, 1, 0));
}
static inline vec v_load_n(const uint64_t *p, size_t n) {
  return _mm256_maskload_epi64((const long long *)(const void *)p, v_first(n));
}
static inline void v_store_n(uint64_t *p, vec a, size_t n) {
  _mm256_maskstore_epi64((long long *)(void *)p, v_first(n), a);
}
#define v_prefetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T0) /* GCC drops calls of functions that do no more */
static inline vec v_set1(uint64_t a) { return _mm256_set1_epi64x((long long)a); }

/* All ones where a < b as unsigned words: AVX2 compares signed ones. */
static inline vec v_less(vec a, vec b) {
  const vec top = _mm256_set1_epi64x((long long)(UINT64_C(1) << 63));
  return _mm256_cmpgt_epi64(_mm256_xor_si256(b, top), _mm256_xor_si256(a, top));
}

static inline vec v_sub(vec a, vec b) {
  return _mm256_add_epi64(_mm256_sub_epi64(a, b), _mm256_and_si256(v_less(a, b), v_set1(VC_P)));
}

static inline vec v_add(vec a, vec b) { return v_sub(a, _mm256_sub_epi64(v_set1(VC_P), b)); }

/* low + (high mod 2^32) * 2^64 - h1, h1 < 2^34. */
static inline vec v_reduce_parts(vec low, vec high, vec h1) {
  const vec epsilon = v_set1(VC_EPSILON), p = v_set1(VC_P);
  vec t = _mm256_sub_epi64(_mm256_sub_epi64(low, h1), _mm256_and_si256(v_less(low, h1), epsilon));
  vec product = _mm256_mul_epu32(high, epsilon);
  vec sum = _mm256_add_epi64(t, product);
  sum = _mm256_add_epi64(sum, _mm256_and_si256(v_less(sum, product), epsilon));
  return _mm256_sub_epi64(sum, _mm256_andnot_si256(v_less(sum, p), p));
}

static inline vec v_reduce(vec low, vec high) { return v_reduce_parts(low, high, _mm256_srli_epi64(high, 32)); }

static inline vec v_widen32(const uint32_t *p) {
  return _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline vec v_widen8(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
}
static inline vec v_plus(vec a, vec b) { return _mm256_add_epi64(a, b); }
static inline vec v_mul32(vec a, vec b) { return _mm256_mul_epu32(a, b); }
static inline vec v_halves(vec low, vec high) {
  vec sum = _mm256_add_epi64(low, _mm256_slli_epi64(high, 32));
  vec top = _mm256_sub_epi64(_mm256_srli_epi64(high, 32), v_less(sum, low)); /* a carry is all ones: -1 */
  return v_reduce_parts(sum, top, _mm256_setzero_si256());
}

static inline void v_mul_wide(vec *low, vec *high, vec a, vec b) {
  const vec epsilon = v_set1(VC_EPSILON);
  vec a1 = _mm256_srli_epi64(a, 32), b1 = _mm256_srli_epi64(b, 32);
  vec p00 = _mm256_mul_epu32(a, b), p01 = _mm256_mul_epu32(a, b1);
  vec p10 = _mm256_mul_epu32(a1, b), p11 = _mm256_mul_epu32(a1, b1);
  vec middle = _mm256_add_epi64(p10, _mm256_srli_epi64(p00, 32));
  vec cross = _mm256_add_epi64(p01, _mm256_and_si256(middle, epsilon));
  *high = _mm256_add_epi64(_mm256_add_epi64(p11, _mm256_srli_epi64(middle, 32)), _mm256_srli_epi64(cross, 32));
  *low = _mm256_blend_epi32(p00, _mm256_slli_epi64(cross, 32), 0xaa);
}

static inline vec v_mul(vec a, vec b) {
  vec low, high;
  v_mul_wide(&low, &high, a, b);
  return v_reduce(low, high);
}

static inline vec v_minus(vec a, vec b) { return _mm256_sub_epi64(a, b); }
static inline vec v_and(vec a, vec b) { return _mm256_and_si256(a, b); }
static inline vec v_xor(vec a, vec b) { return _mm256_xor_si256(a, b); }
static inline vec v_or(vec a, vec b) { return _mm256_or_si256(a, b); }
static inline vec v_centred(vec a) {
  return _mm256_add_epi64(a, _mm256_and_si256(_mm256_cmpgt_epi64(_mm256_setzero_si256(), a), v_set1(VC_EPSILON)));
}
static inline vec v_smul32(vec a, vec b) { return _mm256_mul_epi32(a, b); }
static inline vec v_top(vec a) { return _mm256_srli_epi64(a, 32); }
static inline vec v_signed_top(vec a) {
  return _mm256_blend_epi32(_mm256_srli_epi64(a, 32), _mm256_srai_epi32(a, 31), 0xaa);
}
static inline vec v_left(vec a, unsigned bits) { return _mm256_slli_epi64(a, (int)bits); }
static inline vec v_right(vec a, unsigned bits) { return _mm256_srli_epi64(a, (int)bits); }
static inline vec v_carried(vec sum, vec term) {
  return _mm256_add_epi64(sum, _mm256_srli_epi64(v_less(sum, term), 32));
}
static inline vec v_canonical(vec a) { return _mm256_sub_epi64(a, _mm256_andnot_si256(v_less(a, v_set1(VC_P)), v_set1(VC_P))); }

static inline void v_split(vec *first, vec *second, vec x, vec y) {
  vec a = _mm256_permute2x128_si256(x, y, 0x20), b = _mm256_permute2x128_si256(x, y, 0x31);
  *first = _mm256_unpacklo_epi64(a, b);
  *second = _mm256_unpackhi_epi64(a, b);
}

static inline void v_join(vec *x, vec *y, vec first, vec second) {
  vec a = _mm256_unpacklo_epi64(first, second), b = _mm256_unpackhi_epi64(first, second);
  *x = _mm256_permute2x128_si256(a, b, 0x20);
  *y = _mm256_permute2x128_si256(a, b, 0x31);
}

static inline void v_apart(vec *first, vec *second, vec x, vec y) {
  *first = _mm256_unpacklo_epi64(x, y);
  *second = _mm256_unpackhi_epi64(x, y);
}
static inline void v_together(vec *x, vec *y, vec first, vec second) { v_apart(x, y, first, second); }

static inline vec v_mul_add(vec a, vec b, vec c, vec d) {
  const vec overflow = v_set1(UINT64_C(1) << 32);
  vec low, high, low2, high2;
  v_mul_wide(&low, &high, a, b);
  v_mul_wide(&low2, &high2, c, d);
  low = _mm256_add_epi64(low, low2);
  high2 = _mm256_sub_epi64(high2, v_less(low, low2)); /* minus all ones is plus one */
  high = _mm256_add_epi64(high, high2);
  vec h1 = _mm256_srli_epi64(high, 32);
  h1 = _mm256_add_epi64(h1, _mm256_and_si256(v_less(high, high2), overflow)); /* 2^128 = -2^32 */
  return v_reduce_parts(low, high, h1);
}

static inline vec v_mul7(vec a) {
  return v_sub(v_reduce_parts(_mm256_slli_epi64(a, 3), _mm256_srli_epi64(a, 61), _mm256_setzero_si256()), a);
}

typedef struct {
  vec low, high, top;
} vsum;

static inline void v_mac(vsum *sum, vec a, vec b) {
  vec low, high;
  v_mul_wide(&low, &high, a, b);
  sum->low = _mm256_add_epi64(sum->low, low);
  high = _mm256_sub_epi64(high, v_less(sum->low, low));
  sum->high = _mm256_add_epi64(sum->high, high);
  sum->top = _mm256_sub_epi64(sum->top, v_less(sum->high, high));
}

static inline vec v_sum(const vsum *sum) {
  const vec h1 = _mm256_add_epi64(_mm256_srli_epi64(sum->high, 32), _mm256_slli_epi64(sum->top, 32));
  return v_reduce_parts(sum->low, sum->high, h1); /* 2^128 = -2^32 */
}

#endif
