/* SPDX-License-Identifier: Apache-2.0 */
/* The first rounds of the lowest layer of fractions (see gkr.h), from integers.
 *
 * Tables a and b of a unit box are affine in small integers: their values at a point X of the k variables bound first, at x of the
 * others, are constants plus multiples of key(X; x), value(X; x) and sign(X; x), each a combination of 2^k streams of leaves. So the
 * grid (see gkr_grid.h) of weight * a * b is a combination of weighted sums of integers and of products of integers.
 */
#include "gkr_grid.h"

/* From keys up to 2^18, values and signs, products stay below the small bias, but where all of three variables are at infinity. */
static const uint64_t small_keys = UINT64_C(1) << 18;

static void read_stream(const vc_moment_kernels *k, int32_t *to, const vc_gkr_leaf *leaf, size_t part, size_t at, size_t n) {
  const uint8_t *from = part == 1 ? leaf->value : leaf->sign;
  if (part == 0)
    k->copy(to, leaf->key + at, n);
  else if (from)
    k->widen(to, from + at, n);
  else
    memset(to, 0, n * sizeof *to);
  for (size_t i = n; i % 8; i++) to[i] = 0;
}

/* All corners of table a, and of b those inside, are leaves. */
static void fill(const vc_grid_work *w, const vc_moment_kernels *k, size_t x, size_t n) {
  const size_t corners = w->shape.corners;
  for (size_t j = 0; j < 2; j++)
    for (size_t part = 0; part < w->parts; part++)
      for (size_t c = 0; c < corners; c++) {
        int32_t *to = vc_corner_row(w, j, part, c);
        if (w->zero[j][part][w->shape.corner[c]])
          memset(to, 0, (n + 7) / 8 * 8 * sizeof *to);
        else
          read_stream(k, to, w->leaf, part, (j * corners + c) * w->apart + x, n);
      }
}

static void set_zeros(vc_grid_work *w) {
  const size_t corners = w->shape.corners;
  for (size_t j = 0; j < 2; j++)
    for (size_t part = 0; part < w->parts; part++)
      for (size_t c = 0; c < corners; c++) w->zero[j][part][w->shape.corner[c]] = j * corners + c >= w->inside;
}

/* What the constants of a table are over the grid: of a leaf in the first corners, then of what is past the end. */
static void constant_grid(vc_pair *grid, const vc_shape *s, const uint64_t *leaf, const uint64_t *past, size_t inside) {
  for (size_t c = 0; c < s->corners; c++) vc_set(grid[s->corner[c]], c < inside ? leaf : past);
  vc_extend(grid, s);
}

/* total += the sums over products of parts at a point times their constants. */
static void add_products(uint64_t total[2], const vc_grid_work *w, size_t x, const uint64_t *constants) {
  size_t pair = 0;
  for (size_t p = 0; p < w->parts; p++)
    for (size_t q = p; q < w->parts; q++, pair++) {
      uint64_t factor[2], value[2];
      vc_grid_product(value, w, pair, x);
      vc_ext_mul(factor, constants + 2 * (p + 1), constants + 8 + 2 * (q + 1));
      vc_accumulate_product(total, factor, value);
    }
}

/* grid += scale * the sums of weight * a * b over the range just added. Both tables have the same constants up to a factor, so
 * that products of two parts are summed both ways at once. */
static void add_grid(uint64_t *grid, const vc_grid_work *w, const uint64_t *constants, const uint64_t *defaults,
                     const uint64_t scale[2]) {
  const vc_shape *s = &w->shape;
  vc_pair of_a[VC_POINTS], of_b[VC_POINTS], linear[2][VC_POINTS];
  constant_grid(of_a, s, constants, defaults, s->corners);
  constant_grid(of_b, s, constants + 8, defaults + 2, w->inside - s->corners);
  memset(linear, 0, sizeof linear);
  for (size_t j = 0; j < 2; j++) vc_grid_linear(linear[j], w, j, constants + 8 * j + 2);
  for (size_t x = 0; x < s->points; x++) { /* (A + a) (B + b) = A B + A b + B a + a b, summed */
    uint64_t total[2], ab[2];
    vc_ext_mul(total, of_b[x], linear[0][x]);
    vc_accumulate_product(total, of_a[x], linear[1][x]);
    vc_ext_mul(ab, of_a[x], of_b[x]);
    vc_accumulate_product(total, ab, w->sums[0]);
    add_products(total, w, x, constants);
    vc_accumulate_product(grid + 2 * x, total, scale);
  }
}

/* grid += one box, or a part of it. */
static void add_box(uint64_t *grid, vc_grid_work *w, const vc_gkr_weights *of, const uint64_t *constants, const uint64_t *defaults,
                    const uint64_t scale[2], size_t part, size_t parts) {
  vc_run runs[2];
  w->parts = w->leaf->sign ? 3 : w->leaf->value ? 2 : 1;
  w->small = w->leaf->below > small_keys ? 0 : w->shape.points - (w->shape.k == 3);
  vc_runs(runs, (size_t)w->leaf->valid, w->apart, 2 * w->shape.corners);
  for (size_t i = 0; i < 2; i++) {
    const vc_range r = vc_part_of(runs[i].count, part, parts);
    if (!r.count) continue;
    w->inside = runs[i].inside;
    set_zeros(w);
    vc_grid_sums(w, of, runs[i].first + r.first, runs[i].first + r.first + r.count);
    add_grid(grid, w, constants, defaults, scale);
  }
}

void vc_gkr_moments(uint64_t *grids, const vc_gkr_tables *t, const vc_gkr_step *steps, const uint64_t *point,
                    const uint64_t *defaults, size_t part, size_t parts, uint64_t *scratch) {
  vc_grid_work w = {.fill = fill};
  size_t box = 0;
  vc_grid_begin(&w, scratch);
  scratch += vc_gkr_moments_scratch();
  for (size_t i = 0; i < steps[0].count; i++) {
    const size_t k = (size_t)t->lazy[i];
    const vc_group first = vc_read_group(steps[0].groups, i);
    uint64_t *grid = grids + i * VC_GRID_WORDS;
    memset(grid, 0, VC_GRID_WORDS * sizeof *grid);
    if (first.unit && k) {
      const vc_group bound = vc_read_group(steps[k - 1].groups, i);
      const vc_gkr_weights of = vc_gkr_make_weights(vc_field(), &bound, point + 2 * k, scratch);
      w.shape = vc_shape_of(k), w.apart = bound.half;
      for (size_t b = box; b < box + first.count; b++) {
        const uint64_t *place = t->places[i].weights + 2 * (b - box);
        w.leaf = t->leaves + b;
        if (first.unit == VC_GKR_LEAVES)
          add_box(grid, &w, &of, t->constants + 16 * b, defaults, place, part, parts);
        else if (vc_is_node(w.leaf))
          vc_gkr_node_grid(grid, &w, &of, t->constants + 8 * b, t->scale, place, part, parts);
      }
    }
    box += first.unit ? first.count : 0;
  }
}
