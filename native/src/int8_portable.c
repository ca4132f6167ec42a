/* SPDX-License-Identifier: Apache-2.0 */
/* The portable int8 kernels: what every other table is tested against, written so that compilers vectorise them. */
#include "int8.h"

#define NR 16

static const vc_layout LAYOUT = {.nr = NR, .kr = 1, .element = 2, .dw_block = NR, .dw_group = 1, .dw_element = 2,
                                 .dw_order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

typedef struct {
  const int32_t *bias, *multiplier, *shift;
  const int64_t *add;
} params;

static params params_at(const uint8_t *p) {
  const int32_t *q = (const int32_t *)(const void *)p;
  params r = {q, q + NR, q + 2 * NR, (const int64_t *)(const void *)(q + 3 * NR)};
  return r;
}

/* Requantise and store `n` accumulators of a panel at element `at` of `out`. */
static void store(void *out, size_t at, size_t n, const uint32_t acc[NR], params p, vc_form form,
                  int32_t zero, int32_t low, int32_t high) {
  if (form == VC_FORM_RAW) {
    memcpy((int32_t *)out + at, acc, n * sizeof *acc);
    return;
  }
  for (size_t j = 0; j < n; j++) {
    vc_normal normal = {p.add[j], p.shift[j], -1};
    ((int8_t *)out)[at + j] = (int8_t)vc_clamp(vc_requantize_normal((int32_t)acc[j], p.multiplier[j], normal, form) + zero, low, high);
  }
}

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  for (size_t column = 0, panel = 0; column < b->n; column += NR, panel++) {
    params p = params_at(b->params + panel * vc_params_bytes(NR));
    size_t n = b->n - column < NR ? b->n - column : NR;
    for (size_t i = 0; i < a->m; i++) {
      uint32_t acc[NR]; /* modulo 2^32, as the folded bias is */
      memcpy(acc, p.bias, sizeof acc);
      const int16_t *w = (const int16_t *)(const void *)(b->weights + panel * b->panel_bytes);
      for (size_t s = 0; s < a->segments; s++) {
        const int16_t *x = (const int16_t *)(const void *)((const uint8_t *)a->rows[i] + s * a->stride);
        for (size_t g = 0; g < a->groups; g++, w += NR)
          for (size_t j = 0; j < NR; j++) acc[j] += (uint32_t)(x[g] * w[j]);
      }
      store(out, i * out_stride + column, n, acc, p, b->form, b->zero, b->low, b->high);
    }
  }
}

static void depthwise(void *out, const vc_depthwise *op) {
  size_t taps_bytes = op->n_groups * NR * sizeof(int16_t);
  for (size_t at = 0, block = 0; at < op->count; at += NR, block = block + 1 == op->period ? 0 : block + 1) {
    const uint8_t *packed = op->weights + block * op->block_bytes;
    params p = params_at(packed + vc_round_up(taps_bytes, VC_ALIGN));
    size_t n = op->count - at < NR ? op->count - at : NR;
    uint32_t acc[NR];
    memcpy(acc, p.bias, sizeof acc);
    const int16_t *w = (const int16_t *)(const void *)packed;
    for (size_t t = 0; t < op->n_groups; t++, w += NR) {
      const int8_t *x = op->taps[t] + at;
      for (size_t j = 0; j < n; j++) acc[j] += (uint32_t)(x[j] * w[j]);
    }
    store(out, at, n, acc, p, op->form, op->zero, op->low, op->high);
  }
}

static void add(int8_t *out, const int8_t *a, const int8_t *b, size_t n, const vc_add *op) {
  const int32_t *m = op->multiplier;
  for (size_t i = 0; i < n; i++) {
    int32_t x = (a[i] - op->zero_a) * (1 << 20), y = (b[i] - op->zero_b) * (1 << 20);
    int32_t sum = vc_requantize_normal(x, m[0], op->normal[0], VC_FORM_SIGNED) +
                  vc_requantize_normal(y, m[1], op->normal[1], VC_FORM_SIGNED);
    int32_t v = vc_requantize_normal(sum, m[2], op->normal[2], VC_FORM_SIGNED) + op->zero;
    out[i] = (int8_t)vc_clamp(v, op->low, op->high);
  }
}

static void lookup(int8_t *out, const uint8_t *x, size_t n, const int8_t *table) {
  for (size_t i = 0; i < n; i++) out[i] = table[x[i]];
}

static void widen(int16_t *out, const int8_t *x, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = x[i];
}

static void arrange(vc_rows *a, uint8_t *scratch) { vc_widen_rows(a, LAYOUT.kr, scratch, widen); }

const vc_int8_kernels vc_int8_portable = {"portable", 0, &LAYOUT, gemm, depthwise, add, lookup, arrange, NULL, NULL};
