/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of eight words (AVX-512 F and DQ). The operations are described in vector_portable.h. */
#ifndef VC_VECTOR_H
#define VC_VECTOR_H

#include <immintrin.h>

#include "goldilocks.h"

#define VEC_LANES 8
typedef __m512i vec;

static inline vec v_load(const uint64_t *p) { return _mm512_loadu_si512(p); }
static inline void v_store(uint64_t *p, vec a) { _mm512_storeu_si512(p, a); }
static inline vec v_load_n(const uint64_t *p, size_t n) { return _mm512_maskz_loadu_epi64((__mmask8)((1u << n) - 1), p); }
static inline void v_store_n(uint64_t *p, vec a, size_t n) {
  _mm512_mask_storeu_epi64(p, (__mmask8)((1u << n) - 1), a);
}
#define v_prefetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T0) /* GCC drops calls of functions that do no more */
static inline vec v_set1(uint64_t a) { return _mm512_set1_epi64((long long)a); }

static inline vec v_sub(vec a, vec b) {
  __mmask8 borrow = _mm512_cmplt_epu64_mask(a, b);
  vec d = _mm512_sub_epi64(a, b);
  return _mm512_mask_add_epi64(d, borrow, d, v_set1(VC_P));
}

static inline vec v_add(vec a, vec b) { return v_sub(a, _mm512_sub_epi64(v_set1(VC_P), b)); }

/* low + (high mod 2^32) * 2^64 - h1, h1 < 2^34. */
static inline vec v_reduce_parts(vec low, vec high, vec h1) {
  const vec epsilon = v_set1(VC_EPSILON), p = v_set1(VC_P);
  __mmask8 borrow = _mm512_cmplt_epu64_mask(low, h1);
  vec t = _mm512_sub_epi64(low, h1);
  t = _mm512_mask_sub_epi64(t, borrow, t, epsilon);
  vec product = _mm512_mul_epu32(high, epsilon);
  vec sum = _mm512_add_epi64(t, product);
  __mmask8 carry = _mm512_cmplt_epu64_mask(sum, product);
  sum = _mm512_mask_add_epi64(sum, carry, sum, epsilon);
  return _mm512_min_epu64(sum, _mm512_sub_epi64(sum, p)); /* sum - p wraps to a large word where sum < p */
}

static inline vec v_reduce(vec low, vec high) { return v_reduce_parts(low, high, _mm512_srli_epi64(high, 32)); }

static inline vec v_widen32(const uint32_t *p) {
  return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vec v_widen8(const uint8_t *p) {
  return _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
static inline vec v_plus(vec a, vec b) { return _mm512_add_epi64(a, b); }
static inline vec v_mul32(vec a, vec b) { return _mm512_mul_epu32(a, b); }
static inline vec v_halves(vec low, vec high) {
  const vec epsilon = v_set1(VC_EPSILON);
  vec sum = _mm512_add_epi64(low, _mm512_slli_epi64(high, 32)), top = _mm512_srli_epi64(high, 32);
  top = _mm512_mask_add_epi64(top, _mm512_cmplt_epu64_mask(sum, low), top, v_set1(1));
  const vec product = _mm512_mul_epu32(top, epsilon);
  sum = _mm512_add_epi64(sum, product);
  sum = _mm512_mask_add_epi64(sum, _mm512_cmplt_epu64_mask(sum, product), sum, epsilon);
  return _mm512_min_epu64(sum, _mm512_sub_epi64(sum, v_set1(VC_P)));
}

static inline void v_mul_wide(vec *low, vec *high, vec a, vec b) {
  const vec mask = v_set1(VC_EPSILON);
  vec a1 = _mm512_srli_epi64(a, 32), b1 = _mm512_srli_epi64(b, 32);
  vec p00 = _mm512_mul_epu32(a, b), p01 = _mm512_mul_epu32(a, b1);
  vec p10 = _mm512_mul_epu32(a1, b), p11 = _mm512_mul_epu32(a1, b1);
  vec middle = _mm512_add_epi64(p10, _mm512_srli_epi64(p00, 32));
  vec cross = _mm512_add_epi64(p01, _mm512_and_si512(middle, mask));
  *high = _mm512_add_epi64(_mm512_add_epi64(p11, _mm512_srli_epi64(middle, 32)), _mm512_srli_epi64(cross, 32));
  *low = _mm512_mask_shuffle_epi32(p00, 0xaaaa, cross, (_MM_PERM_ENUM)0xa0); /* cross's low halves on top of p00's */
}

static inline vec v_mul(vec a, vec b) {
  vec low, high;
  v_mul_wide(&low, &high, a, b);
  return v_reduce(low, high);
}

static inline vec v_mul_add(vec a, vec b, vec c, vec d) {
  const vec one = v_set1(1), overflow = v_set1(UINT64_C(1) << 32);
  vec low, high, low2, high2;
  v_mul_wide(&low, &high, a, b);
  v_mul_wide(&low2, &high2, c, d);
  low = _mm512_add_epi64(low, low2);
  high2 = _mm512_mask_add_epi64(high2, _mm512_cmplt_epu64_mask(low, low2), high2, one);
  high = _mm512_add_epi64(high, high2);
  vec h1 = _mm512_srli_epi64(high, 32);
  h1 = _mm512_mask_add_epi64(h1, _mm512_cmplt_epu64_mask(high, high2), h1, overflow); /* 2^128 = -2^32 */
  return v_reduce_parts(low, high, h1);
}

static inline vec v_mul7(vec a) {
  return v_sub(v_reduce_parts(_mm512_slli_epi64(a, 3), _mm512_srli_epi64(a, 61), _mm512_setzero_si512()), a);
}

static inline vec v_minus(vec a, vec b) { return _mm512_sub_epi64(a, b); }
static inline vec v_and(vec a, vec b) { return _mm512_and_si512(a, b); }
static inline vec v_xor(vec a, vec b) { return _mm512_xor_si512(a, b); }
static inline vec v_or(vec a, vec b) { return _mm512_or_si512(a, b); }
static inline vec v_centred(vec a) { return _mm512_mask_add_epi64(a, _mm512_movepi64_mask(a), a, v_set1(VC_EPSILON)); }
static inline vec v_smul32(vec a, vec b) { return _mm512_mul_epi32(a, b); }
static inline vec v_top(vec a) { return _mm512_srli_epi64(a, 32); }
static inline vec v_signed_top(vec a) { return _mm512_srai_epi64(a, 32); }
static inline vec v_left(vec a, unsigned bits) { return _mm512_slli_epi64(a, bits); }
static inline vec v_right(vec a, unsigned bits) { return _mm512_srli_epi64(a, bits); }
static inline vec v_carried(vec sum, vec term) {
  return _mm512_mask_add_epi64(sum, _mm512_cmplt_epu64_mask(sum, term), sum, v_set1(VC_EPSILON));
}
static inline vec v_canonical(vec a) { return _mm512_min_epu64(a, _mm512_sub_epi64(a, v_set1(VC_P))); }

static inline void v_split(vec *first, vec *second, vec x, vec y) {
  const vec even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
  *first = _mm512_permutex2var_epi64(x, even, y);
  *second = _mm512_permutex2var_epi64(x, odd, y);
}

static inline void v_join(vec *x, vec *y, vec first, vec second) {
  const vec low = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0), high = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
  *x = _mm512_permutex2var_epi64(first, low, second);
  *y = _mm512_permutex2var_epi64(first, high, second);
}

static inline void v_apart(vec *first, vec *second, vec x, vec y) {
  *first = _mm512_unpacklo_epi64(x, y);
  *second = _mm512_unpackhi_epi64(x, y);
}
static inline void v_together(vec *x, vec *y, vec first, vec second) { v_apart(x, y, first, second); }

typedef struct {
  vec low, high, top;
} vsum;

static inline void v_mac(vsum *sum, vec a, vec b) {
  const vec one = v_set1(1);
  vec low, high;
  v_mul_wide(&low, &high, a, b);
  sum->low = _mm512_add_epi64(sum->low, low);
  high = _mm512_mask_add_epi64(high, _mm512_cmplt_epu64_mask(sum->low, low), high, one);
  sum->high = _mm512_add_epi64(sum->high, high);
  sum->top = _mm512_mask_add_epi64(sum->top, _mm512_cmplt_epu64_mask(sum->high, high), sum->top, one);
}

static inline vec v_sum(const vsum *sum) {
  const vec h1 = _mm512_add_epi64(_mm512_srli_epi64(sum->high, 32), _mm512_slli_epi64(sum->top, 32));
  return v_reduce_parts(sum->low, sum->high, h1); /* 2^128 = -2^32 */
}

#endif
