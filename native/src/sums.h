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

enum { VC_MOST_GRAM = 4 };

typedef struct {
  /* Sums of f[i] * w[j] over all calls, i and j < count <= VC_MOST_GRAM: `state` has gram_words words, zeros at first. f are
   * words (gram_base) or blocks (gram_blocks), w are blocks; what is NULL is zero. gram_end: count * count pairs of words, i first. */
  size_t gram_words;
  void (*gram_base)(uint64_t *state, const uint64_t *const *f, const uint64_t *const *w, size_t count, size_t n);
  void (*gram_blocks)(uint64_t *state, const uint64_t *const *f, const uint64_t *const *w, size_t count, size_t n);
  void (*gram_end)(uint64_t *sums, uint64_t *state, size_t count);
  /* out (blocks) = the sum of weights[i] (pairs) * x[i], x words or blocks; out is none of them, or the first one. */
  void (*combine_base)(uint64_t *out, const uint64_t *const *x, const uint64_t *weights, size_t count, size_t n);
  void (*combine_blocks)(uint64_t *out, const uint64_t *const *x, const uint64_t *weights, size_t count, size_t n);
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

/* The fastest table this processor has. */
const vc_sum_kernels *vc_sums(void);

#endif
