/* SPDX-License-Identifier: Apache-2.0 */
/* NEON with SMMLA (ARMv8.6 i8mm): two rows by two columns a vector, eight products a lane. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_AARCH64) && defined(VC_HAVE_I8MM)

#include "int8_arm.h"

#define NR 8

static const vc_layout LAYOUT = {.nr = NR, .kr = 8, .element = 1, DEPTHWISE_LAYOUT};

/* mr rows, in pairs; an odd last row is paired with itself. */
VC_INLINE void tile(int mr, int np, TILE_ARGS) {
  int32x4_t acc[4][4]; /* pair of rows, pair of columns */
  const int pairs = (mr + 1) / 2;
  const int8_t *w = (const int8_t *)b->weights + panel * b->panel_bytes, *x[8];
  const int32_t *bias = (const int32_t *)(const void *)(b->params + panel * vc_params_bytes(NR));
  const size_t element = b->form == VC_FORM_RAW ? 4 : 1;
  (void)np;
  VC_UNROLL for (int v = 0; v < 4; v++) {
    const int32x2_t two = vld1_s32(bias + 2 * v);
    VC_UNROLL for (int i = 0; i < pairs; i++) acc[i][v] = vcombine_s32(two, two);
  }
  VC_UNROLL for (int i = 0; i < 2 * pairs; i++) x[i] = (const int8_t *)a->rows[row + (size_t)(i < mr ? i : mr - 1)];
  for (size_t s = a->segments; s > 0; s--) {
    for (size_t g = 0; g < 8 * a->groups; g += 8, w += 64) {
      int8x16_t c[4];
      VC_UNROLL for (int v = 0; v < 4; v++) c[v] = vld1q_s8(w + 16 * v);
      VC_UNROLL for (int i = 0; i < pairs; i++) {
        const int8x16_t xs = vcombine_s8(vld1_s8(x[2 * i] + g), vld1_s8(x[2 * i + 1] + g));
        VC_UNROLL for (int v = 0; v < 4; v++) acc[i][v] = vmmlaq_s32(acc[i][v], xs, c[v]);
      }
    }
    VC_UNROLL for (int i = 0; i < 2 * pairs; i++) x[i] += a->stride;
  }
  VC_UNROLL for (int i = 0; i < mr; i++) {
    int32x4_t line[2]; /* the row's half of each pair */
    VC_UNROLL for (int v = 0; v < 2; v++) {
      const int64x2_t l = vreinterpretq_s64_s32(acc[i / 2][2 * v]), r = vreinterpretq_s64_s32(acc[i / 2][2 * v + 1]);
      line[v] = vreinterpretq_s32_s64(i % 2 ? vzip2q_s64(l, r) : vzip1q_s64(l, r));
    }
    store_row((uint8_t *)out + (row + (size_t)i) * out_stride * element, line, 2, NR, b, panel * NR);
  }
}

#define CASES(np) TILE_CASE(1, np) TILE_CASE(2, np) TILE_CASE(3, np) TILE_CASE(4, np) TILE_CASE(5, np) \
  TILE_CASE(6, np) TILE_CASE(7, np) TILE_CASE(8, np)
TILE_STRIP(1, 8, CASES(1))

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  for (size_t panel = 0; panel * NR < b->n; panel++) strip_1(out, out_stride, a, b, panel);
}

ARM_DEPTHWISE(NR)

const vc_int8_kernels vc_int8_i8mm = {"i8mm", (uint32_t)VC_CPU_I8MM, &LAYOUT, gemm, depthwise, add, lookup, NULL, NULL, NULL};

#else
typedef int vc_int8_i8mm_is_absent; /* a translation unit is not empty */
#endif
