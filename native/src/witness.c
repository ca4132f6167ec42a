/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a requantised node: quotient, value, sign and limbs of the remainder, and how often each table row is
 * looked up. The readable twin is vcompute/proof/succinct/witness.py.
 */
#include <string.h>

#include "requant.h"
#include "vcompute.h"

enum { CHUNK = 256 };

/* T of n elements from `at` on, `step` of each. */
static int32_t floor_chunk(const vc_floor *p, int64_t *t, const int64_t *step, size_t n, size_t at) {
  int64_t quotient[CHUNK];
  if (p->two_sided) {
    const int64_t half = (int64_t)1 << p->unit;
    for (size_t i = 0; i < n; i++) {
      const int64_t below = t[i] - step[i];
      const int64_t sign = below < half; /* at the change of sign the lower line is taken wherever it may be */
      t[i] -= sign ? step[i] : 0;
      p->sign[at + i] = (int8_t)sign;
      quotient[i] = vc_sra64(t[i], p->unit);
    }
  } else {
    for (size_t i = 0; i < n; i++) quotient[i] = vc_sra64(t[i], p->unit) + p->zero_point;
  }
  for (size_t i = 0; i < n; i++) {
    int64_t y = p->two_sided ? vc_sra64(quotient[i], 1) + p->zero_point : quotient[i];
    y = y < p->low ? p->low : y > p->high ? p->high : y;
    p->value[at + i] = (int8_t)y;
    p->key[at + i] = (int32_t)quotient[i];
  }
  for (size_t i = 0; i < n; i++) {
    const uint64_t row = (uint64_t)quotient[i] - (uint64_t)p->first;
    if (row >= p->rows) return 0;
    p->key_counts[row]++;
  }
  const uint64_t mask = ((uint64_t)1 << p->width) - 1;
  for (int32_t k = 0; k < p->n_limbs; k++)
    for (size_t i = 0; i < n; i++) {
      const uint64_t limb = (uint64_t)t[i] >> (k * p->width) & mask; /* bits above the remainder are not reached */
      p->limbs[k][at + i] = (int32_t)limb;
      p->limb_counts[limb]++;
    }
  return 1;
}

int32_t vc_floor_products(const vc_floor *p, const int32_t *products, const int64_t *slope, const int64_t *offset,
                          const int64_t *step, size_t rows, size_t columns) {
  int64_t t[CHUNK];
  for (size_t row = 0; row < rows; row++, products += columns)
    for (size_t start = 0; start < columns; start += CHUNK) {
      const size_t n = columns - start < CHUNK ? columns - start : CHUNK;
      /* unsigned: T fits, so wrapping on the way does no harm */
      for (size_t i = 0; i < n; i++)
        t[i] = (int64_t)((uint64_t)(int64_t)products[start + i] * (uint64_t)slope[start + i] + (uint64_t)offset[start + i]);
      if (!floor_chunk(p, t, step + start, n, row * columns + start)) return 0;
    }
  return 1;
}

int32_t vc_floor_values(const vc_floor *p, const int64_t *values, int64_t step, size_t count) {
  int64_t t[CHUNK], steps[CHUNK];
  for (size_t i = 0; i < CHUNK; i++) steps[i] = step;
  for (size_t start = 0; start < count; start += CHUNK) {
    const size_t n = count - start < CHUNK ? count - start : CHUNK;
    memcpy(t, values + start, n * sizeof *t);
    if (!floor_chunk(p, t, steps, n, start)) return 0;
  }
  return 1;
}

/* One output row: every tap's products, of taps inside the image. */
static void depthwise_row(int32_t *out, const int8_t *x, const int8_t *kernel, const vc_taps *s, int64_t y,
                          int32_t *weights) {
  const size_t c = (size_t)s->channels;
  memset(out, 0, (size_t)s->out_w * c * sizeof *out);
  for (int64_t row = 0; row < s->kernel_h; row++) {
    const int64_t from_y = y * s->stride_h + row * s->dilation_h - s->pad_top;
    if (from_y < 0 || from_y >= s->h) continue;
    for (int64_t column = 0; column < s->kernel_w; column++) {
      const int8_t *w = kernel + (size_t)(row * s->kernel_w + column) * c;
      for (size_t i = 0; i < c; i++) weights[i] = w[i];
      for (int64_t j = 0; j < s->out_w; j++) {
        const int64_t from_x = j * s->stride_w + column * s->dilation_w - s->pad_left;
        if (from_x < 0 || from_x >= s->w) continue;
        const int8_t *seen = x + (size_t)(from_y * s->w + from_x) * c;
        int32_t *to = out + (size_t)j * c;
        for (size_t i = 0; i < c; i++) to[i] += (seen[i] - s->zero_point) * weights[i];
      }
    }
  }
}

void vc_depthwise_products(int32_t *out, const int8_t *x, const int8_t *kernel, const vc_taps *shape, size_t samples,
                           int32_t *scratch) {
  const size_t image = (size_t)(shape->h * shape->w * shape->channels), row = (size_t)(shape->out_w * shape->channels);
  for (size_t sample = 0; sample < samples; sample++, x += image)
    for (int64_t y = 0; y < shape->out_h; y++, out += row) depthwise_row(out, x, kernel, shape, y, scratch);
}
