/* SPDX-License-Identifier: Apache-2.0 */
/* The rounds of the sumcheck over one layer of a tree of fractions (see gkr.h).
 *
 * The tables of a layer lie where its level lies, low and high halves of numerators and denominators. In the lowest layer,
 * with a = lambda d0 + n0 and b = d1 + n1 / lambda,
 *
 *     n0 d1 + n1 d0 + lambda d0 d1 = a b - n0 n1 / lambda,
 *
 * and the last product of a unit box depends on its place along the first axis alone: c and d are vectors (rows). Tables a
 * and b of a unit box are affine in small integers, so they are made in passing until some variables of the first axis are
 * bound, and stored from then on: a quarter of them, where the axis has so many.
 */
#include "gkr.h"
#include "transcript.h"

enum { MOST_INNER = 16384 };

/* a = n0 + lambda d0 in the place of n0; or in the lowest layer a, in the place of d0, b = d1 + n1 / lambda in that of d1, and
 * -n1 / lambda in that of n1. */
static void combine(const vc_field_kernels *k, uint64_t *n0, uint64_t *d0, uint64_t *n1, uint64_t *d1, size_t n,
                    const uint64_t lambda[2], const uint64_t *inverse) {
  if (!inverse) {
    k->ext_scale_add(n0, d0, lambda, n);
    return;
  }
  k->ext_scale(d0, d0, lambda, n);
  k->add(d0, d0, n0, 2 * n);
  k->ext_scale(n1, n1, inverse, n);
  k->add(d1, d1, n1, 2 * n);
  for (size_t i = 0; i < 2 * n; i++) n1[i] = vc_gl_sub(0, n1[i]);
}

/* Which of (n0, d0, n1, d1) is table j. */
static const int general_order[4] = {0, 3, 2, 1}, lowest_order[4] = {1, 3, 0, 2};

/* The tail has an even number of values. */
static void even_tail(vc_gkr_tables *t, const uint64_t *defaults) {
  if (t->tail_count % 2) {
    for (int j = 0; j < 4; j++) vc_set(t->tail[j] + 2 * t->tail_count, defaults + 2 * j);
    t->tail_count++;
  }
}

/* One pair of single fractions becomes an element of the tail. */
static void tail_pair(const vc_field_kernels *k, uint64_t *tail[4], const uint64_t *n0, const uint64_t *d0,
                      const uint64_t *n1, const uint64_t *d1, const uint64_t *lambda, const uint64_t *inverse) {
  uint64_t parts[4][2];
  const int *order = inverse ? lowest_order : general_order;
  vc_set(parts[0], n0), vc_set(parts[1], d0), vc_set(parts[2], n1), vc_set(parts[3], d1);
  combine(k, parts[0], parts[1], parts[2], parts[3], 1, lambda, inverse);
  for (int j = 0; j < 4; j++, tail[j - 1] += 2) vc_set(tail[j], parts[order[j]]);
}

/* Tables that want padding leave the level for `extra`. */
static void move_padded(vc_gkr_place *to, const vc_group *g, uint64_t **extra, const uint64_t *defaults) {
  const size_t size = g->half + g->pad;
  for (int j = 0; j < 4; j++) {
    const uint64_t *from = to->table[j];
    to->table[j] = *extra + 2 * size * (size_t)j;
    for (size_t box = 0; box < g->count; box++) {
      uint64_t *at = to->table[j] + 8 * size * box;
      memcpy(at, from + to->stride * box, g->half * sizeof vc_zero);
      vc_fill_pairs(at + 2 * g->half, defaults + 2 * j, g->pad);
    }
  }
  to->stride = 8 * size;
  *extra += 8 * size * g->count;
}

/* Table j (0 or 1) of a unit box once `count` = 2^bound streams of leaves, `apart` from each other, are combined. */
static vc_combination combination(const vc_gkr_tables *t, size_t box, int j, size_t half, size_t apart, size_t count,
                                  const uint64_t *defaults) {
  vc_combination c = {t->leaves + box, t->constants + 16 * box + 8 * j, defaults + 2 * j, t->weights, j ? half : 0, apart,
                      count};
  return c;
}

/* Tables of a unit group of `size` elements a box, from leaves whose halves have half = size << bound elements. */
static void make_unit(const vc_field_kernels *k, const vc_gkr_tables *t, uint64_t *const to[2], size_t stride,
                      const vc_group *g, size_t box, size_t bound, const uint64_t *defaults, vc_range r) {
  for (size_t i = 0; i < g->count; i++)
    for (int j = 0; j < 2; j++) {
      const vc_combination c = combination(t, box + i, j, g->half << bound, g->half, (size_t)1 << bound, defaults);
      uint64_t *at = to[j] + stride * i;
      vc_combine_leaves(k, at + 2 * r.first, &c, r.first, r.count);
    }
}

static void pad_group(const vc_gkr_tables *t, const vc_group *g, size_t i, const uint64_t *defaults) {
  const vc_gkr_place *p = t->places + i;
  for (size_t b = 0; b < g->count; b++)
    for (int j = 0; j < (g->unit ? 2 : 4); j++)
      vc_fill_pairs(p->table[j] + p->stride * b + 2 * g->half, defaults + 2 * j, g->pad);
}

void vc_gkr_begin(vc_gkr_tables *t, const vc_gkr_level *in, const uint64_t *groups, size_t n_groups, uint64_t *unit,
                  uint64_t *extra, uint64_t *box_weights, const uint64_t *point, size_t variables, const uint64_t *lambda,
                  const uint64_t *inverse, const uint64_t *defaults) {
  const vc_field_kernels *k = vc_field();
  uint64_t *tail[4] = {t->tail[0], t->tail[1], t->tail[2], t->tail[3]}, *n = in->n, *d = in->d;
  size_t box = 0;
  t->bound = 0;
  vc_set(t->weights, vc_one);
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    vc_gkr_place *p = t->places + i;
    p->weights = box_weights;
    box_weights += 2 * g.count;
    vc_gkr_places(p->weights, g.place, g.count, point + 2 * (g.bits - 1), variables - (g.bits - 1));
    if (g.unit) {
      const size_t size = (size_t)t->unit_sizes[i];
      p->table[0] = unit, p->table[1] = unit + 2 * size, p->table[2] = p->table[3] = NULL;
      p->stride = 4 * size;
      unit += 4 * size * g.count;
      if (t->lazy[i] == 0) {
        make_unit(k, t, p->table, (size_t)p->stride, &g, box, 0, defaults, vc_part_of(g.half, 0, 1));
        pad_group(t, &g, i, defaults);
      }
      box += g.count;
      continue;
    }
    uint64_t *parts[4] = {n, d, n + 2 * g.half, d + 2 * g.half};
    for (size_t b = 0; b < g.count; b++, n += 4 * g.half, d += 4 * g.half) {
      if (g.bits == 1)
        tail_pair(k, tail, n, d, n + 2, d + 2, lambda, inverse);
      else
        combine(k, n, d, n + 2 * g.half, d + 2 * g.half, g.half, lambda, inverse);
    }
    for (int j = 0; j < 4; j++) p->table[j] = parts[(inverse ? lowest_order : general_order)[j]];
    p->stride = 4 * g.half;
    if (g.pad) move_padded(p, &g, &extra, defaults);
  }
  for (size_t i = 0; i < in->tail_count; i += 2) {
    const int last = i + 1 == in->tail_count;
    tail_pair(k, tail, in->tail_n + 2 * i, in->tail_d + 2 * i, last ? vc_zero : in->tail_n + 2 * i + 2,
              last ? vc_one : in->tail_d + 2 * i + 2, lambda, inverse);
  }
  t->tail_count = (uint64_t)(tail[0] - t->tail[0]) / 2;
  even_tail(t, defaults);
}

/* eq of the numbers below 2^bits and a point, most significant bit first. */
static void eq_axis(const vc_field_kernels *k, uint64_t *out, const uint64_t *point, size_t bits) {
  vc_set(out, vc_one);
  for (size_t i = 0; i < bits; i++) k->expand(out, point + 2 * (bits - 1 - i), (size_t)1 << i);
}

static void total(uint64_t sum[2], const uint64_t *table, size_t n) {
  vc_set(sum, vc_zero);
  for (size_t i = 0; i < n; i++) vc_accumulate(sum, table + 2 * i);
}

/* The weights of the halves of a group's boxes: outer (n_outer) times inner (chunk), and the sum of all. */
typedef struct {
  uint64_t *inner, *outer;
  size_t chunk, n_outer;
  uint64_t mass[2];
} weights;

/* The longest axis, padded. */
static size_t longest_axis(const vc_group *g) {
  size_t bits = g->first;
  for (size_t i = 0; i < g->rest; i++)
    if (vc_bits_of((size_t)g->sizes[i]) > bits) bits = vc_bits_of((size_t)g->sizes[i]);
  return (size_t)1 << bits;
}

/* out (of `length`) becomes axis (of `size`) times out. */
static size_t multiply_axis(const vc_field_kernels *k, uint64_t *out, size_t length, const uint64_t *axis, size_t size) {
  for (size_t i = size; i-- > 1;) k->ext_scale(out + 2 * i * length, out, axis + 2 * i, length);
  if (size) k->ext_scale(out, out, axis, length);
  return size * length;
}

static weights make_weights(const vc_field_kernels *k, const vc_group *g, const uint64_t *point, uint64_t *scratch) {
  weights w;
  uint64_t *axis = scratch, *to;
  size_t used = g->bits - 1, split_at = g->rest, low = 0, length = 1;
  while (split_at && (split_at == g->rest || length * g->sizes[split_at - 1] <= MOST_INNER))
    length *= (size_t)g->sizes[--split_at];
  if (split_at == 0)
    while (low + 1 < g->first && length << (low + 1) <= MOST_INNER) low++;
  w.inner = scratch + 2 * longest_axis(g);
  w.chunk = length << low;
  w.outer = w.inner + 2 * w.chunk;
  w.n_outer = g->half / w.chunk;
  for (int part = 0; part < 2; part++) { /* the inner axes from the last, then the outer ones */
    size_t from = part ? split_at : g->rest, until = part ? 0 : split_at, n = 1;
    to = part ? w.outer : w.inner;
    vc_set(to, vc_one);
    for (size_t i = from; i-- > until;) {
      const unsigned bits = vc_bits_of((size_t)g->sizes[i]);
      used -= bits;
      eq_axis(k, axis, point + 2 * used, bits);
      n = multiply_axis(k, to, n, axis, (size_t)g->sizes[i]);
    }
    const size_t bits = part ? g->first - 1 - low : low;
    if (bits) {
      used -= bits;
      eq_axis(k, axis, point + 2 * used, bits);
      multiply_axis(k, to, n, axis, (size_t)1 << bits);
    }
  }
  uint64_t inner[2], outer[2];
  total(inner, w.inner, w.chunk);
  total(outer, w.outer, w.n_outer);
  vc_ext_mul(w.mass, inner, outer);
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

/* The sum over the places of a unit box along its first axis of weight * c * d, low and step, times what the other axes
 * weigh: the weights add up over them. */
static void rows_round(const vc_field_kernels *k, uint64_t sums[4], const uint64_t *c, const uint64_t *d, const vc_group *g,
                       const uint64_t *point, uint64_t *scratch) {
  const size_t half = (size_t)1 << (g->first - 1);
  uint64_t mass[2] = {1, 0}, part[2], product[2];
  size_t used = g->first - 1;
  for (size_t i = 0; i < g->rest; i++) {
    const unsigned bits = vc_bits_of((size_t)g->sizes[i]);
    eq_axis(k, scratch, point + 2 * used, bits);
    used += bits;
    total(part, scratch, (size_t)g->sizes[i]);
    vc_ext_mul(mass, mass, part);
  }
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

static int is_lazy(const vc_gkr_tables *t, const vc_group *g, size_t i) { return g->unit && t->bound < t->lazy[i]; }

/* Low and high halves of a unit box's tables, `start` .. `start` + n of each half, as they are made of leaves. */
typedef struct {
  uint64_t words[4][2 * VC_GKR_CHUNK]; /* low a, low b, high a, high b */
} made;

static void make_halves(const vc_field_kernels *k, made *m, const vc_gkr_tables *t, const vc_group *g, size_t box,
                        size_t start, size_t n, const uint64_t *defaults) {
  const size_t size = 2 * g->half;
  for (int j = 0; j < 2; j++) {
    const vc_combination c =
        combination(t, box, j, size << t->bound, size, (size_t)1 << t->bound, defaults);
    vc_combine_leaves(k, m->words[j], &c, start, n);
    vc_combine_leaves(k, m->words[2 + j], &c, g->half + start, n);
  }
}

/* part = the sums over the range of one stretch of a box, by its inner weights. */
static void stretch_round(const vc_field_kernels *k, uint64_t part[4], const vc_gkr_tables *t, const vc_group *g, size_t i,
                          size_t box, size_t in_group, size_t start, vc_range range, const weights *w,
                          const uint64_t *defaults) {
  const vc_gkr_place *p = t->places + i;
  const uint64_t *low[4], *high[4];
  if (is_lazy(t, g, i)) {
    made m;
    memset(part, 0, 4 * sizeof *part);
    for (int j = 0; j < 2; j++) low[j] = m.words[j], high[j] = m.words[2 + j];
    for (size_t at = range.first, stop = range.first + range.count; at < stop; at += VC_GKR_CHUNK) {
      const size_t n = stop - at < VC_GKR_CHUNK ? stop - at : VC_GKR_CHUNK;
      uint64_t some[4];
      make_halves(k, &m, t, g, box, start + at, n, defaults);
      k->product_round(some, low, high, w->inner + 2 * at, n);
      for (int j = 0; j < 4; j++) part[j] = vc_gl_add(part[j], some[j]);
    }
    return;
  }
  for (int j = 0; j < (g->unit ? 2 : 4); j++) {
    low[j] = p->table[j] + p->stride * in_group + 2 * (start + range.first);
    high[j] = low[j] + 2 * g->half;
  }
  if (g->unit)
    k->product_round(part, low, high, w->inner + 2 * range.first, range.count);
  else
    k->fraction_round(part, low, high, w->inner + 2 * range.first, range.count);
}

/* One box's sums: of its stretches where there are enough of them for all parts, else of each stretch a part. */
static void box_round(const vc_field_kernels *k, uint64_t sums[4], const vc_gkr_tables *t, const vc_group *g, size_t i,
                      size_t box, size_t in_group, const weights *w, const uint64_t *defaults, size_t part, size_t parts) {
  const int whole = w->n_outer >= 8 * parts;
  const vc_range outer = vc_part_of(w->n_outer, whole ? part : 0, whole ? parts : 1);
  const vc_range inner = vc_part_of(w->chunk, whole ? 0 : part, whole ? 1 : parts);
  memset(sums, 0, 4 * sizeof *sums);
  for (size_t o = outer.first; o < outer.first + outer.count && inner.count; o++) {
    uint64_t some[4];
    stretch_round(k, some, t, g, i, box, in_group, o * w->chunk, inner, w, defaults);
    add_sums(sums, some, w->outer + 2 * o);
  }
}

void vc_gkr_tree_round(uint64_t *sums, const vc_gkr_tables *t, const uint64_t *groups, size_t n_groups,
                       uint64_t tail_place, const uint64_t *point, size_t variables, const uint64_t *lambda,
                       const uint64_t *defaults, size_t part, size_t parts, uint64_t *scratch) {
  const vc_field_kernels *k = vc_field();
  uint64_t mass[2] = {0, 0}, single[4], places[2];
  size_t box = 0;
  memset(sums, 0, 4 * sizeof *sums);
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    uint64_t rows[4] = {0, 0, 0, 0};
    vc_set(places, vc_zero);
    if (g.unit && part == 0)
      rows_round(k, rows, t->rows[0] + i * t->row_stride, t->rows[1] + i * t->row_stride, &g, point, scratch);
    const weights w = make_weights(k, &g, point, scratch);
    for (size_t b = 0; b < g.count; b++, box += g.unit) {
      const uint64_t *place = t->places[i].weights + 2 * b;
      uint64_t of_box[4];
      vc_accumulate(places, place);
      box_round(k, of_box, t, &g, i, box, b, &w, defaults, part, parts);
      add_sums(sums, of_box, place);
    }
    if (g.unit) add_sums(sums, rows, places);
    vc_accumulate_product(mass, w.mass, places);
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

/* Bind the variable of a unit group's vectors; at the end of an axis the next one begins. */
static void fold_rows(const vc_field_kernels *k, uint64_t *row, const vc_group *g, const uint64_t *r) {
  const size_t half = (size_t)1 << (g->first - 1);
  k->fold_ext(row, row, row + 2 * half, r, half);
  if (g->first == 1 && g->rest) {
    const size_t size = (size_t)g->sizes[0];
    const uint64_t value[2] = {row[0], row[1]};
    vc_fill_pairs(row, value, size);
    vc_fill_pairs(row + 2 * size, vc_zero, ((size_t)1 << vc_bits_of(size)) - size);
  }
}

/* Weights of twice as many streams: each of those so far, at 0 and at 1. */
static void bind_weights(vc_gkr_tables *t, const uint64_t r[2]) {
  for (size_t c = (size_t)1 << t->bound; c-- > 0;) {
    uint64_t *low = t->weights + 4 * c, high[2];
    vc_ext_mul(high, t->weights + 2 * c, r);
    low[0] = vc_gl_sub(t->weights[2 * c], high[0]), low[1] = vc_gl_sub(t->weights[2 * c + 1], high[1]);
    vc_set(low + 2, high);
  }
}

/* Bind the variable of a range of a group's tables. Padding comes later: it stands where other parts still read. */
static void fold_group(const vc_field_kernels *k, const vc_gkr_tables *t, const vc_group *g, size_t i, const uint64_t *r,
                       vc_range range) {
  const vc_gkr_place *p = t->places + i;
  for (size_t b = 0; b < g->count; b++)
    for (int j = 0; j < (g->unit ? 2 : 4); j++) {
      uint64_t *at = p->table[j] + p->stride * b + 2 * range.first;
      k->fold_ext(at, at, at + 2 * g->half, r, range.count);
    }
}

void vc_gkr_bind_boxes(const vc_gkr_tables *t, const uint64_t *groups, size_t n_groups, const uint64_t *r,
                       const uint64_t *defaults, size_t part, size_t parts) {
  const vc_field_kernels *k = vc_field();
  vc_gkr_tables next = *t;
  size_t box = 0;
  if (t->bound < VC_MOST_BOUND) bind_weights(&next, r);
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    const vc_range range = vc_part_of(g.half, part, parts);
    if (range.count || part == 0) {
      if (!is_lazy(t, &g, i))
        fold_group(k, t, &g, i, r, range);
      else if (t->bound + 1 == t->lazy[i])
        make_unit(k, &next, t->places[i].table, (size_t)t->places[i].stride, &g, box, (size_t)t->bound + 1, defaults, range);
    }
    box += g.unit ? g.count : 0;
  }
}

void vc_gkr_bind_rest(vc_gkr_tables *t, const uint64_t *groups, size_t n_groups, const uint64_t *r,
                      const uint64_t *defaults, uint64_t *scratch) {
  const vc_field_kernels *k = vc_field();
  uint64_t *tail[4];
  const size_t old = (size_t)t->tail_count;
  for (int j = 0; j < 4; j++) {
    tail[j] = t->tail[j];
    memcpy(scratch + 2 * old * (size_t)j, t->tail[j], old * sizeof vc_one);
  }
  if (t->bound < VC_MOST_BOUND) bind_weights(t, r);
  t->bound++;
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    for (int j = 0; j < 2 && g.unit; j++) fold_rows(k, t->rows[j] + i * t->row_stride, &g, r);
    if (g.pad && !is_lazy(t, &g, i)) pad_group(t, &g, i, defaults);
    if (g.bits > 1) continue;
    for (size_t b = 0; b < g.count; b++) /* one value is left */
      for (int j = 0; j < 4; j++, tail[j - 1] += 2)
        vc_set(tail[j], g.unit && j >= 2 ? t->rows[j - 2] + i * t->row_stride
                                         : t->places[i].table[j] + t->places[i].stride * b);
  }
  for (int j = 0; j < 4; j++)
    for (size_t i = 0; i < old; i += 2, tail[j] += 2) {
      const uint64_t *pair = scratch + 2 * (old * (size_t)j + i);
      k->fold_ext(tail[j], pair, pair + 2, r, 1);
    }
  t->tail_count = (uint64_t)(tail[0] - t->tail[0]) / 2;
  even_tail(t, defaults);
}

void vc_gkr_layer(uint64_t *messages, uint64_t *challenges, uint8_t *seed, vc_gkr_tables *t, const vc_gkr_step *steps,
                  const uint64_t *point, size_t variables, const uint64_t *lambda, const uint64_t *defaults,
                  uint64_t *scratch) {
  static const char label[] = "fraction sumcheck";
  vc_transcript transcript;
  vc_transcript_begin(&transcript, seed, NULL, 0);
  for (size_t i = 0; i < variables; i++, messages += 4, challenges += 2) {
    const vc_gkr_step *step = steps + i;
    uint8_t sent[32];
    vc_gkr_tree_round(messages, t, step->groups, (size_t)step->count, step->tail_place, point + 2 * (i + 1),
                      variables - 1 - i, lambda, defaults, 0, 1, scratch);
    for (size_t j = 0; j < 4; j++) vc_store_le64(sent + 8 * j, messages[j]);
    vc_transcript_absorb_ext(&transcript, label, sent, 2);
    vc_transcript_challenge(&transcript, label, challenges);
    vc_gkr_bind_boxes(t, step->groups, (size_t)step->count, challenges, defaults, 0, 1);
    vc_gkr_bind_rest(t, step->groups, (size_t)step->count, challenges, defaults, scratch);
  }
  memcpy(seed, transcript.seed, sizeof transcript.seed);
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
