/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of integers as blocks of a committed table. The readable twin is fill of vcompute/proof/succinct/columns.py. */
#include <string.h>

#include "goldilocks.h"
#include "vcompute.h"

/* v modulo p: v + 2^64 as a word is v + (2^32 - 1) modulo p. */
static uint64_t element(int64_t v) { return (uint64_t)v - (v < 0 ? VC_EPSILON : 0); }

static void fill_row(uint64_t *out, const vc_block *b, int64_t at, size_t n) {
  switch (b->width) {
    case 1:
      for (size_t i = 0; i < n; i++) out[i] = element(((const int8_t *)b->source)[at + (int64_t)i]);
      break;
    case 4:
      for (size_t i = 0; i < n; i++) out[i] = element(((const int32_t *)b->source)[at + (int64_t)i]);
      break;
    case 8:
      for (size_t i = 0; i < n; i++) out[i] = element(((const int64_t *)b->source)[at + (int64_t)i]);
      break;
    default:
      memcpy(out, (const uint64_t *)b->source + at, n * sizeof *out);
  }
}

/* The part of a block from one axis on. */
static void fill_axis(uint64_t *out, const vc_block *b, size_t axis, int64_t at) {
  size_t below = 0;
  if (axis + 1 >= b->axes) {
    fill_row(out, b, at, b->axes ? (size_t)b->valid[axis] : 1);
    return;
  }
  for (size_t i = axis + 1; i < b->axes; i++) below += (size_t)b->bits[i];
  for (size_t i = 0; i < b->valid[axis]; i++) fill_axis(out + (i << below), b, axis + 1, at + (int64_t)i * b->stride[axis]);
}

void vc_fill_blocks(uint64_t *table, const vc_block *blocks, size_t count) {
  for (size_t i = 0; i < count; i++) fill_axis(table + blocks[i].offset, blocks + i, 0, blocks[i].start);
}
