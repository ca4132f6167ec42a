/* SPDX-License-Identifier: Apache-2.0 */
/* The rounds of the sumcheck over one layer of a tree of fractions (see gkr.h), by its tables (see gkr_tables.c). */
#include "gkr.h"

enum { MOST_INNER = 16384 };

/* eq of the numbers below 2^bits and a point, most significant bit first. */
static void eq_axis(const vc_field_kernels *k, uint64_t *out, const uint64_t *point, size_t bits) {
  vc_set(out, vc_one);
  for (size_t i = 0; i < bits; i++) k->expand(out, point + 2 * (bits - 1 - i), (size_t)1 << i);
}

static void total(uint64_t sum[2], const uint64_t *table, size_t n) {
  vc_set(sum, vc_zero);
  for (size_t i = 0; i < n; i++) vc_accumulate(sum, table + 2 * i);
}

/* The longest axis, padded. */
static size_t longest_axis(const vc_group *g) {
  size_t bits = g->first;
  for (size_t i = 0; i < g->rest; i++)
    if (vc_bits_of((size_t)g->sizes[i]) > bits) bits = vc_bits_of((size_t)g->sizes[i]);
  return (size_t)1 << bits;
}

/* Weights that grow by an axis at a time, the last one first: how many there are so far, and the sum of all axes' weights. */
typedef struct {
  uint64_t *out, *axis;
  size_t length;
  uint64_t mass[2];
} product_weights;

/* An axis of `size` comes before those so far; its point has so many bits. */
static void add_axis(const vc_field_kernels *k, product_weights *w, const uint64_t *point, size_t bits, size_t size) {
  uint64_t sum[2], *axis = w->length == 1 ? w->out : w->axis; /* the first axis stands where it is wanted */
  eq_axis(k, axis, point, bits);
  total(sum, axis, size);
  vc_ext_mul(w->mass, w->mass, sum);
  for (size_t i = size; axis != w->out && i-- > 0;)
    k->ext_scale(w->out + 2 * i * w->length, w->out, axis + 2 * i, w->length);
  w->length *= size;
}

vc_gkr_weights vc_gkr_make_weights(const vc_field_kernels *k, const vc_group *g, const uint64_t *point, uint64_t *scratch) {
  vc_gkr_weights w;
  size_t used = g->bits - 1, split_at = g->rest, low = 0, length = 1;
  while (split_at && (split_at == g->rest || length * g->sizes[split_at - 1] <= MOST_INNER))
    length *= (size_t)g->sizes[--split_at];
  if (split_at == 0)
    while (low + 1 < g->first && length << (low + 1) <= MOST_INNER) low++;
  w.inner = scratch + 2 * longest_axis(g);
  w.chunk = length << low;
  w.outer = w.inner + 2 * w.chunk;
  w.n_outer = g->half / w.chunk;
  vc_set(w.mass, vc_one);
  for (int part = 0; part < 2; part++) { /* the inner axes from the last, then the outer ones */
    product_weights of = {part ? w.outer : w.inner, scratch, 1, {1, 0}};
    vc_set(of.out, vc_one);
    for (size_t i = part ? split_at : g->rest, until = part ? 0 : split_at; i-- > until;) {
      const unsigned bits = vc_bits_of((size_t)g->sizes[i]);
      used -= bits;
      add_axis(k, &of, point + 2 * used, bits, (size_t)g->sizes[i]);
    }
    const size_t bits = part ? g->first - 1 - low : low;
    used -= bits;
    if (bits) add_axis(k, &of, point + 2 * used, bits, (size_t)1 << bits);
    vc_ext_mul(w.mass, w.mass, of.mass);
  }
  return w;
}

size_t vc_gkr_scratch(const uint64_t *groups, size_t n_groups) {
  size_t most = 1;
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    const size_t longest = longest_axis(&g), inner = longest > MOST_INNER ? longest : MOST_INNER;
    const size_t words = 2 * (longest + inner + g.half);
    if (words > most) most = words;
  }
  return most;
}

/* What the halves of a unit box weigh along the axes after the first: their true lengths. */
static void rest_mass(const vc_field_kernels *k, uint64_t mass[2], const vc_group *g, const uint64_t *point, uint64_t *scratch) {
  uint64_t part[2];
  size_t used = g->first - 1;
  vc_set(mass, vc_one);
  for (size_t i = 0; i < g->rest; i++) {
    const unsigned bits = vc_bits_of((size_t)g->sizes[i]);
    eq_axis(k, scratch, point + 2 * used, bits);
    used += bits;
    total(part, scratch, (size_t)g->sizes[i]);
    vc_ext_mul(mass, mass, part);
  }
}

/* The sum over the places of a unit box along its first axis of weight * c * d, low and step, times what the other axes
 * weigh: the weights add up over them. */
static void rows_round(const vc_field_kernels *k, uint64_t sums[4], const uint64_t *c, const uint64_t *d, const vc_group *g,
                       const uint64_t *point, const uint64_t mass[2], uint64_t *scratch) {
  const size_t half = (size_t)1 << (g->first - 1);
  uint64_t product[2];
  eq_axis(k, scratch, point, g->first - 1);
  memset(sums, 0, 4 * sizeof *sums);
  for (size_t i = 0; i < half; i++) {
    const uint64_t *c0 = c + 2 * i, *c1 = c0 + 2 * half, *d0 = d + 2 * i, *d1 = d0 + 2 * half;
    const uint64_t dc[2] = {vc_gl_sub(c1[0], c0[0]), vc_gl_sub(c1[1], c0[1])};
    const uint64_t dd[2] = {vc_gl_sub(d1[0], d0[0]), vc_gl_sub(d1[1], d0[1])};
    vc_ext_mul(product, c0, d0);
    vc_accumulate_product(sums, product, scratch + 2 * i);
    vc_ext_mul(product, dc, dd);
    vc_accumulate_product(sums + 2, product, scratch + 2 * i);
  }
  vc_ext_mul(sums, sums, mass);
  vc_ext_mul(sums + 2, sums + 2, mass);
}

static void add_sums(uint64_t sums[4], const uint64_t values[4], const uint64_t scale[2]) {
  vc_accumulate_product(sums, values, scale);
  vc_accumulate_product(sums + 2, values + 2, scale);
}

/* part = the sums over the range of one stretch of a box, by its inner weights. */
static void stretch_round(const vc_field_kernels *k, uint64_t part[4], const vc_gkr_tables *t, const vc_group *g, size_t i,
                          size_t in_group, size_t start, vc_range range, const vc_gkr_weights *w) {
  const vc_gkr_place *p = t->places + i;
  const uint64_t *low[4], *high[4];
  for (int j = 0; j < vc_tables(g); j++) {
    low[j] = p->table[j] + p->stride * in_group + 2 * (start + range.first);
    high[j] = low[j] + 2 * g->half;
  }
  if (vc_tables(g) == 2)
    k->product_round(part, low, high, w->inner + 2 * range.first, range.count);
  else
    k->fraction_round(part, low, high, w->inner + 2 * range.first, range.count);
}

/* One box's sums: of its stretches where there are enough of them for all parts, else of each stretch a part. */
static void box_round(const vc_field_kernels *k, uint64_t sums[4], const vc_gkr_tables *t, const vc_group *g, size_t i,
                      size_t in_group, const vc_gkr_weights *w, size_t part, size_t parts) {
  const int whole = w->n_outer >= 8 * parts;
  const vc_range outer = vc_part_of(w->n_outer, whole ? part : 0, whole ? parts : 1);
  const vc_range inner = vc_part_of(w->chunk, whole ? 0 : part, whole ? 1 : parts);
  memset(sums, 0, 4 * sizeof *sums);
  for (size_t o = outer.first; o < outer.first + outer.count && inner.count; o++) {
    uint64_t some[4];
    stretch_round(k, some, t, g, i, in_group, o * w->chunk, inner, w);
    add_sums(sums, some, w->outer + 2 * o);
  }
}

/* One group's sums, and what all its boxes' places weigh together. */
static void group_round(const vc_field_kernels *k, uint64_t sums[4], uint64_t mass[2], const vc_gkr_tables *t, const vc_group *g,
                        size_t i, size_t unit, const uint64_t *point, size_t part, size_t parts, uint64_t *scratch) {
  const uint64_t *weights = t->places[i].weights;
  const int lazy = vc_is_lazy(t, g, i);
  uint64_t some[4], places[2] = {0, 0}, inner[2];
  for (size_t b = 0; b < g->count; b++) vc_accumulate(places, weights + 2 * b);
  if (lazy && part == 0) {
    vc_gkr_grid_round(some, t->grids + i * VC_GRID_WORDS, (size_t)(t->lazy[i] - t->bound), point);
    add_sums(sums, some, vc_one);
  }
  if (g->unit == VC_GKR_LEAVES && part == 0) {
    rest_mass(k, inner, g, point, scratch);
    rows_round(k, some, t->rows[0] + i * t->row_stride, t->rows[1] + i * t->row_stride, g, point, inner, scratch);
    add_sums(sums, some, places);
    if (lazy) vc_accumulate_product(mass, inner, places);
  }
  if (lazy && g->unit == VC_GKR_LEAVES) return;
  const vc_gkr_weights w = vc_gkr_make_weights(k, g, point, scratch);
  for (size_t b = 0; b < g->count; b++) {
    if (lazy && vc_is_node(t->leaves + unit + b)) continue;
    box_round(k, some, t, g, i, b, &w, part, parts);
    add_sums(sums, some, weights + 2 * b);
  }
  vc_accumulate_product(mass, w.mass, places);
}

void vc_gkr_tree_round(uint64_t *sums, const vc_gkr_tables *t, const uint64_t *groups, size_t n_groups,
                       uint64_t tail_place, const uint64_t *point, size_t variables, const uint64_t *lambda, size_t part,
                       size_t parts, uint64_t *scratch) {
  const vc_field_kernels *k = vc_field();
  uint64_t mass[2] = {0, 0}, single[4];
  size_t unit = 0;
  memset(sums, 0, 4 * sizeof *sums);
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    group_round(k, sums, mass, t, &g, i, unit, point, part, parts, scratch);
    unit += g.unit ? g.count : 0;
  }
  if (part) return;
  for (size_t i = 0; i < t->tail_count; i += 2) {
    const uint64_t *low[4], *high[4];
    uint64_t place[2];
    for (int j = 0; j < 4; j++) {
      low[j] = t->tail[j] + 2 * i;
      high[j] = low[j] + 2;
    }
    vc_gkr_places(place, tail_place + i / 2, 1, point, variables);
    k->fraction_round(single, low, high, place, 1);
    add_sums(sums, single, vc_one);
    vc_accumulate(mass, place);
  }
  vc_ext_mul(single, mass, lambda);
  sums[0] = vc_gl_sub(sums[0], single[0]);
  sums[1] = vc_gl_sub(sums[1], single[1]);
}

void vc_gkr_places(uint64_t *out, uint64_t first, size_t count, const uint64_t *point, size_t variables) {
  for (size_t i = 0; i < count; i++, out += 2) {
    uint64_t number = first + i;
    out[0] = 1;
    out[1] = 0;
    for (size_t place = 0; place < variables; place++, number >>= 1) {
      const uint64_t *r = point + 2 * place;
      uint64_t factor[2] = {r[0], r[1]};
      if (!(number & 1)) {
        factor[0] = vc_gl_sub(1, r[0]);
        factor[1] = vc_gl_sub(0, r[1]);
      }
      vc_ext_mul(out, out, factor);
    }
  }
}
