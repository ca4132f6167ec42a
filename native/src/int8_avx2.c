/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: 8 columns a vector. Bytes are widened to 16 bits, since the instruction for bytes saturates; VPMADDWD then
 * multiplies and adds pairs exactly. Tall products take half the multiplications (folded_tile): on processors that add
 * on more ports than they multiply on, that is faster, elsewhere it costs nothing. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_X86_64) && defined(VC_HAVE_AVX2)

#include "int8_256.h"

/* acc += y. Compilers that keep the accumulators of a loop in place only when told to are told. */
VC_INLINE __m256i accumulate(__m256i acc, __m256i y) {
#if defined(_MSC_VER)
  return _mm256_add_epi32(acc, y);
#else
  __asm__("vpaddd %1, %0, %0" : "+x"(acc) : "x"(y));
  return acc;
#endif
}

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
        VC_UNROLL for (int j = 0; j < np; j++) acc[i][j] = accumulate(acc[i][j], _mm256_madd_epi16(v, column[j]));
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

VC_INLINE __m256i pair_of(const uint8_t *p) {
  int32_t pair;
  memcpy(&pair, p, 4);
  return _mm256_set1_epi32(pair);
}

/* Four rows by two panels with half the multiplications (Winograd 1968): with the cross terms c(x) = x0 x2 + x1 x3 of
 * every four consecutive k, x . w = (x0 + w2) (x2 + w0) + (x1 + w3) (x3 + w1) - c(x) - c(w), exact modulo 2^32. */
VC_INLINE void folded_tile(int mr, TILE_ARGS, const int32_t *row_terms, const __m256i start[2]) {
  __m256i acc[4][2];
  const uint8_t *w = b->weights + panel * b->panel_bytes, *x[4];
  const size_t panel_bytes = b->panel_bytes;
  VC_UNROLL for (int i = 0; i < mr; i++) {
    const __m256i term = _mm256_set1_epi32(row_terms[row + (size_t)i]);
    VC_UNROLL for (int j = 0; j < 2; j++) acc[i][j] = _mm256_sub_epi32(start[j], term);
    x[i] = (const uint8_t *)a->rows[row + (size_t)i];
  }
  size_t g = 0;
  const size_t end = a->groups / 2 * 8;
  for (; g < end; g += 8, w += 64) {
    __m256i w0[2], w2[2];
    VC_UNROLL for (int j = 0; j < 2; j++) {
      w0[j] = load(w + (size_t)j * panel_bytes);
      w2[j] = load(w + (size_t)j * panel_bytes + 32);
    }
    VC_UNROLL for (int i = 0; i < mr; i++) {
      const __m256i x0 = pair_of(x[i] + g), x2 = pair_of(x[i] + g + 4);
      VC_UNROLL for (int j = 0; j < 2; j++) {
        const __m256i left = _mm256_add_epi16(x0, w2[j]), right = _mm256_add_epi16(x2, w0[j]);
        acc[i][j] = accumulate(acc[i][j], _mm256_madd_epi16(left, right));
      }
    }
  }
  if (a->groups % 2) {
    VC_UNROLL for (int i = 0; i < mr; i++) {
      const __m256i v = pair_of(x[i] + g);
      VC_UNROLL for (int j = 0; j < 2; j++)
          acc[i][j] = accumulate(acc[i][j], _mm256_madd_epi16(v, load(w + (size_t)j * panel_bytes)));
    }
  }
  const size_t column = panel * NR, element = b->form == VC_FORM_RAW ? 4 : 1;
  store_tile(mr, 2, (uint8_t *)out + (row * out_stride + column) * element, out_stride, b->n - column,
             b->params + panel * vc_params_bytes(NR), b, acc);
}

/* The sum of c(x) over a row. */
static int32_t cross_terms(const int16_t *x, size_t fours) {
  __m256i sum = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 4 <= fours; i += 4, x += 16) {
    const __m256i v = load(x);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(v, _mm256_srli_epi64(v, 32)));
  }
  uint32_t lanes[8], total = 0;
  _mm256_storeu_si256((__m256i *)(void *)lanes, sum);
  for (int k = 0; k < 8; k++) total += lanes[k];
  for (; i < fours; i++, x += 4) total += (uint32_t)(x[0] * x[2] + x[1] * x[3]);
  return (int32_t)total;
}

#define FOLDED_CASE(mr)                                                 \
  case mr:                                                              \
    folded_tile(mr, out, out_stride, a, row, b, panel, row_terms, start); \
    break;

static void folded_strip(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b, size_t panel,
                         const int32_t *row_terms) {
  __m256i start[2];
  for (size_t j = 0; j < 2; j++) {
    const uint8_t *w = b->weights + (panel + j) * b->panel_bytes;
    start[j] = load(b->params + (panel + j) * vc_params_bytes(NR));
    for (size_t g = 0; g < a->groups / 2; g++, w += 64)
      start[j] = _mm256_sub_epi32(start[j], _mm256_madd_epi16(load(w), load(w + 32)));
  }
  for (size_t row = 0; row < a->m; row += 4) {
    switch (a->m - row < 4 ? a->m - row : 4) { FOLDED_CASE(1) FOLDED_CASE(2) FOLDED_CASE(3) FOLDED_CASE(4) }
  }
}

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  size_t panels = (b->n + NR - 1) / NR, panel = 0;
  if (a->segments == 1 && a->m >= 16 && panels >= 4) {
    int32_t row_terms[VC_ROWS];
    for (size_t i = 0; i < a->m; i++) row_terms[i] = cross_terms((const int16_t *)a->rows[i], a->groups / 2);
    for (; panels - panel >= 2; panel += 2) folded_strip(out, out_stride, a, b, panel, row_terms);
  }
  for (; panels - panel >= 2; panel += 2) strip_2(out, out_stride, a, b, panel);
  if (panels - panel == 1) strip_1(out, out_stride, a, b, panel);
}

/* Eight chains of the folded product, 32 products each a round; in assembly, or compilers multiply once. */
static uint64_t peak(uint64_t rounds) {
#if defined(_MSC_VER)
  (void)rounds;
  return 0;
#else
  __m256i acc[8], x0 = _mm256_set1_epi16(3), x2 = _mm256_set1_epi16(4), w = _mm256_set1_epi16(5);
  VC_UNROLL for (int i = 0; i < 8; i++) acc[i] = _mm256_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
    VC_UNROLL for (int i = 0; i < 8; i++) {
      __m256i left, right;
      __asm__ volatile("vpaddw %3, %2, %0\n\tvpaddw %4, %2, %1\n\tvpmaddwd %1, %0, %0"
                       : "=&x"(left), "=&x"(right)
                       : "x"(w), "x"(x0), "x"(x2));
      acc[i] = accumulate(acc[i], left);
    }
  }
  VC_UNROLL for (int i = 1; i < 8; i++) acc[0] = _mm256_add_epi32(acc[0], acc[i]);
  volatile int32_t used = _mm_cvtsi128_si32(_mm256_castsi256_si128(acc[0]));
  (void)used;
  return rounds * 8 * 32;
#endif
}

const vc_int8_kernels vc_int8_avx2 = {"avx2", VC_CPU_AVX2, &LAYOUT, gemm, depthwise, add, lookup, widen, peak};

#else
typedef int vc_int8_avx2_is_absent; /* a translation unit is not empty */
#endif
