/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products of words by fused multiply-adds of 52 bits (AVX-512 IFMA).
 *
 * With a = a0 + 2^52 a1 and b = b0 + 2^52 b1, seven fused operations add the parts of a product to three sums of weights 2^0,
 * 2^52 and 2^104, without a carry. The operations read the low 52 bits of their factors, so that a word is its own a0.
 */
#ifndef VC_PRODUCTS_H
#define VC_PRODUCTS_H
#define VC_PRODUCTS_FUSED

typedef struct {
  vec low, high;
} factor;

static inline factor p_factor(vec a) {
  factor x = {a, _mm512_srli_epi64(a, 52)};
  return x;
}

typedef struct {
  vec w0, w52, w104;
} psum;
enum { PSUM_TERMS = 1 << 10 /* products before a sum must be reduced: w52 takes three numbers below 2^52 of each */ };

static inline psum p_zero(void) {
  const vec z = v_set1(0);
  psum sum = {z, z, z};
  return sum;
}

static inline void p_mac(psum *s, factor a, factor b) {
  s->w0 = _mm512_madd52lo_epu64(s->w0, a.low, b.low);
  s->w52 = _mm512_madd52hi_epu64(s->w52, a.low, b.low);
  s->w52 = _mm512_madd52lo_epu64(s->w52, a.low, b.high);
  s->w104 = _mm512_madd52hi_epu64(s->w104, a.low, b.high);
  s->w52 = _mm512_madd52lo_epu64(s->w52, a.high, b.low);
  s->w104 = _mm512_madd52hi_epu64(s->w104, a.high, b.low);
  s->w104 = _mm512_madd52lo_epu64(s->w104, a.high, b.high);
}

/* The same for b below 2^52. */
static inline void p_mac52(psum *s, factor a, vec b) {
  s->w0 = _mm512_madd52lo_epu64(s->w0, a.low, b);
  s->w52 = _mm512_madd52hi_epu64(s->w52, a.low, b);
  s->w52 = _mm512_madd52lo_epu64(s->w52, a.high, b);
  s->w104 = _mm512_madd52hi_epu64(s->w104, a.high, b);
}

/* a + 7 b, of sums of few products. */
static inline psum p_add7(psum a, psum b) {
  const psum sum = {
      _mm512_add_epi64(a.w0, _mm512_sub_epi64(_mm512_slli_epi64(b.w0, 3), b.w0)),
      _mm512_add_epi64(a.w52, _mm512_sub_epi64(_mm512_slli_epi64(b.w52, 3), b.w52)),
      _mm512_add_epi64(a.w104, _mm512_sub_epi64(_mm512_slli_epi64(b.w104, 3), b.w104)),
  };
  return sum;
}

/* 2^104 = -2^8 modulo p; the rest as low + 2^64 high. */
static inline vec p_reduce(psum s) {
  const vec low = _mm512_add_epi64(s.w0, _mm512_slli_epi64(s.w52, 52));
  vec high = _mm512_srli_epi64(s.w52, 12);
  high = _mm512_mask_add_epi64(high, _mm512_cmplt_epu64_mask(low, s.w0), high, v_set1(1));
  return v_reduce_parts(low, high, _mm512_add_epi64(_mm512_srli_epi64(high, 32), _mm512_slli_epi64(s.w104, 8)));
}

/* Of sums of at most PSUM_FEW products: a + 7 b; and a - b - c, with a from p_negative on: a multiple of p whose three parts are
 * above those of b + c, since 2^62 + 2^48 + 2^17 + 2^52 (2^61 - 2^10) + 2^104 2^40 = 2^48 + 2^17 - 2^17 - 2^48. */
enum { PSUM_FEW = 64 };
static inline psum p_negative(void) {
  const psum sum = {
      v_set1((UINT64_C(1) << 62) + (UINT64_C(1) << 48) + (UINT64_C(1) << 17)),
      v_set1((UINT64_C(1) << 61) - (UINT64_C(1) << 10)),
      v_set1(UINT64_C(1) << 40),
  };
  return sum;
}
static inline vec p_reduce7(psum a, psum b) { return p_reduce(p_add7(a, b)); }
static inline vec p_reduce_less(psum a, psum b, psum c) {
  const psum sum = {
      _mm512_sub_epi64(a.w0, _mm512_add_epi64(b.w0, c.w0)),
      _mm512_sub_epi64(a.w52, _mm512_add_epi64(b.w52, c.w52)),
      _mm512_sub_epi64(a.w104, _mm512_add_epi64(b.w104, c.w104)),
  };
  return p_reduce(sum);
}

#endif
