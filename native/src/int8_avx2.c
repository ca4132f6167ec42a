/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: 8 columns a vector, two vectors a panel. Bytes are widened to 16 bits, since the instruction for bytes saturates; VPMADDWD then
 * multiplies and adds pairs exactly. Products take half the multiplications (see tile): on processors that add on more
 * ports than they multiply on, that is faster, elsewhere it costs nothing. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_X86_64) && defined(VC_HAVE_AVX2)

#include "int8_256.h"

/* acc += (x0 + w2) (x2 + w0) in pairs of 16 bits. In this order and in place, or compilers spread the four over the loop,
 * which costs 3 to 5 %. */
VC_INLINE __m256i fold(__m256i acc, __m256i x0, __m256i x2, __m256i w0, __m256i w2) {
#if defined(_MSC_VER)
  return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_add_epi16(x0, w2), _mm256_add_epi16(x2, w0)));
#else
  __m256i left, right;
  __asm__("vpaddw %[w2], %[x0], %[left]\n\tvpaddw %[w0], %[x2], %[right]\n\t"
          "vpmaddwd %[right], %[left], %[left]\n\tvpaddd %[left], %[acc], %[acc]"
          : [acc] "+x"(acc), [left] "=&x"(left), [right] "=&x"(right)
          : [x0] "x"(x0), [x2] "x"(x2), [w0] "x"(w0), [w2] "x"(w2));
  return acc;
#endif
}

static const vc_layout LAYOUT = {.nr = NR, .kr = 2, .element = 2, .folded = 1, .interleave_add = 8, DEPTHWISE_LAYOUT};

/* Rows are arranged by fours: a vector of 32 bytes holds four consecutive elements of each, widened. In front of a block
 * stand the rows' cross terms. */
#define ROWS 4
#define BLOCK_HEAD 32

/* Sixteen elements of four rows, each at x[i]; returns the cross terms as the low halves of 64-bit lanes. */
VC_INLINE __m256i arrange16(uint8_t *out, const int8_t *const x[ROWS]) {
  __m128i r[ROWS], t[4], u[4];
  __m256i cross = _mm256_setzero_si256();
  VC_UNROLL for (int i = 0; i < ROWS; i++) r[i] = _mm_loadu_si128((const __m128i *)(const void *)x[i]);
  t[0] = _mm_unpacklo_epi32(r[0], r[1]);
  t[1] = _mm_unpacklo_epi32(r[2], r[3]);
  t[2] = _mm_unpackhi_epi32(r[0], r[1]);
  t[3] = _mm_unpackhi_epi32(r[2], r[3]);
  u[0] = _mm_unpacklo_epi64(t[0], t[1]);
  u[1] = _mm_unpackhi_epi64(t[0], t[1]);
  u[2] = _mm_unpacklo_epi64(t[2], t[3]);
  u[3] = _mm_unpackhi_epi64(t[2], t[3]);
  VC_UNROLL for (int k = 0; k < 4; k++) {
    const __m256i v = _mm256_cvtepi8_epi16(u[k]);
    _mm256_storeu_si256((__m256i *)(void *)(out + 32 * k), v);
    cross = _mm256_add_epi32(cross, _mm256_madd_epi16(v, _mm256_srli_epi64(v, 32)));
  }
  return cross;
}

/* One block of n elements a row. */
static void arrange_block(uint8_t *out, const int8_t *const rows[ROWS], size_t n) {
  uint8_t *head = out;
  const int8_t *x[ROWS];
  __m256i cross = _mm256_setzero_si256();
  size_t k = 0;
  memcpy(x, rows, sizeof x);
  for (out += BLOCK_HEAD; k + 16 <= n; k += 16, out += 128) {
    cross = _mm256_add_epi32(cross, arrange16(out, x));
    VC_UNROLL for (int i = 0; i < ROWS; i++) x[i] += 16;
  }
  if (k < n) {
    int8_t rest[ROWS][16] = {{0}};
    const int8_t *const at[ROWS] = {rest[0], rest[1], rest[2], rest[3]};
    for (int i = 0; i < ROWS; i++) memcpy(rest[i], x[i], n - k);
    cross = _mm256_add_epi32(cross, arrange16(out, at));
  }
  cross = _mm256_permutevar8x32_epi32(cross, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
  _mm256_storeu_si256((__m256i *)(void *)head, cross);
}

static void arrange(vc_rows *a, uint8_t *scratch) {
  const size_t piece = a->groups * 2, n = piece * a->segments, block_bytes = BLOCK_HEAD + 8 * vc_round_up(n, 16);
  int8_t *whole = (int8_t *)scratch + (VC_ROWS / ROWS) * block_bytes; /* four rows in one piece each */
  for (size_t first = 0; first < a->m; first += ROWS, scratch += block_bytes) {
    const int8_t *x[ROWS];
    for (size_t i = 0; i < ROWS; i++) { /* rows that are not there repeat the last one */
      x[i] = (const int8_t *)a->rows[first + i < a->m ? first + i : a->m - 1];
      if (a->segments == 1) continue;
      for (size_t s = 0; s < a->segments; s++) memcpy(whole + i * n + s * piece, x[i] + s * a->stride, piece);
      x[i] = whole + i * n;
    }
    arrange_block(scratch, x, n);
    a->rows[first] = scratch;
  }
  a->groups *= a->segments;
  a->segments = 1;
}

VC_INLINE __m256i pair_of(const uint8_t *p) {
  int32_t pair;
  memcpy(&pair, p, 4);
  return _mm256_set1_epi32(pair);
}

/* Four elements of `mr` rows by `halves` halves of a panel. */
VC_INLINE void step(int mr, int halves, __m256i acc[ROWS][2], const uint8_t *x, const uint8_t *w) {
  __m256i x0 = pair_of(x), x2 = pair_of(x + 4), w0[2], w2[2];
  VC_UNROLL for (int j = 0; j < halves; j++) { /* loads spread as evenly as they can be */
    w0[j] = load(w + 32 * j);
    w2[j] = load(w + 64 + 32 * j);
    acc[0][j] = fold(acc[0][j], x0, x2, w0[j], w2[j]);
  }
  VC_UNROLL for (int i = 1; i < mr; i++) {
    x0 = pair_of(x + 8 * i);
    x2 = pair_of(x + 8 * i + 4);
    VC_UNROLL for (int j = 0; j < halves; j++) acc[i][j] = fold(acc[i][j], x0, x2, w0[j], w2[j]);
  }
}

/* The same for a whole tile. All four vector ports are busy here, and what the loads cost depends on where they stand and
 * on how early a register is free for them: this order takes 4 % less time than the one above. It uses all 16 registers. */
VC_INLINE void whole_step(__m256i acc[ROWS][2], const uint8_t *x, const uint8_t *w) {
#if defined(_MSC_VER)
  step(ROWS, 2, acc, x, w);
#else
#define X(offset, to) "vpbroadcastd " #offset "(%[x]), %[" #to "]\n\t"
#define W(offset, to) "vmovdqu " #offset "(%[w]), %[" #to "]\n\t"
#define ADD(p, q, to) "vpaddw %[" #p "], %[" #q "], %[" #to "]\n\t"
#define MUL(p, q, to) "vpmaddwd %[" #p "], %[" #q "], %[" #to "]\n\t"
#define SUM(p, to) "vpaddd %[" #p "], %[" #to "], %[" #to "]\n\t"
  __m256i a, b, c, d, e, f, g, h;
  __asm__(X(0, a) X(4, b) W(0, c) W(64, d) ADD(c, b, e) ADD(d, a, f) MUL(e, f, f) W(32, e) W(96, g) SUM(f, s0)
          ADD(e, b, b) ADD(g, a, a) X(8, f) X(12, h) MUL(b, a, b) SUM(b, s1)
          ADD(c, h, b) ADD(d, f, a) ADD(g, f, f) ADD(e, h, h) MUL(b, a, b) SUM(b, s2) MUL(h, f, h) SUM(h, s3)
          X(20, h) X(16, f) ADD(d, f, b) ADD(g, f, f) ADD(e, h, a) ADD(c, h, h) MUL(h, b, b) SUM(b, s4) MUL(a, f, f)
          X(24, a) X(28, b) SUM(f, s5) ADD(c, b, c) ADD(d, a, d) MUL(c, d, d) SUM(d, s6)
          ADD(g, a, g) ADD(e, b, e) MUL(e, g, e) SUM(e, s7)
          : [s0] "+x"(acc[0][0]), [s1] "+x"(acc[0][1]), [s2] "+x"(acc[1][0]), [s3] "+x"(acc[1][1]),
            [s4] "+x"(acc[2][0]), [s5] "+x"(acc[2][1]), [s6] "+x"(acc[3][0]), [s7] "+x"(acc[3][1]),
            [a] "=&x"(a), [b] "=&x"(b), [c] "=&x"(c), [d] "=&x"(d), [e] "=&x"(e), [f] "=&x"(f), [g] "=&x"(g), [h] "=&x"(h)
          : [x] "r"(x), [w] "r"(w), "m"(*(const uint8_t(*)[32])x), "m"(*(const uint8_t(*)[128])w));
#undef X
#undef W
#undef ADD
#undef MUL
#undef SUM
#endif
}

/* Up to four rows by one or two halves of a panel. With the cross terms c(x) = x0 x2 + x1 x3 of every four consecutive elements,
 * x . w = (x0 + w2) (x2 + w0) + (x1 + w3) (x3 + w1) - c(x) - c(w) (Winograd 1968), exact modulo 2^32; the bias has
 * c(w) taken off already. */
VC_INLINE void tile(int mr, int halves, TILE_ARGS) {
  __m256i acc[ROWS][2];
  const uint8_t *w = b->weights + panel * b->panel_bytes, *x = (const uint8_t *)a->rows[row];
  VC_UNROLL for (int i = 0; i < mr; i++) {
    const __m256i cross = pair_of(x + 4 * i);
    VC_UNROLL for (int j = 0; j < halves; j++)
        acc[i][j] = _mm256_sub_epi32(load(b->params + panel * vc_params_bytes(NR) + 32 * j), cross);
  }
  x += BLOCK_HEAD;
  for (const uint8_t *end = x + (a->groups + 1) / 2 * 32; x != end; x += 32, w += 128) {
    if (mr == ROWS && halves == 2)
      whole_step(acc, x, w);
    else
      step(mr, halves, acc, x, w);
  }
  const size_t column = panel * NR, element = b->form == VC_FORM_RAW ? 4 : 1;
  store_tile(mr, halves, (uint8_t *)out + (row * out_stride + column) * element, out_stride, b->n - column,
             b->params + panel * vc_params_bytes(NR), b, acc);
}

#define CASES(halves) TILE_CASE(1, halves) TILE_CASE(2, halves) TILE_CASE(3, halves) TILE_CASE(4, halves)
TILE_STRIP(2, ROWS, CASES(2))
TILE_STRIP(1, ROWS, CASES(1))

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  for (size_t panel = 0; panel * NR < b->n; panel++)
    (b->n - panel * NR > 8 ? strip_2 : strip_1)(out, out_stride, a, b, panel);
}

/* Pairs of rows side by side in 16 bits; the biases lose the cross terms. */
static void pack(uint8_t *out, int32_t *bias, const int8_t *b, size_t stride, size_t quads) {
  __m256i left[2] = {load(bias), load(bias + 8)};
  for (const uint8_t *end = out + quads * 128; out != end; out += 128, b += 4 * stride) {
    __m128i r[4];
    __m256i w[4];
    VC_UNROLL for (size_t i = 0; i < 4; i++) r[i] = _mm_loadu_si128((const __m128i *)(const void *)(b + i * stride));
    VC_UNROLL for (int i = 0; i < 2; i++) {
      w[2 * i] = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(r[2 * i], r[2 * i + 1]));
      w[2 * i + 1] = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(r[2 * i], r[2 * i + 1]));
    }
    VC_UNROLL for (int i = 0; i < 4; i++) _mm256_storeu_si256((__m256i *)(void *)out + i, w[i]);
    VC_UNROLL for (int j = 0; j < 2; j++) left[j] = _mm256_sub_epi32(left[j], _mm256_madd_epi16(w[j], w[2 + j]));
  }
  VC_UNROLL for (int j = 0; j < 2; j++) _mm256_storeu_si256((__m256i *)(void *)(bias + 8 * j), left[j]);
}

/* Eight chains of the folded product, 32 products each a round. */
static uint64_t peak(uint64_t rounds) {
#if defined(_MSC_VER) /* which would multiply once */
  (void)rounds;
  return 0;
#else
  const __m256i x0 = _mm256_set1_epi16(3), x2 = _mm256_set1_epi16(4), w = _mm256_set1_epi16(5);
  __m256i acc[8];
  VC_UNROLL for (int i = 0; i < 8; i++) acc[i] = _mm256_set1_epi32(i);
  for (uint64_t r = 0; r < rounds; r++) {
    VC_UNROLL for (int i = 0; i < 8; i++) acc[i] = fold(acc[i], x0, x2, w, w);
  }
  VC_UNROLL for (int i = 1; i < 8; i++) acc[0] = _mm256_add_epi32(acc[0], acc[i]);
  volatile int32_t used = _mm_cvtsi128_si32(_mm256_castsi256_si128(acc[0]));
  (void)used;
  return rounds * 8 * 32;
#endif
}

const vc_int8_kernels vc_int8_avx2 = {"avx2", VC_CPU_AVX2, &LAYOUT, gemm, depthwise, add, lookup, arrange, peak, pack};

#else
typedef int vc_int8_avx2_is_absent; /* a translation unit is not empty */
#endif
