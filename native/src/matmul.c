/* SPDX-License-Identifier: Apache-2.0 */
/* The raw product int8 x int8 -> int32. Columns are packed for the kernels once, and any number of rows follow. */
#include "cpu.h"
#include "pack.h"
#include "vcompute.h"

#if defined(VC_X86_64)
#include <emmintrin.h>
#elif defined(VC_AARCH64)
#include <arm_neon.h>
#endif

/* out[4 j + i] = row i [j], i < 4, j < 16. */
static void interleave4(uint8_t *out, const int8_t *b, size_t stride) {
#if defined(VC_X86_64)
  __m128i r[4], t[4];
  for (size_t i = 0; i < 4; i++) r[i] = _mm_loadu_si128((const __m128i *)(const void *)(b + i * stride));
  t[0] = _mm_unpacklo_epi8(r[0], r[1]);
  t[1] = _mm_unpackhi_epi8(r[0], r[1]);
  t[2] = _mm_unpacklo_epi8(r[2], r[3]);
  t[3] = _mm_unpackhi_epi8(r[2], r[3]);
  __m128i *o = (__m128i *)(void *)out;
  _mm_storeu_si128(o, _mm_unpacklo_epi16(t[0], t[2]));
  _mm_storeu_si128(o + 1, _mm_unpackhi_epi16(t[0], t[2]));
  _mm_storeu_si128(o + 2, _mm_unpacklo_epi16(t[1], t[3]));
  _mm_storeu_si128(o + 3, _mm_unpackhi_epi16(t[1], t[3]));
#elif defined(VC_AARCH64)
  int8x16x4_t r = {{vld1q_s8(b), vld1q_s8(b + stride), vld1q_s8(b + 2 * stride), vld1q_s8(b + 3 * stride)}};
  vst4q_s8((int8_t *)out, r);
#else
  for (size_t j = 0; j < 16; j++)
    for (size_t i = 0; i < 4; i++) ((int8_t *)out)[4 * j + i] = b[i * stride + j];
#endif
}

/* Whole k-groups of a whole panel, as fast as they can be read; the rest goes the general way. */
static void pack_panel(uint8_t *out, const vc_layout *layout, const int8_t *b, size_t depth, size_t stride, size_t n, size_t panel_bytes) {
  const size_t nr = layout->nr, kr = layout->kr, element = layout->element;
  const uint8_t *end = out + panel_bytes;
  for (size_t k = 0; k < depth; k += kr, out += nr * kr * element, b += kr * stride) {
    if (n >= nr && depth - k >= kr) {
      if (element == 1 && kr == 4 && nr == 16) {
        interleave4(out, b, stride);
        continue;
      }
      if (element == 2 && kr == 2) {
        int16_t *o = (int16_t *)(void *)out;
        for (size_t j = 0; j < nr; j++) {
          o[2 * j] = b[j];
          o[2 * j + 1] = b[stride + j];
        }
        continue;
      }
    }
    memset(out, 0, nr * kr * element);
    for (size_t j = 0; j < nr && j < n; j++) {
      for (size_t i = 0; i < kr && k + i < depth; i++) {
        if (element == 1)
          ((int8_t *)out)[j * kr + i] = b[i * stride + j];
        else
          ((int16_t *)(void *)out)[j * kr + i] = b[i * stride + j];
      }
    }
  }
  memset(out, 0, (size_t)(end - out));
}

/* Depth is cut so that a tile's columns and the rows stay in the second level of cache; each piece is a product of its
 * own, and all but the first are added to what is there. */
#define DEPTH_BYTES 4096
#define STRIP 128 /* columns added at a time; a multiple of every panel's width */

typedef struct {
  size_t depth, pieces; /* of one piece; how many */
  size_t panels, panel_bytes, params_at, piece_bytes, bytes;
  size_t row_bytes, arranged_at, sums_at, rows_bytes; /* of the scratch of vc_matmul_rows */
} sizes;

static sizes sizes_of(const vc_layout *layout, size_t k, size_t n) {
  sizes s;
  s.depth = layout->element == 2 ? DEPTH_BYTES / 2 : DEPTH_BYTES;
  if (k <= s.depth + s.depth / 2) s.depth = k;
  s.pieces = (k + s.depth - 1) / s.depth;
  const vc_product p = {n, 1, s.depth};
  s.panels = vc_panels(layout, &p);
  s.panel_bytes = vc_panel_bytes(layout, &p);
  s.params_at = s.panels * s.panel_bytes;
  s.piece_bytes = vc_round_up(s.params_at + s.panels * vc_params_bytes(layout->nr), VC_ALIGN);
  s.bytes = s.pieces * s.piece_bytes;
  s.row_bytes = vc_round_up(s.depth, 16);
  s.arranged_at = vc_round_up(VC_ROWS * s.row_bytes, VC_ALIGN);
  s.sums_at = s.arranged_at + vc_row_scratch(layout, s.row_bytes);
  s.rows_bytes = s.sums_at + (s.pieces > 1 ? VC_ROWS * STRIP * sizeof(int32_t) : 0);
  return s;
}

size_t vc_matmul_packed_bytes(size_t k, size_t n) { return sizes_of(vc_int8()->layout, k, n).bytes; }

size_t vc_matmul_scratch_bytes(size_t k, size_t n) { return sizes_of(vc_int8()->layout, k, n).rows_bytes; }

/* Of whole panels in 16 bits, which 256 rows cannot leave. */
static void column_sums(int32_t sums[VC_MAX_NR], const int8_t *b, size_t depth, size_t stride, size_t width) {
  memset(sums, 0, VC_MAX_NR * sizeof *sums);
  for (size_t first = 0; width == VC_MAX_NR && first < depth; first += 256) {
    const size_t rows = depth - first < 256 ? depth - first : 256;
    int16_t part[VC_MAX_NR] = {0};
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < VC_MAX_NR; j++) part[j] = (int16_t)(part[j] + b[(first + i) * stride + j]);
    for (size_t j = 0; j < VC_MAX_NR; j++) sums[j] += part[j];
  }
  for (size_t i = 0; width < VC_MAX_NR && i < depth; i++)
    for (size_t j = 0; j < width; j++) sums[j] += b[i * stride + j];
}

/* One piece, the general way. */
static void pack_any(uint8_t *packed, const vc_layout *layout, const sizes *s, const int8_t *b, size_t depth, size_t n) {
  const vc_quant quant = {0, 0, 0, 0};
  for (size_t panel = 0; panel < s->panels; panel++) {
    const size_t first = panel * layout->nr, width = n - first < layout->nr ? n - first : layout->nr;
    int32_t sums[VC_MAX_NR] = {0};
    vc_channel channels[VC_MAX_NR];
    pack_panel(packed + panel * s->panel_bytes, layout, b + first, depth, n, width, s->panel_bytes);
    if (layout->x_offset) column_sums(sums, b + first, depth, n, width);
    for (size_t j = 0; j < width; j++) channels[j] = (vc_channel){0, 1, -1, 0, sums[j]};
    uint8_t *params = packed + s->params_at + panel * vc_params_bytes(layout->nr);
    vc_pack_params(params, layout, VC_FORM_RAW, &quant, layout->x_offset, channels, width, NULL);
    vc_fold(params, layout, packed + panel * s->panel_bytes, (depth + layout->kr - 1) / layout->kr);
  }
}

/* One piece with the table's own packing, a few rows of all panels at a time, so that a line of b is read once; columns and
 * rows that are not whole panels and quads are copied between zeros first. */
#define PACK_BYTES 16384 /* of b at a time: half of the first level of cache */
#define PACK_ROWS 64     /* at most; a multiple of 4 */

static void pack_piece(uint8_t *packed, const vc_int8_kernels *kernels, const sizes *s, const int8_t *b, size_t depth,
                       size_t n) {
  const size_t nr = kernels->layout->nr, quad_bytes = 4 * nr * kernels->layout->element, fit = PACK_BYTES / n / 4 * 4;
  const size_t step = fit < 4 ? 4 : fit > PACK_ROWS ? PACK_ROWS : fit;
  int8_t edge[PACK_ROWS * VC_MAX_NR];
  memset(packed + s->params_at, 0, s->panels * vc_params_bytes(nr));
  for (size_t first = 0; first < depth; first += step, b += step * n) {
    const size_t rows = depth - first < step ? depth - first : step;
    for (size_t panel = 0; panel < s->panels; panel++) {
      const int8_t *from = b + panel * nr;
      const size_t width = n - panel * nr < nr ? n - panel * nr : nr, whole = width == nr ? rows / 4 : 0;
      uint8_t *to = packed + panel * s->panel_bytes + first / 4 * quad_bytes;
      int32_t *bias = (int32_t *)(void *)(packed + s->params_at + panel * vc_params_bytes(nr));
      if (whole) kernels->pack(to, bias, from, n, whole);
      if (4 * whole == rows) continue;
      memset(edge, 0, sizeof edge);
      for (size_t i = 4 * whole; i < rows; i++) memcpy(edge + (i - 4 * whole) * nr, from + i * n, width);
      kernels->pack(to + whole * quad_bytes, bias, edge, nr, (rows + 3) / 4 - whole);
    }
  }
}

void vc_matmul_pack(uint8_t *packed, const int8_t *b, size_t k, size_t n) {
  const vc_int8_kernels *kernels = vc_int8();
  const sizes s = sizes_of(kernels->layout, k, n);
  for (size_t start = 0; start < k; start += s.depth, packed += s.piece_bytes, b += s.depth * n) {
    const size_t depth = k - start < s.depth ? k - start : s.depth;
    if (kernels->pack)
      pack_piece(packed, kernels, &s, b, depth, n);
    else
      pack_any(packed, kernels->layout, &s, b, depth, n);
  }
}

/* The rows of one piece, copied where its depth is not whole k-groups, and arranged. */
static void make_rows(vc_rows *r, const int8_t *a, size_t stride, size_t depth, const sizes *s,
                      const vc_int8_kernels *kernels, uint8_t *scratch) {
  for (size_t i = 0; i < r->m; i++) {
    const int8_t *row = a + i * stride;
    if (depth % kernels->layout->kr) {
      int8_t *copy = (int8_t *)scratch + i * s->row_bytes;
      memcpy(copy, row, depth);
      memset(copy + depth, 0, s->row_bytes - depth);
      row = copy;
    }
    r->rows[i] = row;
  }
  if (kernels->arrange) kernels->arrange(r, scratch + s->arranged_at);
}

static void accumulate(int32_t *restrict out, size_t stride, const int32_t *restrict sums, size_t m, size_t n) {
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) out[i * stride + j] += sums[i * n + j];
}

/* The columns of one piece; where the product has to be added to what is there, a strip at a time. */
static void multiply(int32_t *out, const vc_rows *rows, const uint8_t *packed, const sizes *s, size_t n, int32_t *sums) {
  const vc_int8_kernels *kernels = vc_int8();
  const size_t nr = kernels->layout->nr, step = sums ? STRIP / nr : s->panels;
  for (size_t panel = 0; panel < s->panels; panel += step) {
    const size_t first = panel * nr, left = n - first, width = sums && left > STRIP ? STRIP : left;
    const vc_columns columns = {packed + panel * s->panel_bytes, packed + s->params_at + panel * vc_params_bytes(nr),
                                s->panel_bytes, width, VC_FORM_RAW, 0, 0, 0};
    kernels->gemm(sums ? sums : out, sums ? width : n, rows, &columns);
    if (sums) accumulate(out + first, n, sums, rows->m, width);
  }
}

void vc_matmul_rows(int32_t *out, const int8_t *a, const uint8_t *packed, size_t m, size_t k, size_t n,
                    uint8_t *scratch) {
  const vc_int8_kernels *kernels = vc_int8();
  const sizes s = sizes_of(kernels->layout, k, n);
  int32_t *sums = (int32_t *)(void *)(scratch + s.sums_at);
  const void *rows[VC_ROWS];
  for (size_t start = 0; start < k; start += s.depth, packed += s.piece_bytes) {
    const size_t depth = k - start < s.depth ? k - start : s.depth;
    for (size_t first = 0; first < m; first += VC_ROWS) {
      const size_t count = m - first < VC_ROWS ? m - first : VC_ROWS;
      vc_rows r = {rows, count, 1, 0, (depth + kernels->layout->kr - 1) / kernels->layout->kr};
      make_rows(&r, a + first * k + start, k, depth, &s, kernels, scratch);
      multiply(out + first * n, &r, packed, &s, n, start ? sums : NULL);
    }
  }
}
