/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of integers as blocks of a committed table. The readable twin is fill of vcompute/proof/succinct/columns.py. */
#include <string.h>

#include "integers.h"

typedef struct {
  const vc_integer_kernels *kernels;
  const vc_column *column;
  int32_t streamed;
} filling;

static size_t element_bytes(const vc_column *c) { return c->width ? (size_t)c->width : sizeof(uint64_t); }

/* The part of a block from one axis on, zeros included. */
static void fill_axis(const filling *f, uint64_t *out, const vc_block *b, size_t axis, int64_t at) {
  size_t below = 0;
  for (size_t i = axis + 1; i < b->axes; i++) below += (size_t)b->bits[i];
  const size_t valid = b->axes ? (size_t)b->valid[axis] : 1, all = b->axes ? (size_t)1 << b->bits[axis] : 1;
  if (axis + 1 >= b->axes)
    f->kernels->elements(out, (const uint8_t *)f->column->data + (size_t)at * element_bytes(f->column),
                         (size_t)f->column->width, valid, f->streamed);
  else
    for (size_t i = 0; i < valid; i++) fill_axis(f, out + (i << below), b, axis + 1, at + (int64_t)i * b->stride[axis]);
  memset(out + (valid << below), 0, ((all - valid) << below) * sizeof *out);
}

/* The same block with as few axes as possible: one that is whole joins the one before it. */
static vc_block joined(const vc_block *b) {
  vc_block r = *b;
  r.axes = 0;
  for (size_t i = 0; i < b->axes; i++) {
    const size_t last = (size_t)r.axes - 1;
    if (r.axes && b->valid[i] == (uint64_t)1 << b->bits[i] && r.stride[last] == (int64_t)b->valid[i] * b->stride[i]) {
      r.bits[last] += b->bits[i];
      r.valid[last] *= b->valid[i];
      r.stride[last] = b->stride[i];
      continue;
    }
    r.bits[r.axes] = b->bits[i];
    r.valid[r.axes] = b->valid[i];
    r.stride[r.axes++] = b->stride[i];
  }
  return r;
}

void vc_fill_blocks(uint64_t *table, const vc_column *columns, const vc_block *blocks, size_t count, int32_t streamed) {
  filling f = {vc_integers(), NULL, streamed};
  for (size_t i = 0; i < count; i++) {
    const vc_block b = joined(blocks + i);
    f.column = columns + b.column;
    fill_axis(&f, table + b.offset, &b, 0, b.start);
  }
}
