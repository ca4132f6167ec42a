/* SPDX-License-Identifier: Apache-2.0 */
/* The first rounds of the second lowest layer of fractions (see gkr.h), from integers.
 *
 * Its tables hold the fractions of two leaves, *nodes*. Of leaves c0 + c1 u and c0 + c1 v with numerators 1,
 *
 *     n = 2 c0 + c1 s,  d = c0^2 + c0 c1 s + c1^2 p,  s = u + v, p = u v;
 *
 * of one leaf u whose partner is past the box's end, n = 1 and d = c0 + c1 u. So the layer's terms n0 d1 + n1 d0 + lambda d0 d1 are made
 * of products of small integers, as in the lowest layer: s, p (cut at 18 bits) and, where there are any, leaves without a partner are
 * parts of a grid (see gkr_grid.h). A node box has leaves with keys alone, of at most 18 bits.
 */
#include "gkr_grid.h"

enum { SUM, LOW, HIGH, ALONE, CUT = VC_GKR_NODE_BITS };

/* For each part, and for 1 of a node with both leaves and of one with one, what n, d and n + lambda d have of it. */
typedef struct {
  vc_pair n[VC_PARTS], d[VC_PARTS], both_n, both_d, one_n, one_d;
} node_constants;

static node_constants constants_of(const uint64_t *c) {
  const uint64_t cut[2] = {UINT64_C(1) << CUT, 0};
  node_constants out;
  memset(&out, 0, sizeof out);
  vc_set(out.n[SUM], c + 2);
  vc_ext_mul(out.d[SUM], c, c + 2);
  vc_ext_mul(out.d[LOW], c + 2, c + 2);
  vc_ext_mul(out.d[HIGH], out.d[LOW], cut);
  vc_set(out.d[ALONE], c + 2);
  for (int i = 0; i < 2; i++) out.both_n[i] = vc_gl_add(c[i], c[i]);
  vc_ext_mul(out.both_d, c, c);
  vc_set(out.one_n, vc_one);
  vc_set(out.one_d, c);
  return out;
}

/* Streams: the first leaves of the nodes of both sides, then the second ones. */
static void fill(const vc_grid_work *w, const vc_moment_kernels *k, size_t x, size_t n) {
  const size_t corners = w->shape.corners, bytes = (n + 7) / 8 * 8 * sizeof(int32_t);
  for (size_t j = 0; j < 2; j++)
    for (size_t c = 0; c < corners; c++) {
      int32_t *to[VC_PARTS];
      const size_t stream = j * corners + c;
      const uint32_t *first = w->leaf->key + stream * w->apart + x, *second = first + 2 * corners * w->apart;
      const int both = stream + 2 * corners < w->inside;
      for (size_t part = 0; part < w->parts; part++) to[part] = vc_corner_row(w, j, part, c);
      if (both)
        k->pairs(to[SUM], to[LOW], to[HIGH], first, second, CUT, n);
      else
        for (size_t part = SUM; part <= HIGH; part++) memset(to[part], 0, bytes);
      if (w->parts > ALONE) {
        memset(to[ALONE], 0, bytes);
        if (!both) k->copy(to[ALONE], first, n);
      }
      for (size_t part = 0; part < w->parts; part++)
        for (size_t i = n; i % 8; i++) to[part][i] = 0;
    }
}

static void set_zeros(vc_grid_work *w) {
  for (size_t j = 0; j < 2; j++)
    for (size_t c = 0; c < w->shape.corners; c++) {
      const int both = (2 + j) * w->shape.corners + c < w->inside;
      for (size_t part = 0; part < w->parts; part++) w->zero[j][part][w->shape.corner[c]] = (part == ALONE) == both;
    }
}

/* a + lambda b */
static void joined(uint64_t out[2], const uint64_t a[2], const uint64_t lambda[2], const uint64_t b[2]) {
  vc_ext_mul(out, lambda, b);
  vc_accumulate(out, a);
}

/* n and d of the nodes' constants over the grid, and of their sums. */
typedef struct {
  vc_pair n[VC_POINTS], d[VC_POINTS], sum_n[VC_POINTS], sum_d[VC_POINTS];
} node_side;

static void make_side(node_side *out, const vc_grid_work *w, size_t j, const node_constants *c) {
  const vc_shape *s = &w->shape;
  for (size_t i = 0; i < s->corners; i++) {
    const int both = (2 + j) * s->corners + i < w->inside;
    vc_set(out->n[s->corner[i]], both ? c->both_n : c->one_n);
    vc_set(out->d[s->corner[i]], both ? c->both_d : c->one_d);
  }
  vc_extend(out->n, s);
  vc_extend(out->d, s);
  memset(out->sum_n, 0, sizeof out->sum_n);
  memset(out->sum_d, 0, sizeof out->sum_d);
  vc_grid_linear(out->sum_n, w, j, *c->n);
  vc_grid_linear(out->sum_d, w, j, *c->d);
}

/* total += n0 d1 + n1 d0 + lambda d0 d1 */
static void add_term(uint64_t total[2], const uint64_t n0[2], const uint64_t d0[2], const uint64_t n1[2], const uint64_t d1[2],
                     const uint64_t lambda[2]) {
  uint64_t a[2];
  joined(a, n0, lambda, d0);
  vc_accumulate_product(total, a, d1);
  vc_accumulate_product(total, n1, d0);
}

static void add_grid(uint64_t *grid, const vc_grid_work *w, const node_constants *c, const uint64_t *lambda,
                     const uint64_t scale[2]) {
  vc_pair factor[VC_PAIRS];
  node_side e, o;
  size_t pairs = 0;
  make_side(&e, w, 0, c);
  make_side(&o, w, 1, c);
  for (size_t p = 0; p < w->parts; p++)
    for (size_t q = p; q < w->parts; q++, pairs++) {
      vc_set(factor[pairs], vc_zero);
      add_term(factor[pairs], c->n[p], c->d[p], c->n[q], c->d[q], lambda);
    }
  for (size_t x = 0; x < w->shape.points; x++) {
    uint64_t total[2] = {0, 0}, constant[2] = {0, 0}, value[2];
    add_term(constant, e.n[x], e.d[x], o.n[x], o.d[x], lambda);
    vc_accumulate_product(total, constant, w->sums[0]);
    add_term(total, e.n[x], e.d[x], o.sum_n[x], o.sum_d[x], lambda);
    add_term(total, e.sum_n[x], e.sum_d[x], o.n[x], o.d[x], lambda);
    for (size_t i = 0; i < pairs; i++) {
      vc_grid_product(value, w, i, x);
      vc_accumulate_product(total, factor[i], value);
    }
    vc_accumulate_product(grid + 2 * x, total, scale);
  }
}

void vc_gkr_node_grid(uint64_t *grid, vc_grid_work *w, const vc_gkr_weights *of, const uint64_t *constants,
                      const uint64_t *lambda, const uint64_t scale[2], size_t part, size_t parts) {
  const node_constants c = constants_of(constants);
  vc_grid_work own = *w;
  vc_run runs[2];
  own.fill = fill;
  own.small = own.shape.points - (own.shape.k == 2); /* integers below 2^19 are s, others are below 2^18 */
  vc_runs(runs, (size_t)w->leaf->valid, w->apart, 4 * w->shape.corners);
  for (size_t i = 0; i < 2; i++) {
    const vc_range r = vc_part_of(runs[i].count, part, parts);
    if (!r.count) continue;
    own.inside = runs[i].inside;
    own.parts = own.inside < 4 * own.shape.corners ? VC_PARTS : ALONE;
    set_zeros(&own);
    vc_grid_sums(&own, of, runs[i].first + r.first, runs[i].first + r.first + r.count);
    add_grid(grid, &own, &c, lambda, scale);
  }
}

/* One of a layer's tables: out = the sum over the corners of weight * (constant + the parts' multiples). */
typedef struct {
  vc_pair both, one, sum, product, alone;
} table_constants;

static void make_table(uint64_t *out, const vc_gkr_leaf *leaf, size_t side, const table_constants *c, const vc_gkr_tables *t,
                       size_t apart, size_t inside, size_t x, size_t n) {
  const size_t corners = (size_t)1 << t->bound;
  vc_node_stream streams[VC_MOST_NODES];
  uint64_t start[2] = {0, 0};
  for (size_t i = 0; i < corners; i++) {
    const size_t stream = side * corners + i;
    const int both = stream + 2 * corners < inside;
    vc_node_stream *s = streams + i;
    s->first = leaf->key + stream * apart + x;
    s->second = both ? s->first + 2 * corners * apart : NULL;
    vc_ext_mul(s->sum, t->weights + 2 * i, both ? c->sum : c->alone);
    vc_ext_mul(s->product, t->weights + 2 * i, c->product);
    vc_accumulate_product(start, t->weights + 2 * i, both ? c->both : c->one);
  }
  vc_moments()->nodes(out, start, streams, corners, n);
}

void vc_gkr_make_nodes(uint64_t *const tables[4], const vc_gkr_tables *t, size_t unit, size_t apart, vc_range range) {
  const vc_gkr_leaf *leaf = t->leaves + unit;
  const node_constants c = constants_of(t->constants + 8 * unit);
  table_constants n, d, a;
  vc_run runs[2];
  memset(&n, 0, sizeof n);
  vc_set(n.both, c.both_n), vc_set(n.one, c.one_n), vc_set(n.sum, c.n[SUM]);
  vc_set(d.both, c.both_d), vc_set(d.one, c.one_d), vc_set(d.sum, c.d[SUM]), vc_set(d.product, c.d[LOW]);
  vc_set(d.alone, c.d[ALONE]);
  joined(a.both, n.both, t->scale, d.both), joined(a.one, n.one, t->scale, d.one), joined(a.sum, n.sum, t->scale, d.sum);
  joined(a.product, n.product, t->scale, d.product), joined(a.alone, n.alone, t->scale, d.alone);
  const table_constants *kinds[4] = {&a, &d, &n, &d};
  static const size_t sides[4] = {0, 1, 1, 0};
  vc_runs(runs, (size_t)leaf->valid, apart, (size_t)4 << t->bound);
  for (size_t i = 0; i < 2; i++) {
    const size_t first = runs[i].first > range.first ? runs[i].first : range.first;
    const size_t end = runs[i].first + runs[i].count, last = range.first + range.count, stop = end < last ? end : last;
    for (int j = 0; j < 4 && first < stop; j++)
      make_table(tables[j] + 2 * first, leaf, sides[j], kinds[j], t, apart, runs[i].inside, first, stop - first);
  }
}
