/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of one word: the plain meaning of every operation of the vector headers.
 *
 * A vector header defines VEC_LANES, `vec`, and on canonical words v_add, v_sub, v_mul (any words), v_load, v_store,
 * v_set1, v_mul7, v_mul_add (a * b + c * d, reduced once); v_mac adds a product to sums that are reduced at their end alone:
 * low + 2^64 high + 2^128 top in each lane, v_sum reduces each lane's; v_load_n and v_store_n touch only the
 * first n < VEC_LANES words; v_prefetch may ask for a line; v_split turns two vectors of pairs (x, y in memory order) into
 * their first and second members, v_join turns them back; v_apart and v_together do so with pairs in some other order, the
 * same for all vectors, which is cheaper. v_widen32 and v_widen8 load unsigned integers; on any words v_plus
 * and v_minus work modulo 2^64,
 * v_mul32 multiplies the low halves, v_smul32 does as signed integers, v_halves is low + 2^32 high in the field, high < 2^63;
 * v_left and v_right shift by a constant; v_top is the high half, v_signed_top with its sign; v_carried takes a sum modulo 2^64
 * and one of its terms and adds the 2^64 = 2^32 - 1 that was lost, v_canonical makes any word canonical; v_centred is p less
 * where the first bit is set, as a signed word.
 */
#ifndef VC_VECTOR_H
#define VC_VECTOR_H

#include "goldilocks.h"

#define VEC_LANES 1
typedef uint64_t vec;

static inline vec v_load(const uint64_t *p) { return *p; }
static inline void v_store(uint64_t *p, vec a) { *p = a; }
static inline vec v_load_n(const uint64_t *p, size_t n) { return n ? *p : 0; }
static inline void v_store_n(uint64_t *p, vec a, size_t n) {
  if (n) *p = a;
}
#define v_prefetch(p) ((void)(p))
static inline vec v_set1(uint64_t a) { return a; }
static inline vec v_add(vec a, vec b) { return vc_gl_add(a, b); }
static inline vec v_sub(vec a, vec b) { return vc_gl_sub(a, b); }
static inline vec v_mul(vec a, vec b) { return vc_gl_mul(a, b); }
static inline vec v_widen32(const uint32_t *p) { return *p; }
static inline vec v_widen8(const uint8_t *p) { return *p; }
static inline vec v_plus(vec a, vec b) { return a + b; }
static inline vec v_mul32(vec a, vec b) { return (a & VC_EPSILON) * (b & VC_EPSILON); }
static inline vec v_halves(vec low, vec high) {
  vec sum = low + (high << 32);
  return vc_gl_reduce(sum, (high >> 32) + (sum < low));
}
static inline vec v_mul7(vec a) { return vc_gl_mul7(a); }
static inline vec v_minus(vec a, vec b) { return a - b; }
static inline vec v_and(vec a, vec b) { return a & b; }
static inline vec v_xor(vec a, vec b) { return a ^ b; }
static inline vec v_or(vec a, vec b) { return a | b; }
static inline vec v_centred(vec a) { return a + vc_gl_if((int)(a >> 63), VC_EPSILON); }
static inline vec v_smul32(vec a, vec b) { return (uint64_t)((int64_t)(int32_t)(uint32_t)a * (int32_t)(uint32_t)b); }
static inline vec v_top(vec a) { return a >> 32; }
static inline vec v_signed_top(vec a) { return (a >> 32) - (a >> 63 << 32); }
static inline vec v_left(vec a, unsigned bits) { return a << bits; }
static inline vec v_right(vec a, unsigned bits) { return a >> bits; }
static inline vec v_carried(vec sum, vec term) { return sum + vc_gl_if(sum < term, VC_EPSILON); }
static inline vec v_canonical(vec a) { return a - vc_gl_if(a >= VC_P, VC_P); }
static inline void v_split(vec *first, vec *second, vec x, vec y) { *first = x, *second = y; }
static inline void v_join(vec *x, vec *y, vec first, vec second) { *x = first, *y = second; }
static inline void v_apart(vec *first, vec *second, vec x, vec y) { *first = x, *second = y; }
static inline void v_together(vec *x, vec *y, vec first, vec second) { *x = first, *y = second; }

typedef struct {
  vec low, high, top;
} vsum;

static inline void v_mac(vsum *sum, vec a, vec b) {
  uint64_t low, high;
  vc_mul_wide(&low, &high, a, b);
  sum->low += low;
  high += sum->low < low; /* a product's upper word is below 2^64 - 1 */
  sum->high += high;
  sum->top += sum->high < high;
}
static inline vec v_mul_add(vec a, vec b, vec c, vec d) {
  vsum sum = {0, 0, 0};
  v_mac(&sum, a, b);
  v_mac(&sum, c, d);
  uint64_t h1 = (sum.high >> 32) + (sum.top << 32), product = (sum.high & VC_EPSILON) * VC_EPSILON;
  uint64_t t = sum.low - h1 - vc_gl_if(sum.low < h1, VC_EPSILON), total = t + product;
  total += vc_gl_if(total < t, VC_EPSILON);
  return total - vc_gl_if(total >= VC_P, VC_P);
}
static inline vec v_sum(const vsum *sum) { return vc_gl_reduce3(sum->low, sum->high, sum->top); }

#endif
