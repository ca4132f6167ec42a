/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products of words as a vector header keeps them: low + 2^64 high + 2^128 top. products_ifma.h is the other way. */
#ifndef VC_PRODUCTS_H
#define VC_PRODUCTS_H

/* A word as a product wants it. */
typedef vec factor;
static inline factor p_factor(vec a) { return a; }

typedef vsum psum;
enum { PSUM_TERMS = 1 << 20 /* products before a sum must be reduced */ };

static inline psum p_zero(void) {
  psum sum = {v_set1(0), v_set1(0), v_set1(0)};
  return sum;
}
static inline void p_mac(psum *sum, factor a, factor b) { v_mac(sum, a, b); }
/* a b, of words below 2^36; and a b + c d, a and c below 2^27, b and d below 2^36. */
static inline factor p_product(vec a, vec b) { return v_mul(a, b); }
static inline vec p_longer(vec a, vec b) { return v_plus(v_mul32(a, b), v_left(v_mul32(a, v_top(b)), 32)); }
static inline factor p_products(vec a, vec b, vec c, vec d) { return v_plus(p_longer(a, b), p_longer(c, d)); }
static inline psum p_start(vec a) {
  psum sum = {a, v_set1(0), v_set1(0)};
  return sum;
}
static inline void p_mac52(psum *sum, factor a, vec b) { v_mac(sum, a, b); }
static inline void p_mac40(psum *sum, factor a, vec b) { v_mac(sum, a, b); }
static inline vec p_reduce(psum sum) { return v_sum(&sum); }
static inline vec p_reduce_stored(psum sum) { return v_sum(&sum); } /* of a sum that started at words of zero */

/* Of sums of at most PSUM_FEW products: a + 7 b; and a - b - c, with a from p_negative on. */
enum { PSUM_FEW = 64 };
static inline psum p_negative(void) { return p_zero(); }
static inline vec p_reduce7(psum a, psum b) { return v_add(v_sum(&a), v_mul7(v_sum(&b))); }
static inline vec p_reduce_less(psum a, psum b, psum c) { return v_sub(v_sum(&a), v_add(v_sum(&b), v_sum(&c))); }

#endif
