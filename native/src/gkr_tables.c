/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a layer of fractions (see gkr.h): what they are at first, and what they become as variables are bound.
 *
 * They lie where their level lies, low and high halves of numerators and denominators. In the lowest layer, with
 * a = lambda d0 + n0 and b = d1 + n1 / lambda,
 *
 *     n0 d1 + n1 d0 + lambda d0 d1 = a b - n0 n1 / lambda,
 *
 * and the last product of a unit box depends on its place along the first axis alone: c and d are vectors (rows). Tables a
 * and b of a unit box are affine in small integers; rounds take them from a grid (see gkr_moments.c) until some variables of the
 * first axis are bound, and they are stored from then on: an eighth of them, where the axis has so many.
 */
#include "gkr.h"

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

/* Tables of a unit box, of which g->half elements are valid, from leaves whose halves have g->half << bound elements: a range. */
static void make_unit(const vc_field_kernels *k, const vc_gkr_tables *t, uint64_t *const to[2], const vc_group *g, size_t box,
                      size_t bound, const uint64_t *defaults, vc_range r) {
  for (int j = 0; j < 2; j++) {
    const vc_combination c = vc_unit_table(t, box, j, g->half << bound, g->half, (size_t)1 << bound, defaults);
    vc_combine_leaves(k, to[j] + 2 * r.first, &c, r.first, r.count);
  }
}

static void pad_group(const vc_gkr_tables *t, const vc_group *g, size_t i, const uint64_t *defaults) {
  const vc_gkr_place *p = t->places + i;
  for (size_t b = 0; b < g->count; b++)
    for (int j = 0; j < vc_tables(g); j++)
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
    if (g.unit == VC_GKR_LEAVES) {
      const size_t size = (size_t)t->unit_sizes[i];
      p->table[0] = unit, p->table[1] = unit + 2 * size, p->table[2] = p->table[3] = NULL;
      p->stride = 4 * size;
      unit += 4 * size * g.count;
      if (t->lazy[i] == 0) {
        for (size_t b = 0; b < g.count; b++) {
          uint64_t *to[2] = {p->table[0] + p->stride * b, p->table[1] + p->stride * b};
          make_unit(k, t, to, &g, box + b, 0, defaults, vc_part_of(g.half, 0, 1));
        }
        pad_group(t, &g, i, defaults);
      }
      box += g.count;
      continue;
    }
    uint64_t *parts[4] = {n, d, n + 2 * g.half, d + 2 * g.half};
    for (size_t b = 0; b < g.count; b++, n += 4 * g.half, d += 4 * g.half) {
      if (g.bits == 1)
        tail_pair(k, tail, n, d, n + 2, d + 2, lambda, inverse);
      else if (!(vc_is_lazy(t, &g, i) && vc_is_node(t->leaves + box + b)))
        combine(k, n, d, n + 2 * g.half, d + 2 * g.half, g.half, lambda, inverse);
    }
    box += g.unit ? g.count : 0;
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

/* Bind the variable of a range of one box's tables. Padding comes later: it stands where other parts still read. */
static void fold_box(const vc_field_kernels *k, const vc_gkr_tables *t, const vc_group *g, size_t i, size_t b, const uint64_t *r,
                     vc_range range) {
  const vc_gkr_place *p = t->places + i;
  for (int j = 0; j < vc_tables(g); j++) {
    uint64_t *at = p->table[j] + p->stride * b + 2 * range.first;
    k->fold_ext(at, at, at + 2 * g->half, r, range.count);
  }
}

/* One box of a group that has no tables yet, or that gets them now; `next`: as it is when the variable is bound. */
static void bind_lazy(const vc_field_kernels *k, const vc_gkr_tables *next, const vc_group *g, size_t i, size_t b, size_t unit,
                      const uint64_t *r, const uint64_t *defaults, vc_range range) {
  const vc_gkr_place *p = next->places + i;
  const int now = next->bound == next->lazy[i];
  uint64_t *tables[4];
  for (int j = 0; j < vc_tables(g); j++) tables[j] = p->table[j] + p->stride * b;
  if (g->unit == VC_GKR_LEAVES && now)
    make_unit(k, next, tables, g, unit, (size_t)next->bound, defaults, range);
  else if (g->unit == VC_GKR_NODES && !vc_is_node(next->leaves + unit))
    fold_box(k, next, g, i, b, r, range);
  else if (now)
    vc_gkr_make_nodes(tables, next, unit, g->half, range);
}

void vc_gkr_bind_boxes(const vc_gkr_tables *t, const uint64_t *groups, size_t n_groups, const uint64_t *r,
                       const uint64_t *defaults, size_t part, size_t parts) {
  const vc_field_kernels *k = vc_field();
  vc_gkr_tables next = *t;
  size_t unit = 0;
  if (t->bound < VC_MOST_BOUND) bind_weights(&next, r);
  next.bound++;
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    const vc_range range = vc_part_of(g.half, part, parts);
    for (size_t b = 0; b < g.count && (range.count || part == 0); b++)
      if (vc_is_lazy(t, &g, i))
        bind_lazy(k, &next, &g, i, b, unit + b, r, defaults, range);
      else
        fold_box(k, t, &g, i, b, r, range);
    unit += g.unit ? g.count : 0;
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
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    if (vc_is_lazy(t, &g, i)) vc_gkr_grid_bind(t->grids + i * VC_GRID_WORDS, (size_t)(t->lazy[i] - t->bound), r);
  }
  if (t->bound < VC_MOST_BOUND) bind_weights(t, r);
  t->bound++;
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    for (int j = 0; j < 2 && g.unit == VC_GKR_LEAVES; j++) fold_rows(k, t->rows[j] + i * t->row_stride, &g, r);
    if (g.pad && !vc_is_lazy(t, &g, i)) pad_group(t, &g, i, defaults);
    if (g.bits > 1) continue;
    for (size_t b = 0; b < g.count; b++) /* one value is left */
      for (int j = 0; j < 4; j++, tail[j - 1] += 2)
        vc_set(tail[j], vc_tables(&g) == 2 && j >= 2 ? t->rows[j - 2] + i * t->row_stride
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
