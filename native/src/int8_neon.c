/* SPDX-License-Identifier: Apache-2.0 */
/* NEON of every ARMv8-A processor: rows and columns of 16 bits, a lane of x times four columns. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_AARCH64) && defined(VC_HAVE_NEON)

#include "int8_arm.h"

#define NR 8

static const vc_layout LAYOUT = {.nr = NR, .kr = 1, .element = 2, DEPTHWISE_LAYOUT};

/* One column vector times x, which is lane `lane` of xs. */
#define STEP(lane)                                                                   \
  {                                                                                  \
    const int16x8_t c = vld1q_s16(w + 8 * (lane));                                   \
    VC_UNROLL for (int i = 0; i < mr; i++) {                                         \
      acc[i][0] = vmlal_lane_s16(acc[i][0], vget_low_s16(c), xs[i], lane);           \
      acc[i][1] = vmlal_high_lane_s16(acc[i][1], c, xs[i], lane);                    \
    }                                                                                \
  }

VC_INLINE void tile(int mr, int np, TILE_ARGS) {
  int32x4_t acc[8][2];
  const int16_t *w = (const int16_t *)(const void *)(b->weights + panel * b->panel_bytes), *x[8];
  const int32_t *bias = (const int32_t *)(const void *)(b->params + panel * vc_params_bytes(NR));
  const size_t element = b->form == VC_FORM_RAW ? 4 : 1;
  (void)np;
  VC_UNROLL for (int i = 0; i < mr; i++) {
    acc[i][0] = vld1q_s32(bias);
    acc[i][1] = vld1q_s32(bias + 4);
    x[i] = (const int16_t *)a->rows[row + (size_t)i];
  }
  for (size_t s = a->segments; s > 0; s--) {
    size_t g = 0;
    for (; g + 4 <= a->groups; g += 4, w += 32) {
      int16x4_t xs[8];
      VC_UNROLL for (int i = 0; i < mr; i++) xs[i] = vld1_s16(x[i] + g);
      STEP(0) STEP(1) STEP(2) STEP(3)
    }
    for (; g < a->groups; g++, w += 8) {
      int16x4_t xs[8];
      VC_UNROLL for (int i = 0; i < mr; i++) xs[i] = vld1_dup_s16(x[i] + g);
      STEP(0)
    }
    VC_UNROLL for (int i = 0; i < mr; i++) x[i] = (const int16_t *)(const void *)((const uint8_t *)x[i] + a->stride);
  }
  VC_UNROLL for (int i = 0; i < mr; i++)
      store_row((uint8_t *)out + (row + (size_t)i) * out_stride * element, acc[i], 2, NR, b, panel * NR);
}

#define CASES(np) TILE_CASE(1, np) TILE_CASE(2, np) TILE_CASE(3, np) TILE_CASE(4, np) TILE_CASE(5, np) \
  TILE_CASE(6, np) TILE_CASE(7, np) TILE_CASE(8, np)
TILE_STRIP(1, 8, CASES(1))

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  for (size_t panel = 0; panel * NR < b->n; panel++) strip_1(out, out_stride, a, b, panel);
}

ARM_DEPTHWISE(NR)

static void widen(int16_t *out, const int8_t *x, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) vst1q_s16(out + i, vmovl_s8(vld1_s8(x + i)));
  for (; i < n; i++) out[i] = x[i];
}

static void arrange(vc_rows *a, uint8_t *scratch) { vc_widen_rows(a, LAYOUT.kr, scratch, widen); }

const vc_int8_kernels vc_int8_neon = {"neon", VC_CPU_NEON, &LAYOUT, gemm, depthwise, add, lookup, arrange, NULL, NULL};

#else
typedef int vc_int8_neon_is_absent; /* a translation unit is not empty */
#endif
