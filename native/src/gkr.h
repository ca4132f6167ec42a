/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the tree of fractions share: groups of boxes, and small arithmetic.
 *
 * The readable twin is vcompute/proof/succinct/lookup/tree.py (NumpyTree): the same messages from padded tables. Here an
 * axis is padded to a power of two only once its own variables are bound, so that padding costs next to nothing: at a
 * level a box is 2^b rows, b the variables left of its first axis, and a row is the other axes at their true length.
 */
#ifndef VC_GKR_H
#define VC_GKR_H

#include <string.h>

#include "field.h"
#include "goldilocks.h"
#include "vcompute.h"

enum { VC_GKR_CHUNK = 512 };

/* Boxes as any, of leaves whose numerators are 1, and of the nodes that are made of two such leaves. */
enum { VC_GKR_ANY, VC_GKR_LEAVES, VC_GKR_NODES };
enum { VC_GKR_NODE_BITS = 18 };

/* A row of the description of a level: boxes of one shape, one after the other. */
typedef struct {
  size_t count;
  size_t half, pad; /* elements of the box with the next variable bound, and what is then added to it as padding */
  size_t unit;      /* VC_GKR_LEAVES for unit boxes, VC_GKR_NODES for their nodes */
  size_t place;     /* the number of the first box among boxes of its size */
  size_t bits;      /* variables left */
  size_t first;     /* variables left of the first axis */
  size_t rest;      /* axes after it */
  const uint64_t *sizes;
} vc_group;

static inline vc_group vc_read_group(const uint64_t *groups, size_t i) {
  const uint64_t *row = groups + i * VC_GKR_ROW;
  vc_group g = {(size_t)row[0], (size_t)row[1], (size_t)row[2], (size_t)row[3], (size_t)row[4],
                (size_t)row[5], (size_t)row[6], (size_t)row[7], row + 8};
  return g;
}

static inline unsigned vc_bits_of(size_t size) {
  unsigned bits = 0;
  while (((size_t)1 << bits) < size) bits++;
  return bits;
}

static inline void vc_set(uint64_t *out, const uint64_t value[2]) { out[0] = value[0], out[1] = value[1]; }

static inline void vc_fill_pairs(uint64_t *out, const uint64_t value[2], size_t n) {
  for (size_t i = 0; i < n; i++) vc_set(out + 2 * i, value);
}

static inline void vc_accumulate(uint64_t sum[2], const uint64_t value[2]) {
  sum[0] = vc_gl_add(sum[0], value[0]);
  sum[1] = vc_gl_add(sum[1], value[1]);
}

static inline void vc_accumulate_product(uint64_t sum[2], const uint64_t a[2], const uint64_t b[2]) {
  uint64_t product[2];
  vc_ext_mul(product, a, b);
  vc_accumulate(sum, product);
}

static const uint64_t vc_zero[2] = {0, 0}, vc_one[2] = {1, 0};

/* The part-th of some parts of n elements: from `first` on, `count`; multiples of eight but for the end. */
typedef struct {
  size_t first, count;
} vc_range;

static inline vc_range vc_part_of(size_t n, size_t part, size_t parts) {
  const size_t from = part == 0 ? 0 : n * part / parts / 8 * 8, to = part + 1 == parts ? n : n * (part + 1) / parts / 8 * 8;
  const vc_range r = {from, to - from};
  return r;
}

/* Leaves of a unit box combined: the value at x is the sum over c < 2^bound of weights[c] * leaf(base + c * apart + x), a leaf
 * being constants[0] + constants[1] key + constants[2] value + constants[3] sign, and `past` beyond the box's end. */
typedef struct {
  const vc_gkr_leaf *leaf;
  const uint64_t *constants; /* 8 words */
  const uint64_t *past;
  const uint64_t *weights; /* pairs */
  size_t base, apart, count;
} vc_combination;

/* out (pairs) = the combination at x = start .. start + n. */
void vc_combine_leaves(const vc_field_kernels *k, uint64_t *out, const vc_combination *c, size_t start, size_t n);

/* Table j (0 or 1) of a unit box once `count` = 2^bound streams of leaves, `apart` from each other, are combined. */
static inline vc_combination vc_unit_table(const vc_gkr_tables *t, size_t box, int j, size_t half, size_t apart, size_t count,
                                  const uint64_t *defaults) {
  vc_combination c = {t->leaves + box, t->constants + 16 * box + 8 * j, defaults + 2 * j, t->weights, j ? half : 0, apart,
                      count};
  return c;
}

/* The weights of the halves of a group's boxes: outer (n_outer) times inner (chunk), and the sum of all. */
typedef struct {
  uint64_t *inner, *outer;
  size_t chunk, n_outer;
  uint64_t mass[2];
} vc_gkr_weights;

vc_gkr_weights vc_gkr_make_weights(const vc_field_kernels *k, const vc_group *g, const uint64_t *point, uint64_t *scratch);

/* A round of a grid (see gkr_moments.c) of `left` variables, by the point's coordinates after the first of them: the sum with that
 * one at 0, and the leading coefficient. And its binding to r. */
void vc_gkr_grid_round(uint64_t sums[4], const uint64_t *grid, size_t left, const uint64_t *point);
void vc_gkr_grid_bind(uint64_t *grid, size_t left, const uint64_t r[2]);

/* Whether a unit box's nodes are made of integers while a layer of nodes begins (see gkr_nodes.c). */
static inline int vc_is_node(const vc_gkr_leaf *leaf) {
  return !leaf->value && !leaf->sign && leaf->below <= UINT64_C(1) << VC_GKR_NODE_BITS;
}

/* The four tables of a node box, in their places, when the variables bound so far are: a range of them. */
void vc_gkr_make_nodes(uint64_t *const tables[4], const vc_gkr_tables *t, size_t unit, size_t apart, vc_range range);

/* How many tables a group has. */
static inline int vc_tables(const vc_group *g) { return g->unit == VC_GKR_LEAVES ? 2 : 4; }

/* Whether a group has no tables yet, but for boxes of nodes that are not made of integers: its rounds are those of its grid. */
static inline int vc_is_lazy(const vc_gkr_tables *t, const vc_group *g, size_t i) { return g->unit && t->bound < t->lazy[i]; }

#endif
