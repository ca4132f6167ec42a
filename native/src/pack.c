/* SPDX-License-Identifier: Apache-2.0 */
#include "pack.h"

#include "cpu.h"

#if defined(VC_X86_64)
#include <emmintrin.h>
#endif

/* Whether every accumulator within the bound is requantised to 0: its factor is too small. */
static int always_zero(const vc_channel *c, int32_t rounding) {
  if (c->multiplier == 0) return 1;
  if (c->shift >= 0) return 0;
  int64_t limit = (int64_t)1 << (30 - c->shift); /* of x * m: half of the unit 2^(31 + e) */
  if (rounding == VC_ROUND_DOUBLE) limit -= (int64_t)1 << 31;
  return c->bound * c->multiplier < limit; /* both factors are below 2^32 */
}

vc_form vc_choose_form(vc_channel *channels, size_t n, const vc_quant *quant) {
  int floor_form = quant->rounding == VC_ROUND_SINGLE || quant->low >= quant->zero_out;
  vc_form form = floor_form ? VC_FORM_FLOOR : VC_FORM_SIGNED;
  for (size_t i = 0; i < n; i++) {
    vc_channel *c = &channels[i];
    if (always_zero(c, quant->rounding)) {
      c->multiplier = 0;
      c->shift = -1;
    } else if (c->shift > -1 || (form == VC_FORM_SIGNED && c->bound >= (int64_t)1 << 30)) {
      form = VC_FORM_RULE;
    }
  }
  return form;
}

void vc_pack_params(uint8_t *out, const vc_layout *layout, vc_form form, const vc_quant *quant, int32_t x_offset,
                    const vc_channel *channels, size_t n, const uint8_t *order) {
  size_t nr = layout->nr, lanes = layout->interleave_add;
  int32_t *bias = (int32_t *)(void *)out, *multiplier = bias + nr, *shift = multiplier + nr;
  int64_t *add = (int64_t *)(void *)(shift + nr);
  for (size_t p = 0; p < nr; p++) {
    size_t channel = order ? order[p] : p;
    size_t at = p; /* of the addend: even lanes of each vector first, where the kernel wants them so */
    if (lanes) at = p / lanes * lanes + p % lanes / 2 + (p % 2) * (lanes / 2);
    bias[p] = multiplier[p] = shift[p] = 0;
    add[at] = 0;
    if (channel >= n || vc_dead(&channels[channel], form)) {
      continue; /* 0, requantised to 0 */
    }
    const vc_channel *c = &channels[channel];
    int64_t folded = c->bias - (quant->zero_in + x_offset) * c->sum;
    bias[p] = (int32_t)(uint32_t)(uint64_t)folded; /* modulo 2^32, as the accumulator is until its last term */
    if (form == VC_FORM_FLOOR || form == VC_FORM_SIGNED) {
      vc_normal normal = vc_normal_form(form, c->shift, quant->rounding);
      multiplier[p] = c->multiplier;
      shift[p] = normal.shift;
      add[at] = normal.add;
    }
  }
}

#define FOLDED_NR 16 /* of every layout that folds */
#define FOLDED_GROUP (4 * FOLDED_NR) /* bytes of a k-group: two elements of 16 bits a column */

void vc_fold(uint8_t *params, const vc_layout *layout, const uint8_t *panel, size_t groups) {
  if (!layout->folded) return;
#if defined(VC_X86_64)
  __m128i bias[FOLDED_NR / 4];
  VC_UNROLL for (int v = 0; v < FOLDED_NR / 4; v++) bias[v] = _mm_loadu_si128((const __m128i *)(const void *)params + v);
  for (size_t g = 0; g < groups; g += 2, panel += 2 * FOLDED_GROUP) {
    const __m128i *w0 = (const __m128i *)(const void *)panel, *w2 = (const __m128i *)(const void *)(panel + FOLDED_GROUP);
    VC_UNROLL for (int v = 0; v < FOLDED_NR / 4; v++)
        bias[v] = _mm_sub_epi32(bias[v], _mm_madd_epi16(_mm_loadu_si128(w0 + v), _mm_loadu_si128(w2 + v)));
  }
  VC_UNROLL for (int v = 0; v < FOLDED_NR / 4; v++) _mm_storeu_si128((__m128i *)(void *)params + v, bias[v]);
#else
  uint32_t *bias = (uint32_t *)(void *)params;
  for (size_t g = 0; g < groups; g += 2, panel += 2 * FOLDED_GROUP) {
    const int16_t *w0 = (const int16_t *)(const void *)panel, *w2 = w0 + 2 * FOLDED_NR;
    for (size_t j = 0; j < 2 * FOLDED_NR; j++) bias[j / 2] -= (uint32_t)(w0[j] * w2[j]);
  }
#endif
}

static size_t groups(const vc_layout *layout, const vc_product *p) { return (p->depth + layout->kr - 1) / layout->kr; }

size_t vc_panel_bytes(const vc_layout *layout, const vc_product *p) {
  size_t all = vc_round_up(p->segments * groups(layout, p), layout->folded ? 2 : 1);
  return vc_round_up(all * layout->kr * layout->nr * layout->element, VC_ALIGN);
}

size_t vc_panels(const vc_layout *layout, const vc_product *p) { return (p->n + layout->nr - 1) / layout->nr; }

void vc_pack_panel(uint8_t *out, const vc_layout *layout, const vc_product *p, size_t panel, const int8_t *filter,
                   size_t stride_n, size_t stride_k, const vc_channel *channels, vc_form form) {
  size_t nr = layout->nr, kr = layout->kr, first = panel * nr;
  memset(out, 0, vc_panel_bytes(layout, p));
  for (size_t j = 0; j < nr && first + j < p->n; j++) {
    if (vc_dead(&channels[first + j], form)) continue;
    const int8_t *w = filter + (first + j) * stride_n;
    for (size_t s = 0; s < p->segments; s++) {
      for (size_t k = 0; k < p->depth; k++) {
        size_t at = ((s * groups(layout, p) + k / kr) * nr + j) * kr + k % kr;
        int8_t v = w[(s * p->depth + k) * stride_k];
        if (layout->element == 1)
          ((int8_t *)out)[at] = v;
        else
          ((int16_t *)(void *)out)[at] = v;
      }
    }
  }
}
