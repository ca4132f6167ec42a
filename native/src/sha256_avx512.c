/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen messages at a time. */
#if defined(VC_HAVE_AVX512)
#include <immintrin.h>
#include <stdint.h>

#define LANES 16
typedef __m512i v32;
#define ADD(a, b) _mm512_add_epi32(a, b)
#define XOR(a, b) _mm512_xor_si512(a, b)
#define SHR(a, n) _mm512_srli_epi32(a, (unsigned)(n))
#define ROR(a, n) _mm512_rorv_epi32(a, _mm512_set1_epi32(n))
#define CHOOSE(e, f, g) _mm512_ternarylogic_epi32(e, f, g, 0xca)
#define MAJORITY(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)
#define SET1(x) _mm512_set1_epi32((int)(x))
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, a) _mm512_storeu_si512(p, a)

/* w[i] lane l = big-endian word i of block l: a transposition of 16 x 16 words. */
static inline void gather(v32 w[16], const uint8_t *const *blocks) {
  const v32 swap = _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  v32 x[16], y[16];
  for (int i = 0; i < 16; i++) x[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(blocks[i]), swap);
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  /* x[4q + c], 128-bit part p: words 4p + c of blocks 4q .. 4q + 3. */
  for (int c = 0; c < 4; c++) {
    v32 a = _mm512_shuffle_i32x4(x[c], x[4 + c], 0x88), b = _mm512_shuffle_i32x4(x[c], x[4 + c], 0xdd);
    v32 d = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0x88), e = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0xdd);
    w[c] = _mm512_shuffle_i32x4(a, d, 0x88);
    w[8 + c] = _mm512_shuffle_i32x4(a, d, 0xdd);
    w[4 + c] = _mm512_shuffle_i32x4(b, e, 0x88);
    w[12 + c] = _mm512_shuffle_i32x4(b, e, 0xdd);
  }
}

#define VC_SHA256_NAME vc_sha256_avx512
#include "sha256_lanes.h"
#else
typedef int vc_sha256_avx512_not_built;
#endif
