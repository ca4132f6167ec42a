/* SPDX-License-Identifier: Apache-2.0 */
/* The levels of a tree of fractions over a stack of boxes (see gkr.h).
 *
 * A *unit box* is a box of leaves whose numerators are all 1. Its denominators are affine in small integers, so they are
 * never stored at level 0: whoever needs some makes them.
 */
#include "gkr.h"
#include "moments.h"

/* The constants of some streams of leaves: 1 + 3 for each. */
enum { VC_GKR_KEYS = 1 << 26 }; /* keys that key_fractions takes are below */
enum { STREAM_WORDS = 6, MOST_WORDS = 2 + STREAM_WORDS * VC_MOST_STREAMS };

void vc_combine_leaves(const vc_field_kernels *k, uint64_t *out, const vc_combination *c, size_t start, size_t n) {
  const size_t valid = (size_t)c->leaf->valid;
  uint64_t constants[MOST_WORDS];
  for (size_t s = 0; s < c->count; s++)
    for (size_t j = 1; j < 4; j++)
      vc_ext_mul(constants + 2 + STREAM_WORDS * s + 2 * (j - 1), c->weights + 2 * s, c->constants + 2 * j);
  while (n) {
    size_t inside = 0, some = n;
    while (inside < c->count && c->base + inside * c->apart + start < valid) inside++;
    if (inside && valid - (c->base + (inside - 1) * c->apart + start) < some)
      some = valid - (c->base + (inside - 1) * c->apart + start);
    vc_set(constants, vc_zero);
    for (size_t s = 0; s < c->count; s++)
      vc_accumulate_product(constants, c->weights + 2 * s, s < inside ? c->constants : c->past);
    vc_stream streams[VC_MOST_STREAMS];
    for (size_t s = 0; s < inside; s++) {
      const size_t at = c->base + s * c->apart + start;
      streams[s].key = c->leaf->key + at;
      streams[s].value = c->leaf->value ? c->leaf->value + at : NULL;
      streams[s].sign = c->leaf->sign ? c->leaf->sign + at : NULL;
    }
    if (inside)
      k->affine(out, streams, inside, some, constants);
    else
      vc_fill_pairs(out, constants, some);
    out += 2 * some, start += some, n -= some;
  }
}

void vc_gkr_rows(uint64_t *n, uint64_t *d, size_t size, const vc_gkr_leaf *leaf, const uint64_t *constants,
                 const int64_t *counts) {
  const vc_combination c = {leaf, constants, vc_one, vc_one, 0, 0, 1};
  const size_t valid = (size_t)leaf->valid;
  vc_combine_leaves(vc_field(), d, &c, 0, valid);
  for (size_t i = 0; i < valid; i++) {
    const uint64_t minus = 0 - (uint64_t)counts[i];
    n[2 * i] = counts[i] > 0 ? minus - VC_EPSILON : minus; /* 2^64 - count, less 2^32 - 1, is p - count */
    n[2 * i + 1] = 0;
  }
  vc_fill_pairs(n + 2 * valid, vc_zero, size - valid);
  vc_fill_pairs(d + 2 * valid, vc_one, size - valid);
}

/* What key_fractions takes of c0 + c1 key. */
static void square(uint64_t out[10], const uint64_t constants[8]) {
  vc_ext_mul(out, constants, constants);
  vc_ext_mul(out + 2, constants, constants + 2);
  vc_ext_mul(out + 4, constants + 2, constants + 2);
  for (int c = 0; c < 2; c++) out[6 + c] = vc_gl_add(constants[c], constants[c]), out[8 + c] = constants[2 + c];
}

/* n, d = the fractions first .. first + count of a unit box of leaves in pairs, of which there are `half`. */
static void add_leaves(const vc_field_kernels *k, uint64_t *n, uint64_t *d, const vc_gkr_leaf *leaf, const uint64_t constants[8],
                       size_t half, size_t first, size_t count) {
  uint64_t low[2 * VC_GKR_CHUNK], high[2 * VC_GKR_CHUNK], squares[10];
  const vc_combination one = {leaf, constants, vc_one, vc_one, 0, 0, 1}, other = {leaf, constants, vc_one, vc_one, half, 0, 1};
  const size_t valid = (size_t)leaf->valid;
  const int keys = !leaf->value && !leaf->sign && leaf->below <= VC_GKR_KEYS;
  square(squares, constants);
  for (size_t some; count; first += some, count -= some, n += 2 * some, d += 2 * some) {
    some = count < VC_GKR_CHUNK ? count : VC_GKR_CHUNK;
    const size_t both = half + first < valid ? (some < valid - half - first ? some : valid - half - first) : 0;
    if (keys) {
      k->key_fractions(n, d, leaf->key + first, leaf->key + half + first, squares, both);
      vc_combine_leaves(k, d + 2 * both, &one, first + both, some - both);
    } else {
      vc_combine_leaves(k, low, &one, first, some);
      vc_combine_leaves(k, high, &other, first, both);
      k->unit_fractions(n, d, low, high, both);
      memcpy(d + 2 * both, low + 2 * both, (some - both) * sizeof vc_one);
    }
    vc_fill_pairs(n + 2 * both, vc_one, some - both);
  }
}

/* What quads takes of c0 + c1 key, of `count` = 3 or 4 leaves: d's are the terms of (c0 + c1 X)^count without binomials, n's the
 * derivatives of them with respect to c0. */
static void powers(uint64_t out[18], const uint64_t c[8], size_t count) {
  uint64_t high[5][2] = {{1, 0}}, low[5][2] = {{1, 0}}; /* powers of c1, of c0 */
  memset(out, 0, 18 * sizeof *out);
  for (size_t i = 1; i < 5; i++) vc_ext_mul(high[i], high[i - 1], c + 2), vc_ext_mul(low[i], low[i - 1], c);
  for (size_t i = 0; i <= count; i++) vc_ext_mul(out + 8 + 2 * i, high[i], low[count - i]);
  for (size_t i = 0; i < count; i++) {
    const uint64_t times[2] = {count - i, 0};
    vc_ext_mul(out + 2 * i, high[i], low[count - 1 - i]);
    vc_ext_mul(out + 2 * i, out + 2 * i, times);
  }
}

/* n, d = sums of `leaves` = 3 or 4 leaves, the fourth of which is past the box's end. */
static void add_quads(uint64_t *n, uint64_t *d, const vc_gkr_leaf *leaf, const uint64_t constants[8], size_t half, size_t first,
                      size_t count, size_t leaves) {
  static const uint32_t nothing[VC_GKR_CHUNK];
  uint64_t all[18];
  powers(all, constants, leaves);
  for (size_t some; count; first += some, count -= some, n += 2 * some, d += 2 * some) {
    const uint32_t *keys[4];
    some = count < VC_GKR_CHUNK ? count : VC_GKR_CHUNK;
    for (size_t i = 0; i < 4; i++) keys[i] = i < leaves ? leaf->key + i * half + first : nothing;
    vc_moments()->quads(n, d, keys, all, some);
  }
}

/* The same of nodes in pairs: of all their leaves at once where no more than the fourth one is missing. */
static void add_nodes(const vc_field_kernels *k, uint64_t *n, uint64_t *d, const vc_gkr_leaf *leaf, const uint64_t constants[8],
                      size_t half, size_t first, size_t count) {
  uint64_t low[2][2 * VC_GKR_CHUNK], high[2][2 * VC_GKR_CHUNK];
  const size_t valid = (size_t)leaf->valid;
  if (valid >= 3 * half) {
    const size_t whole = valid - 3 * half, four = first < whole ? (count < whole - first ? count : whole - first) : 0;
    add_quads(n, d, leaf, constants, half, first, four, 4);
    add_quads(n + 2 * four, d + 2 * four, leaf, constants, half, first + four, count - four, 3);
    return;
  }
  for (size_t some; count; first += some, count -= some, n += 2 * some, d += 2 * some) {
    some = count < VC_GKR_CHUNK ? count : VC_GKR_CHUNK;
    add_leaves(k, low[0], low[1], leaf, constants, 2 * half, first, some);
    add_leaves(k, high[0], high[1], leaf, constants, 2 * half, half + first, some);
    k->fractions(n, d, low[0], low[1], high[0], high[1], some);
  }
}

void vc_gkr_add(vc_gkr_level *out, const vc_gkr_level *in, const uint64_t *groups, size_t n_groups, const vc_gkr_leaf *leaves,
                const uint64_t *constants, const uint64_t *lazy, size_t part, size_t parts) {
  const vc_field_kernels *k = vc_field();
  uint64_t *n_out = out->n, *d_out = out->d, *tail_n = out->tail_n, *tail_d = out->tail_d;
  const uint64_t *n = in->n, *d = in->d;
  for (size_t i = 0; i < n_groups; i++) {
    const vc_group g = vc_read_group(groups, i);
    for (size_t box = 0; box < g.count; box++) {
      uint64_t **to_n = g.bits == 1 ? &tail_n : &n_out, **to_d = g.bits == 1 ? &tail_d : &d_out;
      const vc_range r = vc_part_of(g.half, part, parts);
      const size_t at = 2 * r.first, half = 2 * g.half;
      const int passing = g.unit && lazy[i] && vc_is_node(leaves); /* its nodes are not stored, but made in passing */
      if (g.unit == VC_GKR_LEAVES && !passing)
        add_leaves(k, *to_n + at, *to_d + at, leaves, constants, g.half, r.first, r.count);
      else if (g.unit == VC_GKR_NODES && passing)
        add_nodes(k, *to_n + at, *to_d + at, leaves, constants, g.half, r.first, r.count);
      else if (!passing)
        k->fractions(*to_n + at, *to_d + at, n + at, d + at, n + half + at, d + half + at, r.count);
      if (part == 0) {
        vc_fill_pairs(*to_n + half, vc_zero, g.pad);
        vc_fill_pairs(*to_d + half, vc_one, g.pad);
      }
      *to_n += 2 * (g.half + g.pad), *to_d += 2 * (g.half + g.pad);
      if (g.unit != VC_GKR_LEAVES) n += 2 * half, d += 2 * half;
      if (g.unit) leaves++, constants += 8;
    }
  }
  if (part) return;
  const size_t pairs = (size_t)in->tail_count / 2;
  for (size_t i = 0; i < pairs; i++)
    k->fractions(tail_n + 2 * i, tail_d + 2 * i, in->tail_n + 4 * i, in->tail_d + 4 * i, in->tail_n + 4 * i + 2,
                 in->tail_d + 4 * i + 2, 1);
  if (in->tail_count % 2) {
    vc_set(tail_n + 2 * pairs, in->tail_n + 4 * pairs);
    vc_set(tail_d + 2 * pairs, in->tail_d + 4 * pairs);
  }
}
