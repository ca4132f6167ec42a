/* SPDX-License-Identifier: Apache-2.0 */
/* The portable loops of integers.h, compiled once for each instruction set whose compiler vectorises them. Include
 * a vector header, define biased8(p) (VEC_LANES int8, plus 128), wide32(p) (VEC_LANES uint32) and VC_INTEGERS_NAME first, and
 * STREAM_BYTES and stream(to, from), of aligned `to`, where bytes can be written around the caches.
 */
#include <string.h>

#include "integers.h"
#include "requant.h"

#define CHUNK VC_FLOOR_CHUNK

static void affine(int64_t *t, const int32_t *products, const int64_t *slope, const int64_t *offset, size_t n) {
  for (size_t i = 0; i < n; i++)
    t[i] = (int64_t)((uint64_t)(int64_t)products[i] * (uint64_t)slope[i] + (uint64_t)offset[i]);
}

static void sums(int64_t *t, const int8_t *a, const int8_t *b, int64_t slope_a, int64_t slope_b, int64_t offset,
                 size_t n) {
  for (size_t i = 0; i < n; i++)
    t[i] = (int64_t)((uint64_t)(int64_t)a[i] * (uint64_t)slope_a + (uint64_t)(int64_t)b[i] * (uint64_t)slope_b +
                     (uint64_t)offset);
}

/* Bytes are counted, and what they carry: a few hundred thousand rows then stay in the second cache. */
static void count(uint8_t *low, uint32_t *high, const int32_t *rows, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!++low[rows[i]]) high[rows[i]]++;
}

/* Neighbours' keys are often the same, and a count waits for the one before it: so several counts are kept. */
static void count_keys(const vc_floor *p, const int32_t *rows, size_t n) {
  uint8_t *low = p->keys.low;
  uint32_t *high = p->keys.high;
  size_t i = 0;
  for (; i + VC_KEY_COUNTS <= n; i += VC_KEY_COUNTS)
    for (size_t k = 0; k < VC_KEY_COUNTS; k++)
      if (!++low[k * p->rows + (size_t)rows[i + k]]) high[rows[i + k]]++;
  count(low, high, rows + i, n - i);
}

/* Bytes that nobody reads soon: around the caches where the instruction set can, so that counts stay there. */
static void put(int32_t streamed, void *to, const void *from, size_t bytes) {
  uint8_t *out = to;
  const uint8_t *in = from;
#if defined(STREAM_BYTES)
  if (streamed) {
    const size_t most = -(uintptr_t)out % STREAM_BYTES, before = most < bytes ? most : bytes;
    memcpy(out, in, before);
    for (out += before, in += before, bytes -= before; bytes >= STREAM_BYTES; bytes -= STREAM_BYTES) {
      stream(out, in);
      out += STREAM_BYTES, in += STREAM_BYTES;
    }
  }
#else
  (void)streamed;
#endif
  memcpy(out, in, bytes);
}

/* T less its step where that leaves the sign's range: at the change of sign the lower line is taken wherever it may be. */
static inline void take_step(int64_t *t, int8_t *sign, int64_t step, int64_t unit) {
  const int64_t below = *t - step;
  const int64_t negative = below < unit;
  *t = negative ? below : *t;
  *sign = (int8_t)negative;
}

/* t[i] becomes the remainder. Between doubles and words of at most 2^51 by what their sum with 3 * 2^51 looks like; that
 * rounds to the nearest, so the remainder is at least -divisor. */
static void divide(int64_t *t, int64_t *quotient, const int64_t *divisor, const double *inverse, size_t n) {
  const double magic = 6755399441055744.0;
  const int64_t magic_bits = INT64_C(0x4338000000000000);
  for (size_t i = 0; i < n; i++) {
    int64_t bits = t[i] + magic_bits;
    double real;
    memcpy(&real, &bits, sizeof real);
    real = (real - magic) * inverse[i];
    real += magic;
    memcpy(&bits, &real, sizeof bits);
    const int64_t nearest = bits - magic_bits;
    const int64_t rest = t[i] - (int64_t)((uint64_t)nearest * (uint64_t)divisor[i]);
    const int64_t below = rest < 0 ? -1 : 0;
    quotient[i] = nearest + below;
    t[i] = rest + (divisor[i] & below);
  }
}

/* t[i] becomes the remainder, with whatever stands above its bits where the unit is a power of two. */
static void split(const vc_floor *p, int64_t *t, int64_t *quotient, const int64_t *step, size_t phase, size_t n,
                  int8_t *sign) {
  const int unit = p->unit;
  const int64_t *divisor = p->divisor ? p->divisor + phase : NULL;
  if (p->two_sided && divisor)
    for (size_t i = 0; i < n; i++) take_step(t + i, sign + i, step[i], divisor[i]);
  else if (p->two_sided)
    for (size_t i = 0; i < n; i++) take_step(t + i, sign + i, step[i], (int64_t)1 << unit);
  if (divisor)
    divide(t, quotient, divisor, p->inverse + phase, n);
  else
    for (size_t i = 0; i < n; i++) quotient[i] = vc_sra64(t[i], unit);
  if (p->two_sided) return;
  const int64_t zero_point = p->zero_point;
  for (size_t i = 0; i < n; i++) quotient[i] += zero_point;
}

static void cut_limbs(const vc_floor *p, const int64_t *t, size_t phase, size_t n, size_t at) {
  const uint64_t mask = ((uint64_t)1 << p->width) - 1;
  int32_t limb[CHUNK];
  for (int32_t k = 0; k < p->n_limbs; k++) {
    const int32_t shift = k * p->width;
    for (size_t i = 0; i < n; i++) limb[i] = (int32_t)((uint64_t)t[i] >> shift & mask); /* higher bits are not reached */
    put(p->streamed, p->limbs[k] + at, limb, n * sizeof *limb);
    count(p->range.low, p->range.high, limb, n);
  }
  if (!p->divisor) return;
  for (size_t i = 0; i < n; i++) limb[i] += p->gap[phase + i];
  put(p->streamed, p->raised + at, limb, n * sizeof *limb);
  count(p->range.low, p->range.high, limb, n);
}

static int32_t floor_chunk(const vc_floor *p, int64_t *t, const int64_t *step, size_t phase, size_t n, size_t at) {
  int64_t quotient[CHUNK];
  int32_t rows[CHUNK];
  split(p, t, quotient, step, phase, n, p->two_sided ? p->sign + at : NULL);
  const int64_t low = p->low, high = p->high, zero_point = p->two_sided ? p->zero_point : 0, first = p->first;
  const int halved = p->two_sided != 0;
  const uint64_t last = p->rows - 1;
  int8_t *value = p->value + at;
  int32_t key[CHUNK];
  uint64_t outside = 0;
  for (size_t i = 0; i < n; i++) {
    const int64_t y = vc_sra64(quotient[i], halved) + zero_point;
    value[i] = (int8_t)(y < low ? low : y > high ? high : y);
  }
  for (size_t i = 0; i < n; i++) {
    const uint64_t row = (uint64_t)quotient[i] - (uint64_t)first;
    outside |= row > last;
    rows[i] = (int32_t)row;
    key[i] = (int32_t)quotient[i];
  }
  if (outside) return 0;
  put(p->streamed, p->key + at, key, n * sizeof *key);
  count_keys(p, rows, n);
  cut_limbs(p, t, phase, n, at);
  return 1;
}

enum { TILE = 256, TOGETHER = 4 }; /* columns whose sums stay in the first cache; rows added at a time */

/* Sums of both halves of both words of a vector, column by column: below 2^(32 + 8 + 16), or 2^(32 + 20 + 11). */
typedef struct {
  uint64_t half[4][TILE];
} tile;

/* `n` rows, at most TOGETHER, of a tile of whole vectors. */
static inline void add_rows(tile *sums, const uint8_t *matrix, size_t width, size_t n, size_t columns, size_t stride,
                            const uint64_t *vector) {
  vec factor[TOGETHER][4];
  for (size_t r = 0; r < n; r++)
    for (int k = 0; k < 4; k++) factor[r][k] = v_set1(vector[2 * r + (size_t)k / 2] >> 32 * (k % 2) & VC_EPSILON);
  for (size_t c = 0; c < columns; c += VEC_LANES) {
    vec sum[4];
    for (int k = 0; k < 4; k++) sum[k] = v_load(sums->half[k] + c);
    for (size_t r = 0; r < n; r++) {
      const void *entries = matrix + (r * stride + c) * width;
      const vec x = width == 1 ? biased8(entries) : wide32(entries);
      for (int k = 0; k < 4; k++) sum[k] = v_plus(sum[k], v_mul32(x, factor[r][k]));
    }
    for (int k = 0; k < 4; k++) v_store(sums->half[k] + c, sum[k]);
  }
}

static inline void project_tile(uint64_t *out, const uint8_t *matrix, size_t width, size_t rows, size_t columns,
                                size_t stride, const uint64_t *vector) {
  tile sums;
  const size_t whole = (columns + VEC_LANES - 1) / VEC_LANES * VEC_LANES;
  for (int k = 0; k < 4; k++) memset(sums.half[k], 0, whole * sizeof(uint64_t));
  uint8_t copy[TOGETHER * TILE * sizeof(uint32_t)]; /* of rows that end within a vector */
  memset(copy, 0, sizeof copy);
  for (size_t r = 0; r < rows; r += TOGETHER) {
    const size_t n = rows - r < TOGETHER ? rows - r : TOGETHER;
    const uint8_t *from = matrix + r * stride * width;
    size_t apart = stride;
    if (whole != columns) {
      for (size_t i = 0; i < n; i++) memcpy(copy + i * TILE * width, from + i * stride * width, columns * width);
      from = copy;
      apart = TILE;
    }
    if (n == TOGETHER)
      add_rows(&sums, from, width, TOGETHER, whole, apart, vector + 2 * r);
    else
      add_rows(&sums, from, width, n, whole, apart, vector + 2 * r);
  }
  for (size_t c = 0; c < whole; c += VEC_LANES) {
    const vec c0 = v_halves(v_load(sums.half[0] + c), v_load(sums.half[1] + c));
    const vec c1 = v_halves(v_load(sums.half[2] + c), v_load(sums.half[3] + c));
    v_store(sums.half[0] + c, c0);
    v_store(sums.half[1] + c, c1);
  }
  for (size_t c = 0; c < columns; c++) {
    out[2 * c] = vc_gl_add(out[2 * c], sums.half[0][c]);
    out[2 * c + 1] = vc_gl_add(out[2 * c + 1], sums.half[1][c]);
  }
}

static void project8(uint64_t *out, const int8_t *matrix, size_t rows, size_t columns, size_t stride,
                     const uint64_t *vector) {
  const uint8_t *bytes = (const uint8_t *)matrix;
  for (size_t c = 0; c < columns; c += TILE)
    project_tile(out + 2 * c, bytes + c, 1, rows, columns - c < TILE ? columns - c : TILE, stride, vector);
}

static void project32(uint64_t *out, const int32_t *matrix, size_t rows, size_t columns, size_t stride,
                      const uint64_t *vector) {
  const uint8_t *bytes = (const uint8_t *)matrix;
  for (size_t c = 0; c < columns; c += TILE)
    project_tile(out + 2 * c, bytes + 4 * c, 4, rows, columns - c < TILE ? columns - c : TILE, stride, vector);
}

/* v modulo p: v + 2^64 as a word is v + (2^32 - 1) modulo p. */
static inline uint64_t element(int64_t v) { return (uint64_t)v - (v < 0 ? VC_EPSILON : 0); }

static void some_elements(uint64_t *out, const uint8_t *source, size_t width, size_t n) {
  const int8_t *bytes = (const int8_t *)source;
  const int32_t *words = (const int32_t *)(const void *)source;
  const int64_t *wide = (const int64_t *)(const void *)source;
  if (width == 1)
    for (size_t i = 0; i < n; i++) out[i] = element(bytes[i]);
  else if (width == 4)
    for (size_t i = 0; i < n; i++) out[i] = element(words[i]);
  else if (width == 8)
    for (size_t i = 0; i < n; i++) out[i] = element(wide[i]);
  else
    memcpy(out, source, n * sizeof *out);
}

static void to_elements(uint64_t *out, const void *from, size_t width, size_t n, int32_t streamed) {
  const uint8_t *source = from;
  uint64_t part[CHUNK];
  if (!streamed) {
    some_elements(out, source, width, n);
    return;
  }
  for (size_t i = 0, count; i < n; i += count) {
    count = n - i < CHUNK ? n - i : CHUNK;
    some_elements(part, source + i * (width ? width : sizeof *out), width, count);
    put(streamed, out + i, part, count * sizeof *out);
  }
}

const vc_integer_kernels VC_INTEGERS_NAME = {affine, sums, floor_chunk, project8, project32, to_elements};
