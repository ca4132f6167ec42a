/* SPDX-License-Identifier: Apache-2.0 */
/* What an opening does first: the weights of all claims on a committed table, and the rounds that bind the variables of its
 * lanes. The readable twin is vcompute/commitment/lanes.py.
 *
 * Such a round combines whole lanes, position by position. Two rounds' messages are sums over the products of four groups of
 * lanes, f_i * w_j, which no challenge touches: so a pass over the tables binds two variables and sums up the products
 * for the next two, and everything is read once for two rounds. Extension elements stand in blocks of eight (see sums.h).
 */
#include <string.h>

#include "goldilocks.h"
#include "sums.h"
#include "field.h"
#include "vcompute.h"

enum {
  CHUNK = 256,    /* positions at a time: a group of lanes stays in the fastest cache */
  STRETCH = 2048, /* positions of one group in a row: long enough for the processor to fetch ahead */
  INNER_BITS = 8,
  LEAST_BITS = 5
};

/* ---- weights ---- */

typedef struct {
  size_t axes, bits, length; /* of the inner product: its axes, and its elements */
} inner_shape;

/* The last axes, as many as make a row that is neither long nor short. */
static inner_shape inner_of(const vc_weight_piece *p) {
  inner_shape s = {0, 0, 1};
  while (s.axes < p->axes) {
    const size_t more = (size_t)p->bits[p->axes - 1 - s.axes];
    if (s.bits >= LEAST_BITS && s.bits + more > INNER_BITS) break;
    s.bits += more, s.axes++;
  }
  s.length = (size_t)1 << s.bits;
  return s;
}

static size_t padded(size_t n) { return (n + 7) / 8 * 8; }

static void put(uint64_t *blocks, size_t i, const uint64_t value[2]) {
  uint64_t *at = blocks + i / 8 * 16 + i % 8;
  at[0] = value[0], at[8] = value[1];
}

static void clear(uint64_t *blocks, size_t at, size_t n) {
  const uint64_t zero[2] = {0, 0};
  if (n >= 8)
    memset(blocks + 2 * at, 0, 2 * n * sizeof *blocks);
  else
    for (size_t i = 0; i < n; i++) put(blocks, at + i, zero);
}

/* rows (blocks) = the product of the inner axes of a term; zero past an axis's end. */
static void inner_product(uint64_t *rows, const vc_weight_piece *p, const uint64_t *const *vectors, const inner_shape *s,
                          uint64_t *scratch) {
  const vc_field_kernels *k = vc_field();
  size_t length = 1;
  scratch[0] = 1, scratch[1] = 0;
  for (size_t axis = (size_t)p->axes; axis-- > p->axes - s->axes;) {
    const size_t size = (size_t)1 << p->bits[axis];
    const uint64_t *vector = vectors[axis] + 2 * p->start[axis];
    for (size_t i = size; i-- > 0;) {
      uint64_t *to = scratch + 2 * i * length;
      if (i >= p->valid[axis])
        memset(to, 0, 2 * length * sizeof *to);
      else if (length == 1 && axis + 1 == p->axes)
        memcpy(to, vector + 2 * i, 2 * sizeof *to);
      else
        k->ext_scale(to, scratch, vector + 2 * i, length);
    }
    length *= size;
  }
  for (size_t i = 0; i < length; i++) put(rows, i, scratch + 2 * i);
}

/* A piece's rows, outer axes first: factors[axis] holds each term's factor of the axes up to there. */
typedef struct {
  const vc_sum_kernels *sums;
  const vc_weight_piece *piece;
  const vc_weight_term *terms;
  size_t outer;
  inner_shape inner;
  const uint64_t **rows;
  uint64_t *factors;
  uint64_t *table;
} filling;

static void fill_rows(const filling *f, size_t axis, size_t at) {
  const vc_weight_piece *p = f->piece;
  const size_t terms = (size_t)p->terms;
  const uint64_t *factors = f->factors + 2 * axis * terms;
  if (axis == f->outer) {
    if (f->inner.length >= 8) {
      f->sums->combine_blocks(f->table + 2 * at, f->rows, factors, terms, f->inner.length);
    } else {
      uint64_t few[16];
      f->sums->combine_blocks(few, f->rows, factors, terms, 8);
      for (size_t i = 0; i < f->inner.length; i++) {
        const uint64_t value[2] = {few[i], few[8 + i]};
        put(f->table, at + i, value);
      }
    }
    return;
  }
  size_t stride = f->inner.bits;
  for (size_t i = axis + 1; i < f->outer; i++) stride += (size_t)p->bits[i];
  for (size_t i = 0; i < p->valid[axis]; i++) {
    uint64_t *next = f->factors + 2 * (axis + 1) * terms;
    for (size_t t = 0; t < terms; t++)
      vc_ext_mul(next + 2 * t, factors + 2 * t, f->terms[t].vectors[axis] + 2 * (p->start[axis] + i));
    fill_rows(f, axis + 1, at + (i << stride));
  }
  const size_t past = ((size_t)1 << p->bits[axis]) - (size_t)p->valid[axis];
  if (past) clear(f->table, at + ((size_t)p->valid[axis] << stride), past << stride);
}

size_t vc_weights_scratch(const vc_weight_piece *pieces, size_t count) {
  size_t most = 0;
  for (size_t i = 0; i < count; i++) {
    const size_t terms = (size_t)pieces[i].terms, length = padded(inner_of(pieces + i).length);
    const size_t words = 2 * length * (terms + 1) + 2 * terms * ((size_t)pieces[i].axes + 1) + terms;
    if (words > most) most = words;
  }
  return most;
}

void vc_weights(uint64_t *table, const vc_weight_piece *pieces, size_t count, const vc_weight_term *terms,
                uint64_t *scratch) {
  for (size_t i = 0; i < count; i++) {
    const vc_weight_piece *p = pieces + i;
    const size_t n = (size_t)p->terms;
    filling f = {vc_sums(), p, terms + p->first, 0, inner_of(p), NULL, NULL, table};
    if (n == 0) {
      size_t bits = 0;
      for (size_t axis = 0; axis < p->axes; axis++) bits += (size_t)p->bits[axis];
      clear(table, (size_t)p->offset, (size_t)1 << bits);
      continue;
    }
    const size_t length = padded(f.inner.length);
    uint64_t *rows = scratch + 2 * length;
    f.outer = (size_t)p->axes - f.inner.axes;
    f.factors = rows + 2 * length * n;
    f.rows = (const uint64_t **)(void *)(f.factors + 2 * n * ((size_t)p->axes + 1));
    memset(rows, 0, 2 * length * n * sizeof *rows);
    for (size_t t = 0; t < n; t++) {
      f.rows[t] = rows + 2 * length * t;
      inner_product(rows + 2 * length * t, p, f.terms[t].vectors, &f.inner, scratch);
      memcpy(f.factors + 2 * t, f.terms[t].scale, sizeof f.terms[t].scale);
    }
    fill_rows(&f, 0, (size_t)p->offset);
  }
}

/* ---- lanes ---- */

size_t vc_lanes_scratch(void) { return vc_sums()->gram_words; }

/* Where the chunk from `start` on of lane i begins: words, or blocks of pairs. */
static const uint64_t *chunk_of(const uint64_t *table, size_t lane, size_t length, size_t start, int base) {
  return table + (base ? 1 : 2) * (lane * length + start);
}

/* Add the products of groups of lanes, 2^ahead of them, of all the lanes' chunk from `start` on. */
static void add_products(uint64_t *state, const vc_lanes *t, size_t start, size_t n, size_t ahead) {
  const vc_sum_kernels *k = vc_sums();
  const size_t groups = (size_t)1 << ahead, apart = (size_t)1 << (t->variables - ahead), length = (size_t)t->length;
  for (size_t first = 0; first < apart && first < t->lanes; first++) {
    const uint64_t *f[VC_MOST_GRAM], *w[VC_MOST_GRAM];
    for (size_t g = 0; g < groups; g++) {
      const size_t lane = first + g * apart;
      f[g] = lane < t->lanes ? chunk_of(t->f, lane, length, start, (int)t->base) : NULL;
      w[g] = lane < t->lanes ? chunk_of(t->w, lane, length, start, 0) : NULL;
    }
    for (size_t at = 0; at < n; at += CHUNK) {
      (t->base ? k->gram_base : k->gram_blocks)(state, f, w, groups, n - at < CHUNK ? n - at : CHUNK);
      for (size_t g = 0; g < groups && f[g]; g++) f[g] += (t->base ? 1 : 2) * CHUNK, w[g] += 2 * CHUNK;
    }
  }
}

/* out's chunk = `in`'s with its first `bound` variables bound: the lanes of a group weighed. */
static void bind_chunk(const vc_lanes *out, const vc_lanes *in, size_t start, size_t n, size_t bound, const uint64_t *weights) {
  const vc_sum_kernels *k = vc_sums();
  const size_t groups = (size_t)1 << bound, apart = (size_t)1 << (in->variables - bound), length = (size_t)in->length;
  for (size_t first = 0; first < out->lanes; first++) {
    const uint64_t *f[VC_MOST_GRAM], *w[VC_MOST_GRAM];
    size_t count = 0;
    for (size_t g = 0; g < groups && first + g * apart < in->lanes; g++, count++) {
      f[g] = chunk_of(in->f, first + g * apart, length, start, (int)in->base);
      w[g] = chunk_of(in->w, first + g * apart, length, start, 0);
    }
    const size_t to = 2 * (first * length + start);
    (in->base ? k->combine_base : k->combine_blocks)(out->f + to, f, weights, count, n);
    k->combine_blocks(out->w + to, w, weights, count, n);
  }
}

void vc_lanes_products(uint64_t *sums, const vc_lanes *t, size_t ahead, size_t first, size_t positions,
                       uint64_t *scratch) {
  memset(scratch, 0, vc_lanes_scratch() * sizeof *scratch);
  for (size_t start = first, stop = first + positions; start < stop; start += STRETCH) {
    const size_t n = stop - start < STRETCH ? stop - start : STRETCH;
    add_products(scratch, t, start, n, ahead);
  }
  vc_sums()->gram_end(sums, scratch, (size_t)1 << ahead);
}

void vc_lanes_bind(uint64_t *sums, const vc_lanes *out, const vc_lanes *in, size_t bound, const uint64_t *weights, size_t ahead,
                   size_t first, size_t positions, uint64_t *scratch) {
  memset(scratch, 0, vc_lanes_scratch() * sizeof *scratch);
  for (size_t start = first, stop = first + positions; start < stop; start += STRETCH) {
    const size_t n = stop - start < STRETCH ? stop - start : STRETCH;
    bind_chunk(out, in, start, n, bound, weights);
    if (ahead) add_products(scratch, out, start, n, ahead);
  }
  if (ahead) vc_sums()->gram_end(sums, scratch, (size_t)1 << ahead);
}

void vc_blocks_to_pairs(uint64_t *pairs, const uint64_t *blocks, size_t n) {
  for (size_t i = 0; i < n; i++) pairs[2 * i] = blocks[i / 8 * 16 + i % 8], pairs[2 * i + 1] = blocks[i / 8 * 16 + 8 + i % 8];
}
