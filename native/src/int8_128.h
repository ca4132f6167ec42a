/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels over vectors of 128 bits with a pairwise multiply-add of 16-bit lanes, shared by SSE4.1 and WebAssembly.
 *
 * The including file defines ISA_NAME (a string), ISA_NEEDS, ISA_TABLE (the symbol), ISA_INTERLEAVE (of the addends) and
 *   vec                          128 bits
 *   v_load, v_store              unaligned
 *   v_load8                      8 bytes widened to 16 bits
 *   v_splat8, v_splat16, v_splat32, v_add32, v_sub32, v_and, v_sub16, v_sra31, v_shl4 (32-bit lanes)
 *   v_madd16                     products of 16-bit lanes, added in pairs
 *   v_unpack_lo16, v_unpack_hi16, v_pack32, v_pack16 (saturating), v_adds16, v_min8, v_max8
 *   params, load_params(p, half) of lanes 4 half .. 4 half + 3 of a panel of 8, scalar_params(multiplier, normal)
 *   v_high(x, params)            (x * m + add) >> 32;  v_shift(y, params)  y >> shift, by lanes
 */
#ifndef VC_INT8_128_H
#define VC_INT8_128_H

#include "int8_loop.h"

#define NR 8

static const vc_layout LAYOUT = {.nr = NR, .kr = 2, .element = 2, .interleave_add = ISA_INTERLEAVE, .dw_block = 8,
                                 .dw_group = 2, .dw_element = 2, .dw_order = {0, 1, 2, 3, 4, 5, 6, 7}};

VC_INLINE vec requant_signed(vec x, const params *p, vec negative) {
  vec high = v_high(v_add32(x, x), p);
  return v_shift(v_add32(high, v_and(v_sra31(x), negative)), p);
}

VC_INLINE vec requant(vec x, const params *p, vc_form form) {
  return form == VC_FORM_FLOOR ? v_shift(v_high(x, p), p) : requant_signed(x, p, v_splat32(-1));
}

/* What follows a requantisation: the zero point (words, saturating) and the clamp. */
typedef struct {
  vec zero, low, high;
} range;

VC_INLINE range range_of(int32_t zero, int32_t low, int32_t high) {
  range r = {v_splat16(zero), v_splat8(low), v_splat8(high)};
  return r;
}

/* Store the first n of eight lanes as bytes. */
VC_INLINE void store8(int8_t *out, vec y0, vec y1, size_t n, const range *r) {
  vec words = v_adds16(v_pack32(y0, y1), r->zero);
  int8_t bytes[16];
  v_store(bytes, v_min8(v_max8(v_pack16(words, words), r->low), r->high));
  if (n >= 8)
    memcpy(out, bytes, 8);
  else
    memcpy(out, bytes, n);
}

VC_INLINE void store_raw(int32_t *out, vec y0, vec y1, size_t n) {
  if (n >= 8) {
    v_store(out, y0);
    v_store(out + 4, y1);
  } else {
    int32_t lanes[8];
    v_store(lanes, y0);
    v_store(lanes + 4, y1);
    memcpy(out, lanes, n * sizeof *out);
  }
}

VC_INLINE void tile(int mr, int np, TILE_ARGS) {
  vec acc[4][2];
  const uint8_t *w = b->weights + panel * b->panel_bytes, *x[4], *p = b->params + panel * vc_params_bytes(NR);
  (void)np;
  VC_UNROLL for (int i = 0; i < mr; i++) {
    acc[i][0] = v_load(p);
    acc[i][1] = v_load(p + 16);
    x[i] = (const uint8_t *)a->rows[row + (size_t)i];
  }
  for (size_t s = a->segments; s > 0; s--) {
    for (size_t g = 0; g < 4 * a->groups; g += 4, w += 32) {
      const vec w0 = v_load(w), w1 = v_load(w + 16);
      VC_UNROLL for (int i = 0; i < mr; i++) {
        int32_t pair;
        memcpy(&pair, x[i] + g, 4);
        const vec v = v_splat32(pair);
        acc[i][0] = v_add32(acc[i][0], v_madd16(v, w0));
        acc[i][1] = v_add32(acc[i][1], v_madd16(v, w1));
      }
    }
    VC_UNROLL for (int i = 0; i < mr; i++) x[i] += a->stride;
  }
  const size_t column = panel * NR, at = row * out_stride + column, left = b->n - column;
  if (b->form == VC_FORM_RAW) {
    VC_UNROLL for (int i = 0; i < mr; i++)
        store_raw((int32_t *)out + at + (size_t)i * out_stride, acc[i][0], acc[i][1], left);
    return;
  }
  const params q0 = load_params(p, 0), q1 = load_params(p, 1);
  const range r = range_of(b->zero, b->low, b->high);
  VC_UNROLL for (int i = 0; i < mr; i++)
      store8((int8_t *)out + at + (size_t)i * out_stride, requant(acc[i][0], &q0, b->form),
             requant(acc[i][1], &q1, b->form), left, &r);
}

#define CASES_4(np) TILE_CASE(1, np) TILE_CASE(2, np) TILE_CASE(3, np) TILE_CASE(4, np)
TILE_STRIP(1, 4, CASES_4(1))

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  for (size_t panel = 0; panel * NR < b->n; panel++) strip_1(out, out_stride, a, b, panel);
}

static void depthwise(void *out, const vc_depthwise *op) {
  const size_t weight_bytes = vc_round_up(op->n_groups * 32, VC_ALIGN);
  const range r = range_of(op->zero, op->low, op->high);
  for (size_t at = 0, block = 0; at < op->count; at += 8, block = block + 1 == op->period ? 0 : block + 1) {
    const uint8_t *w = op->weights + block * op->block_bytes, *p = w + weight_bytes;
    vec acc0 = v_load(p), acc1 = v_load(p + 16);
    for (size_t g = 0; g < op->n_groups; g++, w += 32) {
      const vec t = v_load8(op->taps[2 * g] + at), u = v_load8(op->taps[2 * g + 1] + at);
      acc0 = v_add32(acc0, v_madd16(v_unpack_lo16(t, u), v_load(w)));
      acc1 = v_add32(acc1, v_madd16(v_unpack_hi16(t, u), v_load(w + 16)));
    }
    if (op->form == VC_FORM_RAW) {
      store_raw((int32_t *)out + at, acc0, acc1, op->count - at);
      continue;
    }
    const params q0 = load_params(p, 0), q1 = load_params(p, 1);
    store8((int8_t *)out + at, requant(acc0, &q0, op->form), requant(acc1, &q1, op->form), op->count - at, &r);
  }
}

static void add(int8_t *out, const int8_t *a, const int8_t *b, size_t n, const vc_add *op) {
  params p[3];
  vec negative[3];
  for (int k = 0; k < 3; k++) {
    p[k] = scalar_params(op->multiplier[k], op->normal[k]);
    negative[k] = v_splat32(op->normal[k].negative);
  }
  const vec zero_a = v_splat16(op->zero_a), zero_b = v_splat16(op->zero_b), none = v_splat32(0);
  const range r = range_of(op->zero, op->low, op->high);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    /* words in the high half of a lane are shifted left by 16; by four more they are the operand times 2^20 */
    const vec x = v_sub16(v_load8(a + i), zero_a), y = v_sub16(v_load8(b + i), zero_b);
    vec sum[2];
    sum[0] = v_add32(requant_signed(v_shl4(v_unpack_lo16(none, x)), &p[0], negative[0]),
                     requant_signed(v_shl4(v_unpack_lo16(none, y)), &p[1], negative[1]));
    sum[1] = v_add32(requant_signed(v_shl4(v_unpack_hi16(none, x)), &p[0], negative[0]),
                     requant_signed(v_shl4(v_unpack_hi16(none, y)), &p[1], negative[1]));
    store8(out + i, requant_signed(sum[0], &p[2], negative[2]), requant_signed(sum[1], &p[2], negative[2]), 8, &r);
  }
  if (i < n) vc_int8_portable.add(out + i, a + i, b + i, n - i, op);
}

static void lookup(int8_t *out, const uint8_t *x, size_t n, const int8_t *table) {
  vc_int8_portable.lookup(out, x, n, table);
}

static void widen(int16_t *out, const int8_t *x, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) v_store(out + i, v_load8(x + i));
  for (; i < n; i++) out[i] = x[i];
}

static void arrange(vc_rows *a, uint8_t *scratch) { vc_widen_rows(a, LAYOUT.kr, scratch, widen); }

const vc_int8_kernels ISA_TABLE = {ISA_NAME, ISA_NEEDS, &LAYOUT, gemm, depthwise, add, lookup, arrange, NULL, NULL};

#endif
