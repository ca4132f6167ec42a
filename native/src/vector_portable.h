/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of one word: the plain meaning of every operation of the vector headers.
 *
 * A vector header defines VEC_LANES, `vec`, and on canonical words v_add, v_sub, v_mul (any words), v_load, v_store,
 * v_set1, v_turn (times 2^48, a fourth root of unity); v_load_n and v_store_n touch only the first n < VEC_LANES words; v_split turns two vectors of pairs (x, y in
 * memory order) into their first and second members, v_join turns them back; v_sum adds all lanes.
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
static inline vec v_set1(uint64_t a) { return a; }
static inline vec v_add(vec a, vec b) { return vc_gl_add(a, b); }
static inline vec v_sub(vec a, vec b) { return vc_gl_sub(a, b); }
static inline vec v_mul(vec a, vec b) { return vc_gl_mul(a, b); }
static inline vec v_turn(vec a) { return vc_gl_reduce(a << 48, a >> 16); }
static inline void v_split(vec *first, vec *second, vec x, vec y) { *first = x, *second = y; }
static inline void v_join(vec *x, vec *y, vec first, vec second) { *x = first, *y = second; }
static inline uint64_t v_sum(vec a) { return a; }

#endif
