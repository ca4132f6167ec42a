/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted sums of products of small integers, one table of loops for each instruction set: what the first rounds of the
 * lowest layer of fractions are made of (see gkr_moments.c).
 *
 * Integers stand in rows of VC_MOMENT_ROW, of which n are used, a multiple of eight; weights in blocks of eight: eight first words,
 * then eight second words.
 */
#ifndef VC_MOMENTS_H
#define VC_MOMENTS_H

#include <stddef.h>
#include <stdint.h>

enum { VC_MOMENT_ROW = 64, VC_MOST_NODES = 4 };

/* a b + c d + bias, or where c is null a b + bias, or where b is null a, which then is from 0 to 2^31. Below 2^63, or `small`: below
 * 2^40. */
typedef struct {
  const int32_t *a, *b, *c, *d;
  uint64_t bias;
  int small;
} vc_moment;

/* to = high - low */
typedef struct {
  int32_t *to;
  const int32_t *high, *low;
} vc_difference;

/* sum * (u + v) + product * u v of the leaves at hand, or where `second` is null sum * u; leaves are below 2^18 */
typedef struct {
  const uint32_t *first, *second;
  uint64_t sum[2], product[2];
} vc_node_stream;

typedef struct {
  size_t words; /* of one sum's state */
  size_t most;  /* elements that a state takes before it must be ended */
  /* state[i] += the sum of weights * moments[i] */
  void (*add)(uint64_t *state, const vc_moment *moments, size_t count, const uint64_t *weights, size_t n);
  /* sums[i] (pairs) += what state[i] holds, times scale; the state is zeros again. */
  void (*end)(uint64_t *sums, uint64_t *state, size_t count, const uint64_t scale[2]);
  void (*differences)(const vc_difference *steps, size_t count, size_t n);
  void (*copy)(int32_t *to, const uint32_t *from, size_t n);
  /* sum = first + second, low and high = their product below and above `cut` bits */
  void (*pairs)(int32_t *sum, int32_t *low, int32_t *high, const uint32_t *first, const uint32_t *second, unsigned cut, size_t n);
  /* out (pairs) = start + the sum over the streams */
  void (*nodes)(uint64_t *out, const uint64_t start[2], const vc_node_stream *streams, size_t count, size_t n);
  /* n, d (pairs) = the sum of four fractions 1 / (c0 + c1 key), keys below 2^18, as constants[0..3] and constants[4..8] times 1 and
   * the elementary symmetric polynomials of the keys */
  void (*quads)(uint64_t *n, uint64_t *d, const uint32_t *const keys[4], const uint64_t constants[18], size_t count);
  void (*widen)(int32_t *to, const uint8_t *from, size_t n);
  /* Blocks of n pairs, zeros to the next multiple of eight. */
  void (*blocks)(uint64_t *to, const uint64_t *pairs, size_t n);
} vc_moment_kernels;

extern const vc_moment_kernels vc_moments_portable;
#if defined(VC_HAVE_AVX2)
extern const vc_moment_kernels vc_moments_avx2;
#endif
#if defined(VC_HAVE_AVX512)
extern const vc_moment_kernels vc_moments_avx512;
#endif
#if defined(VC_HAVE_AVX512IFMA)
extern const vc_moment_kernels vc_moments_avx512ifma;
#endif

/* The fastest table this processor has. */
const vc_moment_kernels *vc_moments(void);

#endif
