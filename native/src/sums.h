/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products that are reduced once, one table of loops for each instruction set: what a prover's opening is made of.
 *
 * Extension elements stand in blocks of eight here: eight first words, then eight second words. n counts elements, a multiple
 * of eight. Words are canonical.
 */
#ifndef VC_SUMS_H
#define VC_SUMS_H

#include <stddef.h>
#include <stdint.h>

#include "goldilocks.h"

enum {
  VC_MOST_SUMS = 16,
  VC_MOST_BLOCKS = 4,
  VC_SMALL_BITS = 19,       /* integers of magnitude below 2^19 are small: int8 values, and the limbs of lookups */
  VC_MOST_SMALL = 1 << 11   /* terms of a sum of small integers: 2^19 * 2^31 * 2^11 = 2^61 */
};

/* What is read soon after: n words each of so many lanes, `apart` from one another. */
typedef struct {
  const uint64_t *words;
  size_t apart, count;
} vc_soon;

typedef struct {
  /* Slot first + i, of VC_MOST_SUMS, sums up f[i] * w[i] (blocks) over all calls, i < count: `state` has products_words words,
   * zeros at first. messages: of f and w in four groups as values at (X, Y) = 00, 01, 10, 11, slots 0 .. 7 of products at 00, 01,
   * 10, and of leading coefficients in X (at Y = 0, 1), in Y (at X = 0, 1) and in both; of two groups, slots 0 and 1 of products
   * at 0 and of leading coefficients. products_end: the first slots as pairs. */
  size_t products_words;
  void (*products)(uint64_t *state, size_t first, const uint64_t *const *f, const uint64_t *const *w, size_t count, size_t n);
  void (*messages)(uint64_t *state, const uint64_t *const *f, const uint64_t *const *w, size_t groups, size_t n);
  void (*products_end)(uint64_t *sums, uint64_t *state, size_t count);
  /* out (blocks) = the sum of weights[i] (pairs) * x[i], of words; out is none of them. */
  void (*combine_base)(uint64_t *out, const uint64_t *const *x, const uint64_t *weights, size_t count, size_t n);
  /* The same of blocks, two or four, whose weights add up to one: so the differences from x[0] are weighed, one product less. */
  void (*interpolate)(uint64_t *out, const uint64_t *const *x, const uint64_t *weights, size_t count, size_t n);
  /* combine_base of triples of words, in blocks of eight: elements' words and their sum; so are the weights. */
  void (*combine_triples)(uint64_t *out, const uint64_t *const *x, const uint64_t *weights, size_t count, size_t n,
                          const vc_soon *soon);
  /* n pairs become blocks of `width` words an element in place: two, or three with their sum. */
  void (*to_blocks)(uint64_t *words, size_t n, size_t width);
  /* Words that are small integers modulo p as 32 bits each, n a multiple of sixteen: out has n / 2 words, of integers i and
   * i + 8. Whether all are small; out is of no use where not. */
  int (*pack)(uint64_t *out, const uint64_t *x, size_t n);
  /* combine_base of packed integers: the i-th ones are x[i * apart ..], at most VC_MOST_SMALL; weights as vc_digits has them.
   * What is read soon after: count * n / 2 words from `soon` on, unless NULL. */
  void (*combine_small)(uint64_t *out, const uint64_t *x, size_t apart, const uint64_t *digits, size_t count, size_t n,
                        const uint64_t *soon);
} vc_sum_kernels;

extern const vc_sum_kernels vc_sums_portable;
#if defined(VC_HAVE_AVX2)
extern const vc_sum_kernels vc_sums_avx2;
#endif
#if defined(VC_HAVE_AVX512)
extern const vc_sum_kernels vc_sums_avx512;
#endif
#if defined(VC_HAVE_AVX512IFMA)
extern const vc_sum_kernels vc_sums_avx512ifma;
#endif

/* Words c as low + 2^32 high modulo p, both signed integers of 32 bits: what is not below (p - 1) / 2 stands for c - p, since
 * (p - 1) / 2 itself has no such halves. Two words for each. */
static inline void vc_digits(uint64_t *out, const uint64_t *words, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const uint64_t c = words[i] + vc_gl_if(words[i] >= (VC_P - 1) / 2, VC_EPSILON);
    out[2 * i] = c, out[2 * i + 1] = (c >> 32) + (c >> 31 & 1);
  }
}

/* The fastest table this processor has. */
const vc_sum_kernels *vc_sums(void);

#endif
