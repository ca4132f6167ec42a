/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products of words by fused multiply-adds of 52 bits (AVX-512 IFMA).
 *
 * With a = a0 + 2^32 a1 and b = b0 + 2^20 b1 (b0 of 20 bits), a0 b0 and a1 b0 have at most 52 bits, a0 b1 and a1 b1 at most
 * 76: six fused operations without a carry, into six sums of weights 2^0, 2^20, 2^32, 2^52, 2^72 and 2^104.
 */
#ifndef VC_PRODUCTS_H
#define VC_PRODUCTS_H

typedef struct {
  vec low, high;
} left;
typedef struct {
  vec low, high;
} right;

static inline left p_left(vec a) {
  left x = {_mm512_and_si512(a, v_set1(VC_EPSILON)), _mm512_srli_epi64(a, 32)};
  return x;
}
static inline right p_right(vec b) {
  right x = {_mm512_and_si512(b, v_set1((UINT64_C(1) << 20) - 1)), _mm512_srli_epi64(b, 20)};
  return x;
}

typedef struct {
  vec w0, w20, w32, w52, w72, w104;
} psum;
enum { PSUM_VECS = 6, PSUM_TERMS = 1 << 11 /* of at most 52 bits, two for each vector where products are crossed */ };

static inline psum p_zero(void) {
  const vec z = v_set1(0);
  psum sum = {z, z, z, z, z, z};
  return sum;
}

static inline void p_mac(psum *s, left a, right b) {
  s->w0 = _mm512_madd52lo_epu64(s->w0, a.low, b.low);
  s->w32 = _mm512_madd52lo_epu64(s->w32, a.high, b.low);
  s->w20 = _mm512_madd52lo_epu64(s->w20, a.low, b.high);
  s->w72 = _mm512_madd52hi_epu64(s->w72, a.low, b.high);
  s->w52 = _mm512_madd52lo_epu64(s->w52, a.high, b.high);
  s->w104 = _mm512_madd52hi_epu64(s->w104, a.high, b.high);
}

/* high += 1 where low is below what was added to it. */
static inline vec p_carry(vec high, vec low, vec added) {
  return _mm512_mask_add_epi64(high, _mm512_cmplt_epu64_mask(low, added), high, v_set1(1));
}

/* 2^72 = 2^8 2^64 and 2^104 = -2^8 modulo p; all else as low + 2^64 high. */
static inline vec p_reduce(const psum *s) {
  vec high = _mm512_add_epi64(_mm512_srli_epi64(s->w20, 44), _mm512_srli_epi64(s->w32, 32));
  high = _mm512_add_epi64(high, _mm512_add_epi64(_mm512_srli_epi64(s->w52, 12), _mm512_slli_epi64(s->w72, 8)));
  vec part = _mm512_slli_epi64(s->w20, 20), low = _mm512_add_epi64(s->w0, part);
  high = p_carry(high, low, part);
  part = _mm512_slli_epi64(s->w32, 32), low = _mm512_add_epi64(low, part);
  high = p_carry(high, low, part);
  part = _mm512_slli_epi64(s->w52, 52), low = _mm512_add_epi64(low, part);
  high = p_carry(high, low, part);
  return v_reduce_parts(low, high, _mm512_add_epi64(_mm512_srli_epi64(high, 32), _mm512_slli_epi64(s->w104, 8)));
}

#endif
