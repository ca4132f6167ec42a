/* SPDX-License-Identifier: Apache-2.0 */
/* Products of an integer matrix with a vector over F_p^2, p = 2^64 - 2^32 + 1: the verifier's work of `freivalds`.
 *
 * A matrix is a matrix of bytes. An int8 matrix is one already; an int32 entry is four little-endian bytes
 * b0 + 256 b1 + 65536 b2 + 2^24 b3 with b3 signed, and the vector is stretched by 1, 2^8, 2^16, 2^24. Flipping the top
 * bits of b0, b1, b2 makes them signed too and takes 128 off each, which adds one constant to every row.
 *
 * A kernel splits the vector's coefficients into digits, forms for each row the dot products with each digit
 * in int32, and so leaves a few integers a row whose combination is the result. Digits and their layout are the
 * kernel's own affair; the results are elements of the field and never depend on it.
 */
#ifndef VC_FREIVALDS_H
#define VC_FREIVALDS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a row that a kernel takes at a time: 65536 * 255 * 128 < 2^31. */
#define VC_FREIVALDS_CHUNK 65536u
/* Elements that every kernel's layout of digits can be cut at. */
#define VC_FREIVALDS_BLOCK 256u
/* The top bits of the three lower bytes of an int32. */
#define VC_FREIVALDS_FLIP UINT32_C(0x00808080)
#define VC_FREIVALDS_P UINT64_C(0xffffffff00000001)

typedef struct {
  uint32_t digits;       /* of one coefficient: digits * digit_bits = 64 */
  uint32_t digit_bits;
  uint32_t packed_bytes; /* of the digits of one element */
  /* Write the digits of `count` elements (pairs of words). */
  void (*pack)(void *packed, const uint64_t *vector, size_t count);
  /* acc[i * 2 * digits + l] = the dot product of row i, each word of four bytes flipped by `flip`, with digit l:
   * the digits of the first coefficient, then those of the second. `bytes` is at most a chunk; flip is 0 unless it is a
   * multiple of 4. */
  void (*rows)(int64_t *acc, const uint8_t *matrix, size_t rows, size_t bytes, size_t stride, uint32_t flip,
               const void *packed);
} vc_freivalds_kernel;

extern const vc_freivalds_kernel vc_freivalds_portable;
#if defined(VC_HAVE_AVX2)
extern const vc_freivalds_kernel vc_freivalds_avx2;
#endif
#if defined(VC_HAVE_AVX512VNNI)
extern const vc_freivalds_kernel vc_freivalds_avx512vnni;
#endif

#endif
