/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products of words as a vector header keeps them: low + 2^64 high + 2^128 top. products_ifma.h is the other way. */
#ifndef VC_PRODUCTS_H
#define VC_PRODUCTS_H

/* Words of each factor as the product wants them. */
typedef vec left;
typedef vec right;
static inline left p_left(vec a) { return a; }
static inline right p_right(vec b) { return b; }

typedef vsum psum;
enum { PSUM_VECS = 3, PSUM_TERMS = 1 << 30 /* products before a sum must be reduced */ };

static inline psum p_zero(void) {
  psum sum = {v_set1(0), v_set1(0), v_set1(0)};
  return sum;
}
static inline void p_mac(psum *sum, left a, right b) { v_mac(sum, a, b); }
static inline vec p_reduce(const psum *sum) { return v_sum(sum); }

#endif
