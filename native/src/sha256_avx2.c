/* SPDX-License-Identifier: Apache-2.0 */
/* Eight messages at a time. */
#if defined(VC_HAVE_AVX2)
#include <immintrin.h>
#include <stdint.h>

#define LANES 8
typedef __m256i v32;
#define ADD(a, b) _mm256_add_epi32(a, b)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define SHR(a, n) _mm256_srli_epi32(a, n)
#define ROR(a, n) _mm256_or_si256(_mm256_srli_epi32(a, n), _mm256_slli_epi32(a, 32 - (n)))
#define CHOOSE(e, f, g) XOR(g, _mm256_and_si256(e, XOR(f, g)))
#define MAJORITY(a, b, c) _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)))
#define SET1(x) _mm256_set1_epi32((int)(x))
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, a) _mm256_storeu_si256((__m256i *)(void *)(p), a)

/* w[i] lane l = big-endian word i of block l: two transpositions of 8 x 8 words. */
static inline void gather(v32 w[16], const uint8_t *const *blocks) {
  const v32 swap = _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  for (int half = 0; half < 2; half++) {
    v32 x[8], y[8];
    for (int i = 0; i < 8; i++) x[i] = _mm256_shuffle_epi8(LOAD(blocks[i] + 32 * half), swap);
    for (int i = 0; i < 8; i += 2) {
      y[i] = _mm256_unpacklo_epi32(x[i], x[i + 1]);
      y[i + 1] = _mm256_unpackhi_epi32(x[i], x[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
      x[i] = _mm256_unpacklo_epi64(y[i], y[i + 2]);
      x[i + 1] = _mm256_unpackhi_epi64(y[i], y[i + 2]);
      x[i + 2] = _mm256_unpacklo_epi64(y[i + 1], y[i + 3]);
      x[i + 3] = _mm256_unpackhi_epi64(y[i + 1], y[i + 3]);
    }
    for (int c = 0; c < 4; c++) {
      w[8 * half + c] = _mm256_permute2x128_si256(x[c], x[4 + c], 0x20);
      w[8 * half + 4 + c] = _mm256_permute2x128_si256(x[c], x[4 + c], 0x31);
    }
  }
}

#define VC_SHA256_NAME vc_sha256_avx2
#include "sha256_lanes.h"
#else
typedef int vc_sha256_avx2_not_built;
#endif
