/* SPDX-License-Identifier: Apache-2.0 */
/* What the NEON instruction sets share: four lanes requantised at a time, stores, depthwise and elementwise kernels. */
#ifndef VC_INT8_ARM_H
#define VC_INT8_ARM_H

#include <arm_neon.h>

#include "int8_loop.h"

#define DEPTHWISE_LAYOUT .dw_block = 16, .dw_group = 1, .dw_element = 2, \
  .dw_order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

/* Parameters of four columns. */
typedef struct {
  int32x4_t multiplier, shift; /* to the left: negative */
  int64x2_t add_low, add_high;
} params;

/* Four columns from `lane` on of a panel of nr. */
VC_INLINE params load_params(const uint8_t *p, size_t nr, size_t lane) {
  const int32_t *q = (const int32_t *)(const void *)p;
  const int64_t *add = (const int64_t *)(const void *)(q + 3 * nr) + lane;
  params r = {vld1q_s32(q + nr + lane), vnegq_s32(vld1q_s32(q + 2 * nr + lane)), vld1q_s64(add), vld1q_s64(add + 2)};
  return r;
}

VC_INLINE int32x4_t high_halves(int32x4_t x, const params *p) {
  int64x2_t low = vmlal_s32(p->add_low, vget_low_s32(x), vget_low_s32(p->multiplier));
  int64x2_t high = vmlal_high_s32(p->add_high, x, p->multiplier);
  return vuzp2q_s32(vreinterpretq_s32_s64(low), vreinterpretq_s32_s64(high));
}

VC_INLINE int32x4_t requant_signed(int32x4_t x, const params *p, int32x4_t negative) {
  int32x4_t term = vandq_s32(vshrq_n_s32(x, 31), negative);
  return vshlq_s32(vaddq_s32(high_halves(vaddq_s32(x, x), p), term), p->shift);
}

VC_INLINE int32x4_t requant(int32x4_t x, const params *p, vc_form form) {
  if (form == VC_FORM_FLOOR) return vshlq_s32(high_halves(x, p), p->shift);
  return requant_signed(x, p, vdupq_n_s32(-1));
}

/* What follows a requantisation: the zero point (words, saturating) and the clamp. */
typedef struct {
  int16x8_t zero;
  int8x8_t low, high;
} range;

VC_INLINE range range_of(int32_t zero, int32_t low, int32_t high) {
  range r = {vdupq_n_s16((int16_t)zero), vdup_n_s8((int8_t)low), vdup_n_s8((int8_t)high)};
  return r;
}

/* Store the first n of eight lanes as bytes. */
VC_INLINE void store8(int8_t *out, int32x4_t y0, int32x4_t y1, size_t n, const range *r) {
  int16x8_t words = vqaddq_s16(vcombine_s16(vqmovn_s32(y0), vqmovn_s32(y1)), r->zero);
  int8x8_t v = vmin_s8(vmax_s8(vqmovn_s16(words), r->low), r->high);
  if (n >= 8) {
    vst1_s8(out, v);
  } else {
    int8_t bytes[8];
    vst1_s8(bytes, v);
    memcpy(out, bytes, n);
  }
}

/* Store four accumulators a vector, np of them, of the columns from `column` on, in whatever form b asks for. */
VC_INLINE void store_row(void *out, const int32x4_t *acc, int vectors, size_t nr, const vc_columns *b, size_t column) {
  const size_t left = b->n - column;
  if (b->form == VC_FORM_RAW) {
    int32_t lanes[VC_MAX_NR], *to = (int32_t *)out + column;
    const int whole = left >= 4 * (size_t)vectors;
    VC_UNROLL for (int v = 0; v < vectors; v++) vst1q_s32((whole ? to : lanes) + 4 * v, acc[v]);
    if (!whole) memcpy(to, lanes, left * sizeof *to);
    return;
  }
  const range r = range_of(b->zero, b->low, b->high);
  const uint8_t *p = b->params + column / nr * vc_params_bytes(nr);
  VC_UNROLL for (int v = 0; v < vectors; v += 2) {
    const size_t first = 4 * (size_t)v;
    if (first >= left) break;
    const params p0 = load_params(p, nr, first), p1 = load_params(p, nr, first + 4);
    store8((int8_t *)out + column + first, requant(acc[v], &p0, b->form), requant(acc[v + 1], &p1, b->form),
           left - first, &r);
  }
}

#define ARM_DEPTHWISE(NR)                                                                                       \
  static void depthwise(void *out, const vc_depthwise *op) {                                                    \
    const size_t weight_bytes = vc_round_up(op->n_groups * 32, VC_ALIGN);                                       \
    for (size_t at = 0, block = 0; at < op->count; at += 16, block = block + 1 == op->period ? 0 : block + 1) { \
      const uint8_t *packed = op->weights + block * op->block_bytes;                                            \
      depthwise_block(out, at, packed, packed + weight_bytes, NR, op);                                          \
    }                                                                                                           \
  }

/* Sixteen channels, bytes past the run's end included: they are readable and not stored. */
VC_INLINE void depthwise_block(void *out, size_t at, const uint8_t *packed, const uint8_t *p, size_t nr,
                               const vc_depthwise *op) {
  const size_t panel = vc_params_bytes(nr), n = op->count - at;
  const int16_t *w = (const int16_t *)(const void *)packed;
  int32x4_t acc[4];
  VC_UNROLL for (size_t v = 0; v < 4; v++)
      acc[v] = vld1q_s32((const int32_t *)(const void *)(p + 4 * v / nr * panel) + 4 * v % nr);
  for (size_t t = 0; t < op->n_groups; t++, w += 16) {
    const int8x16_t x = vld1q_s8(op->taps[t] + at);
    const int16x8_t x0 = vmovl_s8(vget_low_s8(x)), x1 = vmovl_high_s8(x), w0 = vld1q_s16(w), w1 = vld1q_s16(w + 8);
    acc[0] = vmlal_s16(acc[0], vget_low_s16(x0), vget_low_s16(w0));
    acc[1] = vmlal_high_s16(acc[1], x0, w0);
    acc[2] = vmlal_s16(acc[2], vget_low_s16(x1), vget_low_s16(w1));
    acc[3] = vmlal_high_s16(acc[3], x1, w1);
  }
  if (op->form == VC_FORM_RAW) {
    int32_t lanes[16];
    VC_UNROLL for (int v = 0; v < 4; v++) vst1q_s32(lanes + 4 * v, acc[v]);
    memcpy((int32_t *)out + at, lanes, (n < 16 ? n : 16) * sizeof(int32_t));
    return;
  }
  const range r = range_of(op->zero, op->low, op->high);
  VC_UNROLL for (size_t v = 0; v < 4; v += 2) {
    if (4 * v >= n) break;
    const params p0 = load_params(p + 4 * v / nr * panel, nr, 4 * v % nr);
    const params p1 = load_params(p + 4 * (v + 1) / nr * panel, nr, 4 * (v + 1) % nr);
    store8((int8_t *)out + at + 4 * v, requant(acc[v], &p0, op->form), requant(acc[v + 1], &p1, op->form), n - 4 * v, &r);
  }
}

static inline params scalar_params(int32_t multiplier, vc_normal n) {
  params p = {vdupq_n_s32(multiplier), vdupq_n_s32(-n.shift), vdupq_n_s64(n.add), vdupq_n_s64(n.add)};
  return p;
}

static inline void add(int8_t *out, const int8_t *a, const int8_t *b, size_t n, const vc_add *op) {
  params p[3];
  int32x4_t negative[3];
  for (int k = 0; k < 3; k++) {
    p[k] = scalar_params(op->multiplier[k], op->normal[k]);
    negative[k] = vdupq_n_s32(op->normal[k].negative);
  }
  const int16x8_t zero_a = vdupq_n_s16((int16_t)op->zero_a), zero_b = vdupq_n_s16((int16_t)op->zero_b);
  const range r = range_of(op->zero, op->low, op->high);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const int16x8_t x = vsubq_s16(vmovl_s8(vld1_s8(a + i)), zero_a), y = vsubq_s16(vmovl_s8(vld1_s8(b + i)), zero_b);
    int32x4_t x0 = vshlq_n_s32(vmovl_s16(vget_low_s16(x)), 20), x1 = vshlq_n_s32(vmovl_high_s16(x), 20);
    int32x4_t y0 = vshlq_n_s32(vmovl_s16(vget_low_s16(y)), 20), y1 = vshlq_n_s32(vmovl_high_s16(y), 20);
    x0 = vaddq_s32(requant_signed(x0, &p[0], negative[0]), requant_signed(y0, &p[1], negative[1]));
    x1 = vaddq_s32(requant_signed(x1, &p[0], negative[0]), requant_signed(y1, &p[1], negative[1]));
    store8(out + i, requant_signed(x0, &p[2], negative[2]), requant_signed(x1, &p[2], negative[2]), 8, &r);
  }
  if (i < n) vc_int8_portable.add(out + i, a + i, b + i, n - i, op);
}

static inline void lookup(int8_t *out, const uint8_t *x, size_t n, const int8_t *table) {
  vc_int8_portable.lookup(out, x, n, table);
}

#endif
