/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: 8 columns a vector. Bytes are widened to 16 bits, since the instruction for bytes saturates; VPMADDWD then
 * multiplies and adds pairs exactly. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_X86_64) && defined(VC_HAVE_AVX2)

#include "int8_256.h"

static const vc_layout LAYOUT = {.nr = NR, .kr = 2, .element = 2, .interleave_add = 8, DEPTHWISE_LAYOUT};

VC_INLINE void tile(int mr, int np, TILE_ARGS) {
  __m256i acc[8][2];
  const uint8_t *w = b->weights + panel * b->panel_bytes, *x[8];
  const size_t panel_bytes = b->panel_bytes;
  VC_UNROLL for (int j = 0; j < np; j++) {
    __m256i bias = load(b->params + (panel + (size_t)j) * vc_params_bytes(NR));
    VC_UNROLL for (int i = 0; i < mr; i++) acc[i][j] = bias;
  }
  VC_UNROLL for (int i = 0; i < mr; i++) x[i] = (const uint8_t *)a->rows[row + (size_t)i];
  for (size_t s = a->segments; s > 0; s--) {
    for (size_t g = 0; g < 4 * a->groups; g += 4, w += 32) {
      __m256i column[2];
      VC_UNROLL for (int j = 0; j < np; j++) column[j] = load(w + (size_t)j * panel_bytes);
      VC_UNROLL for (int i = 0; i < mr; i++) {
        int32_t pair;
        memcpy(&pair, x[i] + g, 4);
        __m256i v = _mm256_set1_epi32(pair);
        VC_UNROLL for (int j = 0; j < np; j++) acc[i][j] = _mm256_add_epi32(acc[i][j], _mm256_madd_epi16(v, column[j]));
      }
    }
    VC_UNROLL for (int i = 0; i < mr; i++) x[i] += a->stride;
  }
  const size_t column = panel * NR, element = b->form == VC_FORM_RAW ? 4 : 1;
  store_tile(mr, np, (uint8_t *)out + (row * out_stride + column) * element, out_stride, b->n - column,
             b->params + panel * vc_params_bytes(NR), b, acc);
}

#define CASES_6(np) TILE_CASE(1, np) TILE_CASE(2, np) TILE_CASE(3, np) TILE_CASE(4, np) TILE_CASE(5, np) TILE_CASE(6, np)
TILE_STRIP(2, 6, CASES_6(2))
TILE_STRIP(1, 6, CASES_6(1))

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  size_t panels = (b->n + NR - 1) / NR, panel = 0;
  for (; panels - panel >= 2; panel += 2) strip_2(out, out_stride, a, b, panel);
  if (panels - panel == 1) strip_1(out, out_stride, a, b, panel);
}

/* Ten chains of VPMADDWD and VPADDD, 16 products each a round; in assembly, or compilers multiply once. */
static uint64_t peak(uint64_t rounds) {
#if defined(_MSC_VER)
  (void)rounds;
  return 0;
#else
  __m256i acc[10], x = _mm256_set1_epi16(3), w = _mm256_set1_epi16(5);
  VC_UNROLL for (int i = 0; i < 10; i++) acc[i] = _mm256_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
    VC_UNROLL for (int i = 0; i < 10; i++) {
      __m256i t;
      __asm__ volatile("vpmaddwd %2, %1, %0" : "=x"(t) : "x"(x), "x"(w));
      __asm__("vpaddd %1, %0, %0" : "+x"(acc[i]) : "x"(t));
    }
    __asm__ volatile("" : "+x"(x)); /* nothing is loop-invariant */
  }
  VC_UNROLL for (int i = 1; i < 10; i++) acc[0] = _mm256_add_epi32(acc[0], acc[i]);
  volatile int32_t used = _mm_cvtsi128_si32(_mm256_castsi256_si128(acc[0]));
  (void)used;
  return rounds * 10 * 16;
#endif
}

const vc_int8_kernels vc_int8_avx2 = {"avx2", VC_CPU_AVX2, &LAYOUT, gemm, depthwise, add, lookup, widen, peak};

#else
typedef int vc_int8_avx2_is_absent; /* a translation unit is not empty */
#endif
