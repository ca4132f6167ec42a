/* SPDX-License-Identifier: Apache-2.0 */
/* NEON with SDOT (ARMv8.2 dotprod): 16 columns a panel, four signed products a lane. */
#include "cpu.h"
#include "int8.h"

#if defined(VC_AARCH64) && defined(VC_HAVE_DOTPROD)

#include "int8_arm.h"

#define NR 16

static const vc_layout LAYOUT = {.nr = NR, .kr = 4, .element = 1, DEPTHWISE_LAYOUT};

VC_INLINE int8x16_t quad(const int8_t *p) { /* one k-group of x in every lane */
  int32_t v;
  memcpy(&v, p, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(v));
}

VC_INLINE void tile(int mr, int np, TILE_ARGS) {
  int32x4_t acc[6][4];
  const int8_t *w = (const int8_t *)b->weights + panel * b->panel_bytes, *x[6];
  const int32_t *bias = (const int32_t *)(const void *)(b->params + panel * vc_params_bytes(NR));
  const size_t element = b->form == VC_FORM_RAW ? 4 : 1;
  (void)np;
  VC_UNROLL for (int i = 0; i < mr; i++) {
    VC_UNROLL for (int v = 0; v < 4; v++) acc[i][v] = vld1q_s32(bias + 4 * v);
    x[i] = (const int8_t *)a->rows[row + (size_t)i];
  }
  for (size_t s = a->segments; s > 0; s--) {
    for (size_t g = 0; g < 4 * a->groups; g += 4, w += 64) {
      int8x16_t c[4];
      VC_UNROLL for (int v = 0; v < 4; v++) c[v] = vld1q_s8(w + 16 * v);
      VC_UNROLL for (int i = 0; i < mr; i++) {
        const int8x16_t xs = quad(x[i] + g);
        VC_UNROLL for (int v = 0; v < 4; v++) acc[i][v] = vdotq_s32(acc[i][v], c[v], xs);
      }
    }
    VC_UNROLL for (int i = 0; i < mr; i++) x[i] += a->stride;
  }
  VC_UNROLL for (int i = 0; i < mr; i++)
      store_row((uint8_t *)out + (row + (size_t)i) * out_stride * element, acc[i], 4, NR, b, panel * NR);
}

#define CASES(np) TILE_CASE(1, np) TILE_CASE(2, np) TILE_CASE(3, np) TILE_CASE(4, np) TILE_CASE(5, np) TILE_CASE(6, np)
TILE_STRIP(1, 6, CASES(1))

static void gemm(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b) {
  for (size_t panel = 0; panel * NR < b->n; panel++) strip_1(out, out_stride, a, b, panel);
}

ARM_DEPTHWISE(NR)

const vc_int8_kernels vc_int8_dotprod = {"dotprod", (uint32_t)VC_CPU_DOTPROD, &LAYOUT, gemm, depthwise, add, lookup, NULL, NULL, NULL};

#else
typedef int vc_int8_dotprod_is_absent; /* a translation unit is not empty */
#endif
