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

/* Sums start at 0 = 2^58 + 2^52 (2^52 - 2^6) - 2^104, so that w0 stays above what p_reduce takes from it: 2^8 w104, below
 * 2^57 even where factors were loose, and the top of w52. w104 has a sign. */
enum { PSUM_START = 58 };
static inline psum p_zero(void) {
  const psum sum = {
      v_set1(UINT64_C(1) << PSUM_START),
      v_set1((UINT64_C(1) << 52) - (UINT64_C(1) << (PSUM_START - 52))),
      v_set1(~UINT64_C(0)),
  };
  return sum;
}
static inline psum p_plus(psum a, psum b) {
  const psum sum = {_mm512_add_epi64(a.w0, b.w0), _mm512_add_epi64(a.w52, b.w52), _mm512_add_epi64(a.w104, b.w104)};
  return sum;
}
/* A sum that starts at a word. */
static inline psum p_start(vec a) {
  const psum zero = p_zero();
  const vec low = v_set1((UINT64_C(1) << 52) - 1);
  const psum sum = {
      _mm512_ternarylogic_epi64(a, low, zero.w0, 0xea), /* a & low | zero */
      _mm512_add_epi64(_mm512_srli_epi64(a, 52), zero.w52),
      zero.w104,
  };
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

/* The same for b below 2^40, whose product with the upper 12 bits of a word stays below 2^52. */
static inline void p_mac40(psum *s, factor a, vec b) {
  s->w0 = _mm512_madd52lo_epu64(s->w0, a.low, b);
  s->w52 = _mm512_madd52hi_epu64(s->w52, a.low, b);
  s->w52 = _mm512_madd52lo_epu64(s->w52, a.high, b);
}

/* a b, of words below 2^36; and a b + c d, a and c below 2^27, b and d below 2^36. */
static inline factor p_product(vec a, vec b) {
  const factor x = {_mm512_madd52lo_epu64(v_set1(0), a, b), _mm512_madd52hi_epu64(v_set1(0), a, b)};
  return x;
}
static inline factor p_products(vec a, vec b, vec c, vec d) {
  const vec zero = v_set1(0);
  const vec low = _mm512_madd52lo_epu64(_mm512_madd52lo_epu64(zero, a, b), c, d);
  const vec high = _mm512_madd52hi_epu64(_mm512_madd52hi_epu64(zero, a, b), c, d);
  const factor x = {low, _mm512_add_epi64(high, _mm512_srli_epi64(low, 52))};
  return x;
}

/* a + 7 b, of sums of few products. */
static inline psum p_add7(psum a, psum b) {
  const psum b8 = {_mm512_slli_epi64(b.w0, 3), _mm512_slli_epi64(b.w52, 3), _mm512_slli_epi64(b.w104, 3)};
  const psum b7 = {_mm512_sub_epi64(b8.w0, b.w0), _mm512_sub_epi64(b8.w52, b.w52), _mm512_sub_epi64(b8.w104, b.w104)};
  return p_plus(a, b7);
}

/* With w52 = l + 2^12 (h + 2^32 t), h below 2^32, by 2^64 = 2^32 - 1, 2^96 = -1 and 2^104 = -2^8 the sum is that of three words:
 * w0 - 2^8 w104 - t, 2^52 l and (2^32 - 1) h. Each of the carries of their sum is 2^32 - 1 again. What is left is below 2 p, and
 * one more 2^32 - 1 has a carry where it is p or above. Comparisons wait for the multipliers, so there are as few as can be. */
static inline vec p_reduce(psum s) {
  const vec epsilon = v_set1(VC_EPSILON), middle = _mm512_slli_epi64(s.w52, 52);
  const vec high = _mm512_mul_epu32(_mm512_srli_epi64(s.w52, 12), epsilon);
  const vec low = _mm512_sub_epi64(_mm512_sub_epi64(s.w0, _mm512_slli_epi64(s.w104, 8)), _mm512_srli_epi64(s.w52, 44));
  const vec some = _mm512_add_epi64(low, middle), sum = _mm512_add_epi64(some, high);
  vec more = _mm512_add_epi64(sum, epsilon);
  more = _mm512_mask_add_epi64(more, _mm512_cmplt_epu64_mask(some, low), more, epsilon);
  more = _mm512_mask_add_epi64(more, _mm512_cmplt_epu64_mask(sum, high), more, epsilon);
  return _mm512_mask_sub_epi64(more, _mm512_cmpge_epu64_mask(more, sum), more, epsilon);
}

/* The same of a sum that started at words of zero. */
static inline vec p_reduce_stored(psum s) { return p_reduce(p_plus(s, p_zero())); }

/* A sum of few products as a factor, whose upper part may have 26 bits: of w52 = l + 2^12 h again 2^64 h = (2^32 - 1) h. */
static inline factor p_loose(psum s) {
  const vec epsilon = v_set1(VC_EPSILON), high = _mm512_srli_epi64(s.w52, 12), below = v_set1((1 << 12) - 1);
  const vec low = _mm512_madd52lo_epu64(_mm512_sub_epi64(s.w0, _mm512_slli_epi64(s.w104, 8)), high, epsilon);
  const vec upper = _mm512_madd52hi_epu64(_mm512_and_si512(s.w52, below), high, epsilon);
  const factor x = {low, _mm512_add_epi64(upper, _mm512_srli_epi64(low, 52))};
  return x;
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
