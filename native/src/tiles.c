/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of an opening tile by tile: a piece, cut to a tile, as rows and columns.
 *
 * A piece and a tile are aligned blocks of 2^n elements, so one lies in the other. A piece that is larger keeps its last axes
 * whole, one axis in part, and one index of each axis before: it is a piece of the same kind.
 */
#include "tiles.h"

#include <string.h>

#include "field.h"
#include "goldilocks.h"
#include "sums.h"

enum { CELL_BITS = 4, MOST_AXES = 16 };

static size_t bits_of(const vc_weight_piece *p) {
  size_t bits = 0;
  for (size_t axis = 0; axis < p->axes; axis++) bits += (size_t)p->bits[axis];
  return bits;
}

static size_t end_of(const vc_weight_piece *p) { return (size_t)p->offset + ((size_t)1 << bits_of(p)); }

size_t vc_patches_first(const vc_pieces *p, size_t element) {
  size_t low = 0, high = p->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (end_of(p->pieces + middle) <= element)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static size_t log2_of(size_t size) {
  size_t bits = 0;
  while (((size_t)1 << bits) < size) bits++;
  return bits;
}

/* What a piece has in the tile from `start` on. */
static vc_weight_piece cut(const vc_weight_piece *p, size_t start, size_t size) {
  vc_weight_piece out = *p;
  size_t rest = log2_of(size);
  if (bits_of(p) <= rest) return out;
  size_t index = (start - (size_t)p->offset) >> rest;
  out.offset = start;
  for (size_t axis = (size_t)p->axes; axis-- > 0;) {
    const size_t bits = (size_t)p->bits[axis], kept = bits < rest ? bits : rest;
    const uint64_t past = (uint64_t)(index & (((size_t)1 << (bits - kept)) - 1)) << kept;
    const uint64_t valid = p->valid[axis] > past ? p->valid[axis] - past : 0;
    index >>= bits - kept, rest -= kept;
    out.bits[axis] = kept, out.start[axis] += past;
    out.valid[axis] = valid < (uint64_t)1 << kept ? valid : (uint64_t)1 << kept;
  }
  return out;
}

/* Where the columns of a piece begin: as few of its last axes as make a cell. */
static size_t split_of(const vc_weight_piece *p, size_t *columns) {
  size_t axis = (size_t)p->axes, bits = 0;
  while (axis > 0 && (bits < CELL_BITS || p->bits[axis - 1] == 0)) bits += (size_t)p->bits[--axis];
  *columns = (size_t)1 << bits;
  return axis;
}

/* out (pairs) = scale times the product of a term's vectors on axes first .. last - 1; how many elements. `ends`: the first axis
 * is as long as it is valid. */
static size_t multiply_out(uint64_t *out, const vc_weight_piece *p, const vc_weight_term *term, size_t first, size_t last,
                           const uint64_t scale[2], int ends) {
  const vc_field_kernels *k = vc_field();
  size_t n = 1;
  memcpy(out, scale, 2 * sizeof *out);
  for (size_t axis = first; axis < last; axis++) {
    const size_t valid = (size_t)p->valid[axis], size = ends && n == 1 ? valid : (size_t)1 << p->bits[axis];
    const uint64_t *vector = term->vectors[axis] + 2 * p->start[axis];
    for (size_t i = n; i-- > 0;) {
      const uint64_t factor[2] = {out[2 * i], out[2 * i + 1]};
      uint64_t *to = out + 2 * i * size;
      if (n == 1 && factor[0] == 1 && factor[1] == 0)
        memcpy(to, vector, 2 * valid * sizeof *to);
      else
        k->ext_scale(to, vector, factor, valid);
      memset(to + 2 * valid, 0, 2 * (size - valid) * sizeof *to);
    }
    n *= size;
  }
  return n;
}

static const uint64_t ONE[2] = {1, 0};

static int is_empty(const vc_weight_piece *p) {
  int empty = p->terms == 0;
  for (size_t axis = 0; axis < p->axes; axis++) empty |= p->valid[axis] == 0;
  return empty;
}

static void lay_out(vc_patch *g, const vc_weight_piece *p, const vc_weight_term *terms, const uint64_t scale[2], uint64_t *words) {
  const size_t split = split_of(p, &g->columns);
  g->terms = is_empty(p) ? 0 : (size_t)p->terms;
  g->rows = 0;
  g->factors = words;
  for (size_t t = 0; t < g->terms; t++) {
    uint64_t both[2];
    vc_ext_mul(both, terms[t].scale, scale);
    g->rows = multiply_out(words, p, terms + t, 0, split, both, 1);
    words += 2 * g->rows;
  }
  g->inner = words;
  for (size_t t = 0; t < g->terms; t++, words += g->width * g->columns) {
    multiply_out(words, p, terms + t, split, (size_t)p->axes, ONE, 0);
    vc_sums()->to_blocks(words, g->columns, g->width);
  }
}

/* A cell of pieces that are shorter: a row of one term. */
static void add_cell(vc_patch *g, const vc_pieces *p, size_t *next, size_t start, size_t cell, const uint64_t scale[2],
                     uint64_t *words) {
  const vc_patch row = {cell - start, cell - start + VC_CELL, 1, VC_CELL, 1, g->width, words, words + 2};
  *g = row;
  memcpy(g->factors, scale, 2 * sizeof *words);
  memset(g->inner, 0, 2 * VC_CELL * sizeof *words);
  for (; *next < p->count && p->pieces[*next].offset < cell + VC_CELL; ++*next) {
    const vc_weight_piece *piece = p->pieces + *next;
    uint64_t *to = g->inner + 2 * (piece->offset - cell), values[2 * VC_CELL];
    for (size_t t = 0; t < piece->terms && !is_empty(piece); t++) {
      const vc_weight_term *term = p->terms + piece->first + t;
      const size_t n = multiply_out(values, piece, term, 0, (size_t)piece->axes, term->scale, 0);
      for (size_t i = 0; i < 2 * n; i++) to[i] = vc_gl_add(to[i], values[i]);
    }
  }
  vc_sums()->to_blocks(g->inner, VC_CELL, g->width);
}

int vc_patches_next(vc_patch *patch, const vc_pieces *p, size_t *next, size_t start, size_t size, const uint64_t scale[2],
                  uint64_t *words) {
  if (*next >= p->count || p->pieces[*next].offset >= start + size) return 0;
  const vc_weight_piece *piece = p->pieces + *next;
  if (bits_of(piece) < CELL_BITS) {
    add_cell(patch, p, next, start, (size_t)piece->offset / VC_CELL * VC_CELL, scale, words);
    return 1;
  }
  const vc_weight_piece here = cut(piece, start, size);
  lay_out(patch, &here, p->terms + piece->first, scale, words);
  patch->at = (size_t)here.offset - start;
  patch->end = patch->at + ((size_t)1 << bits_of(&here));
  ++*next;
  return 1;
}

size_t vc_patch_words(const vc_patch *g) { return g->terms * (2 * g->rows + g->width * g->columns); }

size_t vc_patches_words(const vc_pieces *p, size_t size, size_t width) {
  size_t most = 0, words = 0, tile = 0, cell = (size_t)-1;
  for (size_t i = 0; i < p->count; i++) {
    const size_t offset = (size_t)p->pieces[i].offset, bits = bits_of(p->pieces + i);
    if (offset / size != tile) tile = offset / size, words = 0;
    if (bits < CELL_BITS) {
      words += offset / VC_CELL != cell ? 2 + width * VC_CELL : 0;
      cell = offset / VC_CELL;
    } else {
      const vc_weight_piece here = cut(p->pieces + i, offset, size);
      const size_t elements = bits < log2_of(size) ? (size_t)1 << bits : size;
      size_t columns;
      split_of(&here, &columns);
      words += (size_t)here.terms * (2 * (elements / columns) + width * columns);
    }
    if (words > most) most = words;
  }
  return most;
}
