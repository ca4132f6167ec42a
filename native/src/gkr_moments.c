/* SPDX-License-Identifier: Apache-2.0 */
/* The first rounds of the lowest layer of fractions (see gkr.h), from integers.
 *
 * Tables a and b of a unit box are affine in small integers: their values at a point X of the k variables bound first, at x of the
 * others, are constants plus multiples of key(X; x), value(X; x) and sign(X; x), each a combination of 2^k streams of leaves. So
 * the sum over x of weight * a * b is, for each X, a combination of weighted sums of integers and of products of integers. They
 * are made for X in {0, 1, infinity}^k (at infinity stands the leading coefficient), which fixes a polynomial of degree 2 in each
 * variable: the *grid* of a group of boxes. No challenge is in it, so one pass over the leaves serves k messages.
 *
 * Positions of a grid are numbers of k digits to the base 3, the variable bound first in front; the digit 2 is infinity.
 */
#include "gkr.h"
#include "moments.h"

enum { PARTS = 3, MOST_POINTS = 27, MOST_CORNERS = 8, PAIRS = PARTS * (PARTS + 1) / 2 };
enum { MOST_SUMS = 1 + 2 * PARTS * MOST_CORNERS + PAIRS * MOST_POINTS, MOST_STEPS = MOST_POINTS - MOST_CORNERS };
enum { ROWS = 2 * PARTS * MOST_POINTS + 1, ROW_WORDS = VC_MOMENT_ROW / 2 };

/* An integer of a row is a sum of at most four leaves less as many. From leaves below 2^27, products and sums of two stay below the
 * large bias; from keys up to 2^18, values and signs below the small one, but where all of three variables are at infinity. */
static const uint64_t small_keys = UINT64_C(1) << 18, small_bias = UINT64_C(1) << 39, large_bias = UINT64_C(1) << 60;

/* The points of a grid of k variables. */
typedef struct {
  size_t k, points, corners;
  size_t corner[MOST_CORNERS]; /* its position, by the bits of its number, the first variable in front */
  struct {
    size_t to, high, low;
  } step[MOST_STEPS]; /* every other point is a difference of two before it */
} shape;

static shape shape_of(size_t k) {
  shape s = {.k = k, .points = 1, .corners = (size_t)1 << k};
  size_t power[VC_MOST_BOUND], n = 0;
  for (size_t i = k; i-- > 0; s.points *= 3) power[i] = s.points;
  for (size_t c = 0; c < s.corners; c++) {
    s.corner[c] = 0;
    for (size_t i = 0; i < k; i++) s.corner[c] += (c >> (k - 1 - i) & 1) * power[i];
  }
  for (size_t i = 0; i < k; i++)
    for (size_t x = 0; x < s.points; x++) {
      size_t later = 0; /* digits 2 of variables after i */
      for (size_t j = i + 1; j < k; j++) later += x / power[j] % 3 == 2;
      if (x / power[i] % 3 != 2 || later) continue;
      s.step[n].to = x, s.step[n].high = x - power[i], s.step[n].low = x - 2 * power[i];
      n++;
    }
  return s;
}

/* Every point of a grid from its corners. */
static void extend(uint64_t (*grid)[2], const shape *s) {
  for (size_t i = 0; i < s->points - s->corners; i++)
    for (int c = 0; c < 2; c++)
      grid[s->step[i].to][c] = vc_gl_sub(grid[s->step[i].high][c], grid[s->step[i].low][c]);
}

/* What is at hand for one box: rows of integers, and the sums that are made of them. */
typedef struct {
  const shape *shape;
  const vc_gkr_leaf *leaf;
  size_t parts; /* key, value, sign: as many as the leaves have */
  size_t apart; /* from stream to stream */
  size_t count;
  int32_t *rows;
  vc_moment moment[MOST_SUMS];
  vc_difference difference[2 * PARTS * MOST_STEPS];
  uint64_t (*sums)[2], *state, *weights;
} work;

static int32_t *row_of(const work *w, size_t j, size_t part, size_t point) {
  return w->rows + ((j * PARTS + part) * MOST_POINTS + point) * VC_MOMENT_ROW;
}
static int32_t *ones_of(const work *w) { return w->rows + (ROWS - 1) * VC_MOMENT_ROW; }

static int is_small(const work *w, size_t x) { return w->leaf->below <= small_keys && (w->shape->k < 3 || x + 1 < w->shape->points); }

/* The sums' order: 1; then for table a and for b the corners of every part; then every point of every two parts. */
static void list_moments(work *w) {
  const shape *s = w->shape;
  vc_moment *m = w->moment;
  vc_difference *d = w->difference;
  *m++ = (vc_moment){.a = ones_of(w)};
  for (size_t j = 0; j < 2; j++)
    for (size_t part = 0; part < w->parts; part++) {
      for (size_t c = 0; c < s->corners; c++) *m++ = (vc_moment){.a = row_of(w, j, part, s->corner[c])};
      for (size_t i = 0; i < s->points - s->corners; i++)
        *d++ = (vc_difference){row_of(w, j, part, s->step[i].to), row_of(w, j, part, s->step[i].high),
                               row_of(w, j, part, s->step[i].low)};
    }
  for (size_t p = 0; p < w->parts; p++)
    for (size_t q = p; q < w->parts; q++)
      for (size_t x = 0; x < s->points; x++, m++) {
        *m = (vc_moment){.a = row_of(w, 0, p, x), .b = row_of(w, 1, q, x)};
        if (p != q) m->c = row_of(w, 0, q, x), m->d = row_of(w, 1, p, x);
        m->small = is_small(w, x);
        m->bias = m->small ? small_bias : large_bias;
      }
  w->count = (size_t)(m - w->moment);
}

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

/* Add n <= VC_MOMENT_ROW positions from x on, of weights (pairs): all corners of table a, the first `inside` ones of b are leaves. */
static void add_row(work *w, const vc_moment_kernels *k, size_t x, size_t n, size_t inside, const uint64_t *weights) {
  const shape *s = w->shape;
  const size_t padded = (n + 7) / 8 * 8;
  for (size_t j = 0; j < 2; j++)
    for (size_t part = 0; part < w->parts; part++)
      for (size_t c = 0; c < s->corners; c++) {
        int32_t *to = row_of(w, j, part, s->corner[c]);
        if (j == 0 || c < inside)
          read_stream(k, to, w->leaf, part, (j * s->corners + c) * w->apart + x, n);
        else
          memset(to, 0, padded * sizeof *to);
      }
  k->blocks(w->weights, weights, n);
  k->differences(w->difference, 2 * w->parts * (s->points - s->corners), padded);
  k->add(w->state, w->moment, w->count, w->weights, padded);
}

/* The sums over x in first .. stop, of which the first `inside` corners of table b are leaves. */
static void add_range(work *w, const vc_gkr_weights *of, size_t first, size_t stop, size_t inside) {
  const vc_moment_kernels *k = vc_moments();
  memset(w->sums, 0, w->count * sizeof *w->sums);
  while (first < stop) {
    const size_t o = first / of->chunk, edge = (o + 1) * of->chunk < stop ? (o + 1) * of->chunk : stop;
    size_t taken = 0, n;
    for (; first < edge && taken + VC_MOMENT_ROW <= k->most; first += n, taken += n) {
      n = edge - first < VC_MOMENT_ROW ? edge - first : VC_MOMENT_ROW;
      add_row(w, k, first, n, inside, of->inner + 2 * (first - o * of->chunk));
    }
    k->end(*w->sums, w->state, w->count, of->outer + 2 * o);
  }
}

/* What the constants of a table are over the grid: of a leaf, and of what is past the end. */
static void constant_grid(uint64_t (*grid)[2], const shape *s, const uint64_t *leaf, const uint64_t *past, size_t inside) {
  for (size_t c = 0; c < s->corners; c++) vc_set(grid[s->corner[c]], c < inside ? leaf : past);
  extend(grid, s);
}

/* grid += the sum over the parts of constants[part] * (sums of that part's corners, extended). */
static void add_linear(uint64_t (*grid)[2], const work *w, uint64_t (*sums)[2], const uint64_t *constants) {
  const shape *s = w->shape;
  uint64_t extended[MOST_POINTS][2];
  for (size_t part = 0; part < w->parts; part++, sums += s->corners) {
    for (size_t c = 0; c < s->corners; c++) vc_set(extended[s->corner[c]], sums[c]);
    extend(extended, s);
    for (size_t x = 0; x < s->points; x++) vc_accumulate_product(grid[x], extended[x], constants + 2 * (part + 1));
  }
}

/* total += the sums over products of parts at a point, the bias taken off, times their constants. */
static void add_pairs(uint64_t total[2], const work *w, uint64_t (*sums)[2], size_t x, const uint64_t *constants) {
  const uint64_t bias = is_small(w, x) ? small_bias : large_bias;
  sums += x;
  for (size_t p = 0; p < w->parts; p++)
    for (size_t q = p; q < w->parts; q++, sums += w->shape->points) {
      uint64_t factor[2], value[2];
      for (int c = 0; c < 2; c++) value[c] = vc_gl_sub((*sums)[c], vc_gl_mul(bias, w->sums[0][c]));
      vc_ext_mul(factor, constants + 2 * (p + 1), constants + 8 + 2 * (q + 1));
      vc_accumulate_product(total, factor, value);
    }
}

/* grid += scale * the sums of weight * a * b over the range just added. Both tables have the same constants up to a factor, so
 * that products of two parts are summed both ways at once. */
static void add_grid(uint64_t *grid, work *w, const uint64_t *constants, const uint64_t *defaults, size_t inside,
                     const uint64_t scale[2]) {
  const shape *s = w->shape;
  const uint64_t *b = constants + 8;
  uint64_t of_a[MOST_POINTS][2], of_b[MOST_POINTS][2], linear[2][MOST_POINTS][2];
  uint64_t (*sums)[2] = w->sums + 1;
  constant_grid(of_a, s, constants, defaults, s->corners);
  constant_grid(of_b, s, b, defaults + 2, inside);
  memset(linear, 0, sizeof linear);
  for (size_t j = 0; j < 2; j++, sums += w->parts * s->corners) add_linear(linear[j], w, sums, constants + 8 * j);
  for (size_t x = 0; x < s->points; x++) { /* (A + a) (B + b) = A B + A b + B a + a b, summed */
    uint64_t total[2], ab[2];
    vc_ext_mul(total, of_b[x], linear[0][x]);
    vc_accumulate_product(total, of_a[x], linear[1][x]);
    vc_ext_mul(ab, of_a[x], of_b[x]);
    vc_accumulate_product(total, ab, w->sums[0]);
    add_pairs(total, w, sums, x, constants);
    vc_accumulate_product(grid + 2 * x, total, scale);
  }
}

/* grid += one box, or a part of it. Streams of leaves end together but for one, which ends within. */
static void add_box(uint64_t *grid, work *w, const vc_gkr_weights *of, const uint64_t *constants, const uint64_t *defaults,
                    const uint64_t scale[2], size_t part, size_t parts) {
  const size_t all = w->shape->corners, valid = (size_t)w->leaf->valid, n = w->apart;
  const size_t whole = valid / n - all < all ? valid / n - all : all, within = whole < all ? valid % n : 0;
  const size_t ends[3] = {0, within, n};
  w->parts = w->leaf->sign ? 3 : w->leaf->value ? 2 : 1;
  list_moments(w);
  for (size_t i = 0; i < 2; i++) {
    const vc_range r = vc_part_of(ends[i + 1] - ends[i], part, parts);
    if (!r.count) continue;
    add_range(w, of, ends[i] + r.first, ends[i] + r.first + r.count, whole + (i == 0));
    add_grid(grid, w, constants, defaults, whole + (i == 0), scale);
  }
}

static size_t state_words(void) { return MOST_SUMS * vc_moments()->words; }

size_t vc_gkr_moments_scratch(void) {
  return state_words() + 2 * MOST_SUMS + ROWS * ROW_WORDS + 2 * VC_MOMENT_ROW;
}

void vc_gkr_moments(uint64_t *grids, const vc_gkr_tables *t, const vc_gkr_step *steps, const uint64_t *point,
                    const uint64_t *defaults, size_t part, size_t parts, uint64_t *scratch) {
  work w = {.state = scratch, .sums = (uint64_t(*)[2])(void *)(scratch + state_words())};
  size_t box = 0;
  w.rows = (int32_t *)(void *)(w.sums + MOST_SUMS);
  w.weights = scratch + state_words() + 2 * MOST_SUMS + ROWS * ROW_WORDS;
  memset(w.state, 0, state_words() * sizeof *w.state);
  for (size_t i = 0; i < VC_MOMENT_ROW; i++) ones_of(&w)[i] = 1;
  scratch += vc_gkr_moments_scratch();
  for (size_t i = 0; i < steps[0].count; i++) {
    const size_t k = (size_t)t->lazy[i];
    const vc_group first = vc_read_group(steps[0].groups, i);
    uint64_t *grid = grids + i * VC_GRID_WORDS;
    memset(grid, 0, VC_GRID_WORDS * sizeof *grid);
    if (!first.unit) continue;
    if (k) {
      const shape s = shape_of(k);
      const vc_group bound = vc_read_group(steps[k - 1].groups, i);
      const vc_gkr_weights of = vc_gkr_make_weights(vc_field(), &bound, point + 2 * k, scratch);
      w.shape = &s, w.apart = bound.half;
      for (size_t b = 0; b < first.count; b++) {
        w.leaf = t->leaves + box + b;
        add_box(grid, &w, &of, t->constants + 16 * (box + b), defaults, t->places[i].weights + 2 * b, part, parts);
      }
    }
    box += first.count;
  }
}

void vc_gkr_grid_round(uint64_t sums[4], const uint64_t *grid, size_t left, const uint64_t *point) {
  const shape s = shape_of(left - 1);
  memset(sums, 0, 4 * sizeof *sums);
  for (size_t c = 0; c < s.corners; c++) {
    uint64_t weight[2] = {1, 0};
    for (size_t i = 0; i + 1 < left; i++) {
      const uint64_t *z = point + 2 * i, other[2] = {vc_gl_sub(1, z[0]), vc_gl_sub(0, z[1])};
      vc_ext_mul(weight, weight, c >> (left - 2 - i) & 1 ? z : other);
    }
    vc_accumulate_product(sums, grid + 2 * s.corner[c], weight);
    vc_accumulate_product(sums + 2, grid + 2 * (2 * s.points + s.corner[c]), weight);
  }
}

void vc_gkr_grid_bind(uint64_t *grid, size_t left, const uint64_t r[2]) {
  size_t third = 1;
  for (size_t i = 1; i < left; i++) third *= 3;
  for (size_t x = 0; x < third; x++) { /* g(0) + r (g(1) - g(0) - lead) + r^2 lead */
    uint64_t *g = grid + 2 * x;
    const uint64_t *one = g + 2 * third, *lead = one + 2 * third;
    uint64_t inner[2] = {vc_gl_sub(one[0], vc_gl_add(g[0], lead[0])), vc_gl_sub(one[1], vc_gl_add(g[1], lead[1]))};
    vc_accumulate_product(inner, lead, r);
    vc_accumulate_product(g, inner, r);
  }
}
