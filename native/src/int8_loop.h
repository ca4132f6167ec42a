/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a gemm over tiles, for the instruction sets that keep a tile of accumulators in registers.
 *
 * The including file defines TILE_ROWS_1 .. TILE_ROWS_<TILE_PANELS>, the rows of a tile of so many panels, and
 *   VC_INLINE void tile(int mr, int np, void *out, size_t out_stride, const vc_rows *a, size_t row,
 *                       const vc_columns *b, size_t panel)
 * which computes mr rows x np panels; calls with constant mr and np unroll it.
 */
#ifndef VC_INT8_LOOP_H
#define VC_INT8_LOOP_H

#define TILE_ARGS void *out, size_t out_stride, const vc_rows *a, size_t row, const vc_columns *b, size_t panel

#define TILE_CASE(mr, np) \
  case mr:                \
    tile(mr, np, out, out_stride, a, row, b, panel); \
    break;

/* Rows of one group of panels: as many whole tiles as there are, then one of what is left. */
#define TILE_STRIP(np, rows, cases)                                                          \
  static void strip_##np(void *out, size_t out_stride, const vc_rows *a, const vc_columns *b, size_t panel) { \
    for (size_t row = 0; row < a->m; row += rows) {                                          \
      switch (a->m - row < rows ? a->m - row : rows) { cases }                               \
    }                                                                                        \
  }

#endif
