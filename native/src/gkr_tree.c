/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of fractions over a stack of boxes, and the rounds of the sumcheck over one of its layers.
 *
 * The readable twin is vcompute/proof/succinct/lookup/tree.py (NumpyTree): the same messages from padded tables. Here an
 * axis is padded to a power of two only once its own variables are bound, so that padding costs next to nothing: at a
 * level a box is 2^b rows, b the variables left of its first axis, and a row is the other axes at their true length.
 *
 * A *unit box* is a box of leaves whose numerators are all 1. Its denominators are affine in small integers, so they are
 * never stored at level 0. In the lowest layer, with a = lambda d0 + n0 and b = d1 + n1 / lambda,
 *
 *     n0 d1 + n1 d0 + lambda d0 d1 = a b - n0 n1 / lambda,
 *
 * and the last product of a unit box depends on its place along the first axis alone: c and d are vectors (rows).
 */
#include <string.h>

#include "field.h"
#include "goldilocks.h"
#include "transcript.h"
#include "vcompute.h"

enum { CHUNK = 512, MOST_INNER = 16384 };

/* A row of the description of a level: boxes of one shape, one after the other. */
typedef struct {
  size_t count;
  size_t half, pad; /* elements of the box with the next variable bound, and what is then added to it as padding */
  size_t unit;      /* 1 for unit boxes */
  size_t place;     /* the number of the first box among boxes of its size */
  size_t bits;      /* variables left */
  size_t first;     /* variables left of the first axis */
  size_t rest;      /* axes after it */
  const uint64_t *sizes;
} group;

static group read_group(const uint64_t *groups, size_t i) {
  const uint64_t *row = groups + i * VC_GKR_ROW;
  group g = {(size_t)row[0], (size_t)row[1], (size_t)row[2], (size_t)row[3], (size_t)row[4],
             (size_t)row[5], (size_t)row[6], (size_t)row[7], row + 8};
  return g;
}

static unsigned bits_of(size_t size) {
  unsigned bits = 0;
  while (((size_t)1 << bits) < size) bits++;
  return bits;
}

static void set(uint64_t *out, const uint64_t value[2]) { out[0] = value[0], out[1] = value[1]; }

static void fill(uint64_t *out, const uint64_t value[2], size_t n) {
  for (size_t i = 0; i < n; i++) set(out + 2 * i, value);
}

static void accumulate(uint64_t sum[2], const uint64_t value[2]) {
  sum[0] = vc_gl_add(sum[0], value[0]);
  sum[1] = vc_gl_add(sum[1], value[1]);
}

static void accumulate_product(uint64_t sum[2], const uint64_t a[2], const uint64_t b[2]) {
  uint64_t product[2];
  vc_ext_mul(product, a, b);
  accumulate(sum, product);
}

static const uint64_t zero[2] = {0, 0}, one[2] = {1, 0};

/* Denominators start .. start + n of a unit box, 1 past its end. */
static void leaf_range(const vc_field_kernels *k, uint64_t *out, const vc_gkr_leaf *leaf, size_t start, size_t n,
                       const uint64_t constants[8], const uint64_t past[2]) {
  const size_t valid = (size_t)leaf->valid, inside = start < valid ? (n < valid - start ? n : valid - start) : 0;
  k->leaves(out, leaf->key + start, leaf->value ? leaf->value + start : NULL, leaf->sign ? leaf->sign + start : NULL,
            inside, constants);
  fill(out + 2 * inside, past, n - inside);
}

void vc_gkr_leaves(uint64_t *out, const vc_gkr_leaf *leaf, const uint64_t *constants) {
  leaf_range(vc_field(), out, leaf, 0, (size_t)leaf->valid, constants, one);
}

/* n, d (half elements) = the fractions of a unit box in pairs. */
static void add_unit(const vc_field_kernels *k, uint64_t *n, uint64_t *d, const vc_gkr_leaf *leaf,
                     const uint64_t constants[8], size_t half) {
  uint64_t low[2 * CHUNK], high[2 * CHUNK];
  for (size_t i = 0; i < half; i += CHUNK) {
    const size_t some = half - i < CHUNK ? half - i : CHUNK, valid = (size_t)leaf->valid;
    const size_t both = half + i < valid ? (some < valid - half - i ? some : valid - half - i) : 0;
    leaf_range(k, low, leaf, i, some, constants, one);
    leaf_range(k, high, leaf, half + i, both, constants, one);
    k->unit_fractions(n + 2 * i, d + 2 * i, low, high, both);
    fill(n + 2 * (i + both), one, some - both);
    memcpy(d + 2 * (i + both), low + 2 * both, (some - both) * sizeof one);
  }
}

void vc_gkr_add(vc_gkr_level *out, const vc_gkr_level *in, const uint64_t *groups, size_t n_groups,
                const vc_gkr_leaf *leaves, const uint64_t *constants) {
  const vc_field_kernels *k = vc_field();
  uint64_t *n_out = out->n, *d_out = out->d, *tail_n = out->tail_n, *tail_d = out->tail_d;
  const uint64_t *n = in->n, *d = in->d;
  for (size_t i = 0; i < n_groups; i++) {
    const group g = read_group(groups, i);
    for (size_t box = 0; box < g.count; box++) {
      uint64_t **to_n = g.bits == 1 ? &tail_n : &n_out, **to_d = g.bits == 1 ? &tail_d : &d_out;
      if (g.unit) {
        add_unit(k, *to_n, *to_d, leaves, constants, g.half);
        leaves++, constants += 8;
      } else {
        k->fractions(*to_n, *to_d, n, d, n + 2 * g.half, d + 2 * g.half, g.half);
        n += 4 * g.half, d += 4 * g.half;
      }
      fill(*to_n + 2 * g.half, zero, g.pad);
      fill(*to_d + 2 * g.half, one, g.pad);
      *to_n += 2 * (g.half + g.pad), *to_d += 2 * (g.half + g.pad);
    }
  }
  const size_t pairs = (size_t)in->tail_count / 2;
  for (size_t i = 0; i < pairs; i++)
    k->fractions(tail_n + 2 * i, tail_d + 2 * i, in->tail_n + 4 * i, in->tail_d + 4 * i, in->tail_n + 4 * i + 2,
                 in->tail_d + 4 * i + 2, 1);
  if (in->tail_count % 2) {
    set(tail_n + 2 * pairs, in->tail_n + 4 * pairs);
    set(tail_d + 2 * pairs, in->tail_d + 4 * pairs);
  }
}

/* The four tables of one pair of stretches of fractions: (n0 + lambda d0, d1, n1, d0), or in the lowest layer
 * (n0 + lambda d0, d1 + n1 / lambda, n0, -n1 / lambda). */
static void split(const vc_field_kernels *k, uint64_t *const to[4], const uint64_t *n0, const uint64_t *d0,
                  const uint64_t *n1, const uint64_t *d1, size_t n, const uint64_t lambda[2], const uint64_t *inverse) {
  k->ext_scale(to[0], d0, lambda, n);
  k->add(to[0], to[0], n0, 2 * n);
  if (inverse) {
    k->ext_scale(to[3], n1, inverse, n);
    k->add(to[1], to[3], d1, 2 * n);
    memcpy(to[2], n0, n * sizeof one);
    for (size_t i = 0; i < 2 * n; i++) to[3][i] = vc_gl_sub(0, to[3][i]);
  } else {
    memcpy(to[1], d1, n * sizeof one);
    memcpy(to[2], n1, n * sizeof one);
    memcpy(to[3], d0, n * sizeof one);
  }
}

static void advance(uint64_t *at[4], size_t n) {
  for (int j = 0; j < 4; j++) at[j] += 2 * n;
}

/* Both halves of a unit box as tables a and b of the lowest layer. */
static void split_unit(const vc_field_kernels *k, uint64_t *const to[4], const vc_gkr_leaf *leaf,
                       const uint64_t constants[16], const group *g, const uint64_t *defaults) {
  leaf_range(k, to[0], leaf, 0, g->half, constants, defaults);
  leaf_range(k, to[1], leaf, g->half, g->half, constants + 8, defaults + 2);
  fill(to[0] + 2 * g->half, defaults, g->pad);
  fill(to[1] + 2 * g->half, defaults + 2, g->pad);
}

/* The tail has an even number of values. */
static void even_tail(vc_gkr_tables *t, const uint64_t *defaults) {
  if (t->tail_count % 2) {
    for (int j = 0; j < 4; j++) set(t->tail[j] + 2 * t->tail_count, defaults + 2 * j);
    t->tail_count++;
  }
}

void vc_gkr_split(vc_gkr_tables *t, const vc_gkr_level *in, const uint64_t *groups, size_t n_groups,
                  const vc_gkr_leaf *leaves, const uint64_t *constants, const uint64_t *lambda, const uint64_t *inverse,
                  const uint64_t *defaults) {
  const vc_field_kernels *k = vc_field();
  uint64_t *to[4] = {t->boxes[0], t->boxes[1], t->boxes[2], t->boxes[3]};
  uint64_t *tail[4] = {t->tail[0], t->tail[1], t->tail[2], t->tail[3]};
  const uint64_t *n = in->n, *d = in->d;
  for (size_t i = 0; i < n_groups; i++) {
    const group g = read_group(groups, i);
    for (size_t box = 0; box < g.count; box++) {
      uint64_t **at = g.bits == 1 ? tail : to;
      if (g.unit) { /* at least two variables */
        split_unit(k, to, leaves++, constants, &g, defaults);
        constants += 16;
        to[0] += 2 * (g.half + g.pad), to[1] += 2 * (g.half + g.pad);
        continue;
      }
      split(k, at, n, d, n + 2 * g.half, d + 2 * g.half, g.half, lambda, inverse);
      n += 4 * g.half, d += 4 * g.half;
      for (int j = 0; j < 4; j++) fill(at[j] + 2 * g.half, defaults + 2 * j, g.pad);
      advance(at, g.half + g.pad);
    }
  }
  for (size_t i = 0; i < in->tail_count; i += 2) {
    const int last = i + 1 == in->tail_count;
    split(k, tail, in->tail_n + 2 * i, in->tail_d + 2 * i, last ? zero : in->tail_n + 2 * i + 2,
          last ? one : in->tail_d + 2 * i + 2, 1, lambda, inverse);
    advance(tail, 1);
  }
  t->tail_count = (uint64_t)(tail[0] - t->tail[0]) / 2;
  even_tail(t, defaults);
}

/* eq of the numbers below 2^bits and a point, most significant bit first. */
static void eq_axis(const vc_field_kernels *k, uint64_t *out, const uint64_t *point, size_t bits) {
  set(out, one);
  for (size_t i = 0; i < bits; i++) k->expand(out, point + 2 * (bits - 1 - i), (size_t)1 << i);
}

static void total(uint64_t sum[2], const uint64_t *table, size_t n) {
  set(sum, zero);
  for (size_t i = 0; i < n; i++) accumulate(sum, table + 2 * i);
}

/* The weights of the halves of a group's boxes: outer (n_outer) times inner (chunk), and the sum of all. */
typedef struct {
  uint64_t *inner, *outer;
  size_t chunk, n_outer;
  uint64_t mass[2];
} weights;

/* The longest axis, padded. */
static size_t longest_axis(const group *g) {
  size_t bits = g->first;
  for (size_t i = 0; i < g->rest; i++)
    if (bits_of((size_t)g->sizes[i]) > bits) bits = bits_of((size_t)g->sizes[i]);
  return (size_t)1 << bits;
}

/* out (of `length`) becomes axis (of `size`) times out. */
static size_t multiply_axis(const vc_field_kernels *k, uint64_t *out, size_t length, const uint64_t *axis, size_t size) {
  for (size_t i = size; i-- > 1;) k->ext_scale(out + 2 * i * length, out, axis + 2 * i, length);
  if (size) k->ext_scale(out, out, axis, length);
  return size * length;
}

static weights make_weights(const vc_field_kernels *k, const group *g, const uint64_t *point, uint64_t *scratch) {
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
    set(to, one);
    for (size_t i = from; i-- > until;) {
      const unsigned bits = bits_of((size_t)g->sizes[i]);
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
    const group g = read_group(groups, i);
    const size_t longest = longest_axis(&g), inner = longest > MOST_INNER ? longest : MOST_INNER;
    const size_t words = 2 * (longest + inner + g.half);
    if (words > most) most = words;
  }
  return most;
}

/* The sum over the places of a unit box along its first axis of weight * c * d, low and step, times what the other axes
 * weigh: the weights add up over them. */
static void rows_round(const vc_field_kernels *k, uint64_t sums[4], const uint64_t *c, const uint64_t *d, const group *g,
                       const uint64_t *point, uint64_t *scratch) {
  const size_t half = (size_t)1 << (g->first - 1);
  uint64_t mass[2] = {1, 0}, part[2], product[2];
  size_t used = g->first - 1;
  for (size_t i = 0; i < g->rest; i++) {
    const unsigned bits = bits_of((size_t)g->sizes[i]);
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
    accumulate_product(sums, product, scratch + 2 * i);
    vc_ext_mul(product, dc, dd);
    accumulate_product(sums + 2, product, scratch + 2 * i);
  }
  vc_ext_mul(sums, sums, mass);
  vc_ext_mul(sums + 2, sums + 2, mass);
}

static void add_sums(uint64_t sums[4], const uint64_t values[4], const uint64_t scale[2]) {
  accumulate_product(sums, values, scale);
  accumulate_product(sums + 2, values + 2, scale);
}

/* sums += the sum over the box at the tables' places; w weighs it, times `place`. */
static void box_round(const vc_field_kernels *k, uint64_t sums[4], const uint64_t *const at[4], const group *g,
                      const weights *w, const uint64_t place[2]) {
  uint64_t part[4], box[4] = {0, 0, 0, 0};
  for (size_t o = 0; o < w->n_outer; o++) {
    const uint64_t *low[4], *high[4];
    for (int j = 0; j < 4; j++) {
      low[j] = at[j] + 2 * o * w->chunk;
      high[j] = low[j] + 2 * g->half;
    }
    if (g->unit)
      k->product_round(part, low, high, w->inner, w->chunk);
    else
      k->fraction_round(part, low, high, w->inner, w->chunk);
    add_sums(box, part, w->outer + 2 * o);
  }
  add_sums(sums, box, place);
}

void vc_gkr_tree_round(uint64_t *sums, const vc_gkr_tables *t, const uint64_t *groups, size_t n_groups,
                       uint64_t tail_place, const uint64_t *point, size_t variables, const uint64_t *lambda,
                       uint64_t *scratch) {
  const vc_field_kernels *k = vc_field();
  const uint64_t *at[4] = {t->boxes[0], t->boxes[1], t->boxes[2], t->boxes[3]};
  uint64_t mass[2] = {0, 0}, part[4], places[2];
  memset(sums, 0, 4 * sizeof *sums);
  for (size_t i = 0; i < n_groups; i++) {
    const group g = read_group(groups, i);
    set(places, zero);
    if (g.unit) rows_round(k, part, t->rows[0] + i * t->row_stride, t->rows[1] + i * t->row_stride, &g, point, scratch);
    const weights w = make_weights(k, &g, point, scratch);
    for (size_t box = 0; box < g.count; box++) {
      uint64_t place[2];
      vc_gkr_places(place, g.place + box, 1, point + 2 * (g.bits - 1), variables - (g.bits - 1));
      accumulate(places, place);
      box_round(k, sums, at, &g, &w, place);
      at[0] += 4 * g.half, at[1] += 4 * g.half;
      if (!g.unit) at[2] += 4 * g.half, at[3] += 4 * g.half;
    }
    if (g.unit) add_sums(sums, part, places);
    accumulate_product(mass, w.mass, places);
  }
  for (size_t i = 0; i < t->tail_count; i += 2) {
    const uint64_t *low[4], *high[4];
    uint64_t place[2];
    for (int j = 0; j < 4; j++) {
      low[j] = t->tail[j] + 2 * i;
      high[j] = low[j] + 2;
    }
    vc_gkr_places(place, tail_place + i / 2, 1, point, variables);
    k->fraction_round(part, low, high, place, 1);
    add_sums(sums, part, one);
    accumulate(mass, place);
  }
  vc_ext_mul(part, mass, lambda);
  sums[0] = vc_gl_sub(sums[0], part[0]);
  sums[1] = vc_gl_sub(sums[1], part[1]);
}

/* Bind the variable of a unit group's vectors; at the end of an axis the next one begins. */
static void fold_rows(const vc_field_kernels *k, uint64_t *row, const group *g, const uint64_t *r) {
  const size_t half = (size_t)1 << (g->first - 1);
  k->fold_ext(row, row, row + 2 * half, r, half);
  if (g->first == 1 && g->rest) {
    const size_t size = (size_t)g->sizes[0];
    const uint64_t value[2] = {row[0], row[1]};
    fill(row, value, size);
    fill(row + 2 * size, zero, ((size_t)1 << bits_of(size)) - size);
  }
}

void vc_gkr_tree_fold(vc_gkr_tables *t, const uint64_t *groups, size_t n_groups, const uint64_t *r,
                      const uint64_t *defaults, uint64_t *scratch) {
  const vc_field_kernels *k = vc_field();
  uint64_t *to[4], *tail[4];
  const uint64_t *from[4];
  const size_t old = (size_t)t->tail_count;
  for (int j = 0; j < 4; j++) {
    from[j] = to[j] = t->boxes[j];
    tail[j] = t->tail[j];
    memcpy(scratch + 2 * old * (size_t)j, t->tail[j], old * sizeof one);
  }
  for (size_t i = 0; i < n_groups; i++) {
    const group g = read_group(groups, i);
    uint64_t **at = g.bits == 1 ? tail : to, *rows[2] = {NULL, NULL};
    for (int j = 0; j < 2 && g.unit; j++) {
      rows[j] = t->rows[j] + i * t->row_stride;
      fold_rows(k, rows[j], &g, r);
    }
    for (size_t box = 0; box < g.count; box++)
      for (int j = 0; j < 4; j++) {
        if (g.unit && j >= 2) {
          if (g.bits == 1) {
            set(at[j], rows[j - 2]);
            at[j] += 2;
          }
          continue;
        }
        k->fold_ext(at[j], from[j], from[j] + 2 * g.half, r, g.half);
        fill(at[j] + 2 * g.half, defaults + 2 * j, g.pad);
        from[j] += 4 * g.half;
        at[j] += 2 * (g.half + g.pad);
      }
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
                      variables - 1 - i, lambda, scratch);
    for (size_t j = 0; j < 4; j++) vc_store_le64(sent + 8 * j, messages[j]);
    vc_transcript_absorb_ext(&transcript, label, sent, 2);
    vc_transcript_challenge(&transcript, label, challenges);
    vc_gkr_tree_fold(t, step->groups, (size_t)step->count, challenges, defaults, scratch);
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
