/* SPDX-License-Identifier: Apache-2.0 */
/* Loops of the prover over integers: floors, and integers as and against elements of the field. One table for each instruction set. */
#ifndef VC_INTEGERS_H
#define VC_INTEGERS_H

#include "vcompute.h"

enum {
  VC_FLOOR_CHUNK = 512,     /* elements that `floor` takes at most */
  VC_PROJECT_ROWS = 1 << 16, /* rows that `project8` takes at most */
  VC_PROJECT_ROWS32 = 1 << 11
};

typedef struct {
  /* t[i] = products[i] * slope[i] + offset[i], modulo 2^64. */
  void (*affine)(int64_t *t, const int32_t *products, const int64_t *slope, const int64_t *offset, size_t n);
  /* t[i] = a[i] * slope_a + b[i] * slope_b + offset, modulo 2^64. */
  void (*sums)(int64_t *t, const int8_t *a, const int8_t *b, int64_t slope_a, int64_t slope_b, int64_t offset, size_t n);
  /* The columns of elements at, at + 1, ... of known T (which is changed), whose first constant by channel is number `phase`.
   * 0 where a key is not in the table. */
  int32_t (*floor)(const vc_floor *p, int64_t *t, const int64_t *step, size_t phase, size_t n, size_t at);
  /* out[c] += the sum over rows of vector[r] * (matrix[r][c] + 128), extension elements; rows are `stride` apart. */
  void (*project8)(uint64_t *out, const int8_t *matrix, size_t rows, size_t columns, size_t stride, const uint64_t *vector);
  /* The same of matrix[r][c] from 0 to 2^20. */
  void (*project32)(uint64_t *out, const int32_t *matrix, size_t rows, size_t columns, size_t stride, const uint64_t *vector);
  /* The elements of F_p of n signed integers of `width` bytes (1, 4, 8), or n words (0); `streamed` as for a floor. */
  void (*elements)(uint64_t *out, const void *source, size_t width, size_t n, int32_t streamed);
} vc_integer_kernels;

extern const vc_integer_kernels vc_integers_portable;
#if defined(VC_HAVE_AVX2)
extern const vc_integer_kernels vc_integers_avx2;
#endif
#if defined(VC_HAVE_AVX512)
extern const vc_integer_kernels vc_integers_avx512;
#endif

/* The best table for the features in use. */
const vc_integer_kernels *vc_integers(void);

#endif
