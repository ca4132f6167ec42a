/* SPDX-License-Identifier: Apache-2.0 */
/* A round of the sumcheck over a layer of fractions, and the fold that ends it, over a stack of boxes.
 *
 * A table holds, in this order, groups of boxes and a tail. A group is `count` boxes of 2 * half extension elements,
 * each the halves of its first variable; the tail is pairs of single elements. The readable twin is
 * vcompute/proof/succinct/lookup/prove.py; blocks go through the field's vector kernels.
 */
#include <string.h>

#include "field.h"
#include "goldilocks.h"
#include "vcompute.h"

typedef struct {
  const uint64_t *a, *b, *c, *d;
} tables;

static void accumulate(uint64_t sum[2], const uint64_t value[2]) {
  sum[0] = vc_gl_add(sum[0], value[0]);
  sum[1] = vc_gl_add(sum[1], value[1]);
}

/* sums[0..1] += scale * sum of w * (a b + c d) of the low halves, sums[2..3] the same of high - low, over n pairs. */
static void box_round(uint64_t sums[4], const vc_field_kernels *field, tables low, tables high, const uint64_t *w,
                      const uint64_t scale[2], size_t n) {
  const uint64_t *const lows[4] = {low.a, low.b, low.c, low.d}, *const highs[4] = {high.a, high.b, high.c, high.d};
  uint64_t total[4], part[2];
  field->fraction_round(total, lows, highs, w, n);
  for (int side = 0; side < 2; side++) {
    vc_ext_mul(part, total + 2 * side, scale);
    accumulate(sums + 2 * side, part);
  }
}

static tables shifted(tables from, size_t words) {
  tables to = {from.a + words, from.b + words, from.c + words, from.d + words};
  return to;
}

void vc_gkr_round(uint64_t *sums, const uint64_t *a, const uint64_t *b, const uint64_t *c, const uint64_t *d,
                       const uint64_t *groups, size_t n_groups, size_t tail_pairs, const uint64_t *inner,
                       const uint64_t *outer, const uint64_t *tail, const uint64_t *lambda) {
  const vc_field_kernels *field = vc_field();
  tables at = {a, b, c, d};
  uint64_t mass[2] = {0, 0}, part[2], one[2] = {1, 0};
  memset(sums, 0, 4 * sizeof *sums);
  for (size_t group = 0; group < n_groups; group++) {
    size_t count = (size_t)groups[2 * group], half = (size_t)groups[2 * group + 1];
    for (size_t box = 0; box < count; box++, outer += 2) {
      box_round(sums, field, at, shifted(at, 2 * half), inner, outer, half);
      at = shifted(at, 4 * half);
      accumulate(mass, outer); /* the weights of a whole box add up to its place's */
    }
    inner += 2 * half;
  }
  for (size_t pair = 0; pair < tail_pairs; pair++, tail += 2) {
    box_round(sums, field, at, shifted(at, 2), tail, one, 1);
    at = shifted(at, 4);
    accumulate(mass, tail);
  }
  vc_ext_mul(part, mass, lambda);
  sums[0] = vc_gl_sub(sums[0], part[0]);
  sums[1] = vc_gl_sub(sums[1], part[1]);
}

void vc_gkr_fold(uint64_t *out, const uint64_t *table, const uint64_t *groups, size_t n_groups, size_t tail_pairs,
                      const uint64_t *r) {
  const vc_field_kernels *field = vc_field();
  for (size_t group = 0; group < n_groups; group++) {
    size_t count = (size_t)groups[2 * group], half = (size_t)groups[2 * group + 1];
    for (size_t box = 0; box < count; box++, out += 2 * half, table += 4 * half)
      field->fold_ext(out, table, table + 2 * half, r, half);
  }
  for (size_t pair = 0; pair < tail_pairs; pair++, out += 2, table += 4) field->fold_ext(out, table, table + 2, r, 1);
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
