/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-VNNI: 8 columns a vector, two vectors a panel, four products a lane. VPDPBUSD multiplies unsigned by signed bytes, so x is made unsigned
 * by flipping its top bit; the packed bias takes 128 times the weights' sum off. Depthwise kernels are those of AVX2. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_X86_64) && defined(VC_HAVE_AVXVNNI)

#include "int8_256.h"

/* The twin with the EVEX encoding of AVX-512 is for testing this file where only that is there. */
#if defined(VC_AVXVNNI_AS_EVEX)
#define DOT4 _mm256_dpbusd_epi32
#define NEEDS (VC_NEEDS_AVX512VNNI | (uint32_t)VC_CPU_AVX2)
#else
#define DOT4 _mm256_dpbusd_avx_epi32
#define NEEDS ((uint32_t)(VC_CPU_AVX2 | VC_CPU_AVXVNNI))
#endif

static const vc_layout LAYOUT = {.nr = NR, .kr = 4, .element = 1, .x_offset = 128, .interleave_add = 8, DEPTHWISE_LAYOUT};

VC_INLINE void tile(int mr, int halves, TILE_ARGS) {
  __m256i acc[8][2];
  const uint8_t *w = b->weights + panel * b->panel_bytes, *x[8];
  VC_UNROLL for (int j = 0; j < halves; j++) {
    __m256i bias = load(b->params + panel * vc_params_bytes(NR) + 32 * j);
    VC_UNROLL for (int i = 0; i < mr; i++) acc[i][j] = bias;
  }
  VC_UNROLL for (int i = 0; i < mr; i++) x[i] = (const uint8_t *)a->rows[row + (size_t)i];
  for (size_t s = a->segments; s > 0; s--) {
    for (size_t g = 0; g < 4 * a->groups; g += 4, w += 64) {
      __m256i column[2];
      VC_UNROLL for (int j = 0; j < halves; j++) column[j] = load(w + 32 * j);
      VC_UNROLL for (int i = 0; i < mr; i++) {
        int32_t quad;
        memcpy(&quad, x[i] + g, 4);
        __m256i v = _mm256_xor_si256(_mm256_set1_epi32(quad), _mm256_set1_epi8(-128));
        VC_UNROLL for (int j = 0; j < halves; j++) acc[i][j] = DOT4(acc[i][j], v, column[j]);
      }
    }
    VC_UNROLL for (int i = 0; i < mr; i++) x[i] += a->stride;
  }
  const size_t column = panel * NR, element = b->form == VC_FORM_RAW ? 4 : 1;
  store_tile(mr, halves, (uint8_t *)out + (row * out_stride + column) * element, out_stride, b->n - column,
             b->params + panel * vc_params_bytes(NR), b, acc);
}

#define CASES_6(halves) TILE_CASE(1, halves) TILE_CASE(2, halves) TILE_CASE(3, halves) TILE_CASE(4, halves) TILE_CASE(5, halves) TILE_CASE(6, halves)
TILE_STRIP(2, 6, CASES_6(2))
TILE_STRIP(1, 6, CASES_6(1))

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  for (size_t panel = 0; panel * NR < b->n; panel++)
    (b->n - panel * NR > 8 ? strip_2 : strip_1)(out, out_stride, a, b, panel);
}

/* Ten chains of VPDPBUSD, 32 products each a round. */
static uint64_t peak(uint64_t rounds) {
  __m256i acc[10], x = _mm256_set1_epi8(3), w = _mm256_set1_epi8(5);
  VC_UNROLL for (int i = 0; i < 10; i++) acc[i] = _mm256_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
#if !defined(_MSC_VER)
    __asm__ volatile("" : "+x"(x)); /* nothing is loop-invariant */
#endif
    VC_UNROLL for (int i = 0; i < 10; i++) acc[i] = DOT4(acc[i], x, w);
  }
  VC_UNROLL for (int i = 1; i < 10; i++) acc[0] = _mm256_add_epi32(acc[0], acc[i]);
  volatile int32_t used = _mm_cvtsi128_si32(_mm256_castsi256_si128(acc[0]));
  (void)used;
  return rounds * 10 * 32;
}

const vc_int8_kernels vc_int8_avxvnni = {"avxvnni", NEEDS, &LAYOUT, gemm, depthwise, add, lookup, NULL, peak, NULL};

#else
typedef int vc_int8_avxvnni_is_absent; /* a translation unit is not empty */
#endif
