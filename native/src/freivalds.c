/* SPDX-License-Identifier: Apache-2.0 */
#include "freivalds.h"

#include <string.h>

#include "cpu.h"
#include "vcompute.h"

#define EPSILON UINT64_C(0xffffffff) /* 2^64 mod p */
#define GROUP 64u                    /* rows whose sums are in flight */
#define PANEL 64u                    /* columns transposed at a time */

static const vc_freivalds_kernel *kernel(void) {
#if defined(VC_HAVE_AVX512VNNI)
  if (vc_cpu_has(VC_NEEDS_AVX512VNNI)) return &vc_freivalds_avx512vnni;
#endif
#if defined(VC_HAVE_AVX2)
  if (vc_cpu_has(VC_CPU_AVX2)) return &vc_freivalds_avx2;
#endif
  return &vc_freivalds_portable;
}

static uint64_t add(uint64_t a, uint64_t b) {
  uint64_t s = a + b;
  if (s < a) s += EPSILON;
  return s >= VC_FREIVALDS_P ? s - VC_FREIVALDS_P : s;
}

/* x * 2^s, s < 32. */
static uint64_t shift(uint64_t x, unsigned s) {
  if (s == 0) return x;
  uint64_t low = x << s;
  if (low >= VC_FREIVALDS_P) low -= VC_FREIVALDS_P;
  return add(low, (x >> (64 - s)) * EPSILON);
}

static uint64_t element(int64_t x) { return x < 0 ? (uint64_t)x + VC_FREIVALDS_P : (uint64_t)x; }

/* The sum of d[l] * 2^(bits * l), |d[l]| < 2^32, bits * digits = 64. */
static uint64_t combine(const int64_t *d, uint32_t digits, uint32_t bits) {
  int64_t half[2] = {0, 0}; /* of magnitude below 2^58 */
  for (uint32_t l = 0; l < digits; l++) half[l / (digits / 2)] += d[l] * ((int64_t)1 << (bits * (l % (digits / 2))));
  /* half[1] * 2^32 = low * 2^32 + high * 2^64, and low * 2^32 < p. */
  uint64_t low = (uint32_t)half[1];
  int64_t high = (half[1] - (int64_t)low) / ((int64_t)1 << 32);
  return add(low << 32, element(half[0] + high * (int64_t)EPSILON));
}

/* out += one chunk's contribution. */
static void project_chunk(const vc_freivalds_kernel *k, uint64_t *out, const uint8_t *matrix, size_t rows, size_t bytes,
                          size_t stride, uint32_t flip, const void *packed) {
  int64_t acc[GROUP * 16];
  for (size_t i = 0; i < rows; i += GROUP) {
    size_t n = rows - i < GROUP ? rows - i : GROUP;
    k->rows(acc, matrix + i * stride, n, bytes, stride, flip, packed);
    for (size_t j = 0; j < 2 * n; j++)
      out[2 * i + j] = add(out[2 * i + j], combine(acc + j * k->digits, k->digits, k->digit_bits));
  }
}

/* Words of scratch for the digits of a chunk, in whole blocks of VC_FREIVALDS_BLOCK. */
static size_t packed_words(const vc_freivalds_kernel *k, size_t count) {
  size_t chunk = count < VC_FREIVALDS_CHUNK ? count : VC_FREIVALDS_CHUNK;
  size_t blocks = (chunk + VC_FREIVALDS_BLOCK - 1) / VC_FREIVALDS_BLOCK;
  return blocks * VC_FREIVALDS_BLOCK * k->packed_bytes / sizeof(uint64_t);
}

/* Bytes between the rows of a transposed panel: not a power of two. */
static size_t panel_stride(size_t rows) {
  size_t chunk = rows < VC_FREIVALDS_CHUNK ? rows : VC_FREIVALDS_CHUNK;
  return (chunk + 63) / 64 * 64 + 64;
}

size_t vc_freivalds_scratch_i8(size_t cols) { return packed_words(kernel(), cols); }

size_t vc_freivalds_scratch_i32(size_t cols) {
  return packed_words(kernel(), cols < VC_FREIVALDS_CHUNK ? 4 * cols : VC_FREIVALDS_CHUNK);
}

size_t vc_freivalds_scratch_i8_transposed(size_t rows) {
  return packed_words(kernel(), rows) + PANEL * panel_stride(rows) / sizeof(uint64_t);
}

void vc_freivalds_project_i8(uint64_t *out, const int8_t *matrix, size_t rows, size_t cols, const uint64_t *vector,
                             uint64_t *scratch) {
  const vc_freivalds_kernel *k = kernel();
  memset(out, 0, rows * 2 * sizeof *out);
  for (size_t base = 0; base < cols; base += VC_FREIVALDS_CHUNK) {
    size_t n = cols - base < VC_FREIVALDS_CHUNK ? cols - base : VC_FREIVALDS_CHUNK;
    k->pack(scratch, vector + 2 * base, n);
    project_chunk(k, out, (const uint8_t *)matrix + base, rows, n, cols, 0, scratch);
  }
}

/* Write the digits of the elements times 1, 2^8, 2^16, 2^24; a block at a time, as the layouts allow. */
static void pack_stretched(const vc_freivalds_kernel *k, uint64_t *packed, const uint64_t *vector, size_t count) {
  uint64_t block[2 * VC_FREIVALDS_BLOCK];
  const size_t step = VC_FREIVALDS_BLOCK / 4;
  for (size_t base = 0; base < count; base += step) {
    size_t n = count - base < step ? count - base : step;
    for (size_t j = 0; j < n; j++)
      for (unsigned b = 0; b < 4; b++)
        for (size_t c = 0; c < 2; c++) block[8 * j + 2 * b + c] = shift(vector[2 * (base + j) + c], 8 * b);
    k->pack(packed, block, 4 * n);
    packed += VC_FREIVALDS_BLOCK * k->packed_bytes / sizeof *packed;
  }
}

/* What 128 + 128 * 2^8 + 128 * 2^16 off every entry takes off a row. */
static void flip_constant(uint64_t constant[2], const uint64_t *vector, size_t cols) {
  for (size_t c = 0; c < 2; c++) {
    uint64_t sum = 0;
    for (size_t j = 0; j < cols; j++) sum = add(sum, vector[2 * j + c]);
    constant[c] = add(shift(sum, 7), add(shift(sum, 15), shift(sum, 23)));
  }
}

void vc_freivalds_project_i32(uint64_t *out, const int32_t *matrix, size_t rows, size_t cols, const uint64_t *vector,
                              uint64_t *scratch) {
  const vc_freivalds_kernel *k = kernel();
  const size_t step = VC_FREIVALDS_CHUNK / 4;
  uint64_t constant[2];
  flip_constant(constant, vector, cols);
  for (size_t i = 0; i < 2 * rows; i++) out[i] = constant[i & 1];
  for (size_t base = 0; base < cols; base += step) {
    size_t n = cols - base < step ? cols - base : step;
    pack_stretched(k, scratch, vector + 2 * base, n);
    project_chunk(k, out, (const uint8_t *)(matrix + base), rows, 4 * n, 4 * cols, VC_FREIVALDS_FLIP, scratch);
  }
}

static uint64_t load8(const uint8_t *p) {
  return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 |
         (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static void store8(uint8_t *p, uint64_t x) {
  p[0] = (uint8_t)x, p[1] = (uint8_t)(x >> 8), p[2] = (uint8_t)(x >> 16), p[3] = (uint8_t)(x >> 24);
  p[4] = (uint8_t)(x >> 32), p[5] = (uint8_t)(x >> 40), p[6] = (uint8_t)(x >> 48), p[7] = (uint8_t)(x >> 56);
}

/* Swap the off-diagonal parts of a pair of words: one step of a transposition by halves. */
static void swap(uint64_t *a, uint64_t *b, unsigned s, uint64_t mask) {
  uint64_t t = ((*a >> s) ^ *b) & mask;
  *a ^= t << s;
  *b ^= t;
}

static void transpose_8x8(uint8_t *out, size_t out_stride, const uint8_t *in, size_t in_stride) {
  uint64_t x[8];
  for (size_t i = 0; i < 8; i++) x[i] = load8(in + i * in_stride);
  for (size_t i = 0; i < 4; i++) swap(&x[i], &x[i + 4], 32, UINT64_C(0x00000000ffffffff));
  for (size_t i = 0; i < 8; i += 4) {
    swap(&x[i], &x[i + 2], 16, UINT64_C(0x0000ffff0000ffff));
    swap(&x[i + 1], &x[i + 3], 16, UINT64_C(0x0000ffff0000ffff));
  }
  for (size_t i = 0; i < 8; i += 2) swap(&x[i], &x[i + 1], 8, UINT64_C(0x00ff00ff00ff00ff));
  for (size_t i = 0; i < 8; i++) store8(out + i * out_stride, x[i]);
}

static void transpose(uint8_t *out, size_t out_stride, const uint8_t *in, size_t rows, size_t cols, size_t in_stride) {
  size_t whole_rows = rows / 8 * 8, whole_cols = cols / 8 * 8;
  for (size_t i = 0; i < whole_rows; i += 8)
    for (size_t j = 0; j < whole_cols; j += 8)
      transpose_8x8(out + j * out_stride + i, out_stride, in + i * in_stride + j, in_stride);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = i < whole_rows ? whole_cols : 0; j < cols; j++) out[j * out_stride + i] = in[i * in_stride + j];
}

void vc_freivalds_project_i8_transposed(uint64_t *out, const int8_t *matrix, size_t rows, size_t cols,
                                        const uint64_t *vector, uint64_t *scratch) {
  const vc_freivalds_kernel *k = kernel();
  uint8_t *panel = (uint8_t *)(scratch + packed_words(k, rows));
  const size_t stride = panel_stride(rows);
  memset(out, 0, cols * 2 * sizeof *out);
  for (size_t base = 0; base < rows; base += VC_FREIVALDS_CHUNK) {
    size_t n = rows - base < VC_FREIVALDS_CHUNK ? rows - base : VC_FREIVALDS_CHUNK;
    k->pack(scratch, vector + 2 * base, n);
    for (size_t j = 0; j < cols; j += PANEL) {
      size_t m = cols - j < PANEL ? cols - j : PANEL;
      transpose(panel, stride, (const uint8_t *)matrix + base * cols + j, n, m, cols);
      project_chunk(k, out + 2 * j, panel, m, n, stride, 0, scratch);
    }
  }
}
