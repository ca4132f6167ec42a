/* SPDX-License-Identifier: Apache-2.0 */
/* Grids (see gkr_grid.h): what both layers that have them share. */
#include "gkr_grid.h"

/* An integer of a row is a sum of at most four of a stream less as many. Where those are below 2^27, products and sums of two stay
 * below the large bias. */
static const uint64_t small_bias = UINT64_C(1) << 39, large_bias = UINT64_C(1) << 60;
enum { ROW_WORDS = VC_MOMENT_ROW / 2 };

vc_shape vc_shape_of(size_t k) {
  vc_shape s = {.k = k, .points = 1, .corners = (size_t)1 << k};
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

void vc_extend(vc_pair *grid, const vc_shape *s) {
  for (size_t i = 0; i < s->points - s->corners; i++)
    for (int c = 0; c < 2; c++)
      grid[s->step[i].to][c] = vc_gl_sub(grid[s->step[i].high][c], grid[s->step[i].low][c]);
}

static int32_t *ones_of(const vc_grid_work *w) { return w->rows + (VC_ROWS - 1) * VC_MOMENT_ROW; }

static size_t state_words(void) { return VC_SUMS * vc_moments()->words; }

size_t vc_gkr_moments_scratch(void) { return state_words() + 2 * VC_SUMS + VC_ROWS * ROW_WORDS + 2 * VC_MOMENT_ROW; }

void vc_grid_begin(vc_grid_work *w, uint64_t *scratch) {
  w->state = scratch;
  w->sums = (vc_pair *)(void *)(scratch + state_words());
  w->rows = (int32_t *)(void *)(w->sums + VC_SUMS);
  w->weights = scratch + state_words() + 2 * VC_SUMS + VC_ROWS * ROW_WORDS;
  memset(w->state, 0, state_words() * sizeof *w->state);
  for (size_t i = 0; i < VC_MOMENT_ROW; i++) ones_of(w)[i] = 1;
}

static int16_t put(vc_grid_work *w, vc_moment m) {
  w->moment[w->count] = m;
  return (int16_t)w->count++;
}

/* Corners' sums; and the differences that make the other rows. How many those are. */
static size_t list_rows(vc_grid_work *w) {
  const vc_shape *s = &w->shape;
  vc_difference *d = w->difference;
  for (size_t j = 0; j < 2; j++)
    for (size_t part = 0; part < w->parts; part++) {
      uint8_t *zero = w->zero[j][part];
      for (size_t c = 0; c < s->corners; c++)
        w->linear[j][part][c] =
            zero[s->corner[c]] ? VC_NO_SUM : put(w, (vc_moment){.a = vc_corner_row(w, j, part, c)});
      for (size_t i = 0; i < s->points - s->corners; i++) {
        zero[s->step[i].to] = zero[s->step[i].high] && zero[s->step[i].low]; /* other rows may be made of it all the same */
        *d++ = (vc_difference){vc_row(w, j, part, s->step[i].to), vc_row(w, j, part, s->step[i].high),
                               vc_row(w, j, part, s->step[i].low)};
      }
    }
  return (size_t)(d - w->difference);
}

/* Products of parts p and q, both ways where they differ, at a point. */
static int16_t put_product(vc_grid_work *w, size_t p, size_t q, size_t x) {
  vc_moment m = {.small = x < w->small, .bias = x < w->small ? small_bias : large_bias};
  const int there = !w->zero[0][p][x] && !w->zero[1][q][x], back = p != q && !w->zero[0][q][x] && !w->zero[1][p][x];
  if (there) m.a = vc_row(w, 0, p, x), m.b = vc_row(w, 1, q, x);
  if (back && there) m.c = vc_row(w, 0, q, x), m.d = vc_row(w, 1, p, x);
  if (back && !there) m.a = vc_row(w, 0, q, x), m.b = vc_row(w, 1, p, x);
  return there || back ? put(w, m) : VC_NO_SUM;
}

static size_t list_moments(vc_grid_work *w) {
  size_t pair = 0;
  w->count = 0;
  put(w, (vc_moment){.a = ones_of(w)});
  const size_t differences = list_rows(w);
  for (size_t p = 0; p < w->parts; p++)
    for (size_t q = p; q < w->parts; q++, pair++)
      for (size_t x = 0; x < w->shape.points; x++) w->product[pair][x] = put_product(w, p, q, x);
  return differences;
}

void vc_grid_sums(vc_grid_work *w, const vc_gkr_weights *of, size_t first, size_t stop) {
  const vc_moment_kernels *k = vc_moments();
  const size_t differences = list_moments(w);
  memset(w->sums, 0, w->count * sizeof *w->sums);
  while (first < stop) {
    const size_t o = first / of->chunk, edge = (o + 1) * of->chunk < stop ? (o + 1) * of->chunk : stop;
    size_t taken = 0, n;
    for (; first < edge && taken + VC_MOMENT_ROW <= k->most; first += n, taken += n) {
      n = edge - first < VC_MOMENT_ROW ? edge - first : VC_MOMENT_ROW;
      const size_t padded = (n + 7) / 8 * 8;
      w->fill(w, k, first, n);
      k->blocks(w->weights, of->inner + 2 * (first - o * of->chunk), n);
      k->differences(w->difference, differences, padded);
      k->add(w->state, w->moment, w->count, w->weights, padded);
    }
    k->end(*w->sums, w->state, w->count, of->outer + 2 * o);
  }
}

void vc_grid_linear(vc_pair *grid, const vc_grid_work *w, size_t side, const uint64_t *constants) {
  const vc_shape *s = &w->shape;
  vc_pair extended[VC_POINTS];
  for (size_t part = 0; part < w->parts; part++) {
    for (size_t c = 0; c < s->corners; c++) {
      const int16_t at = w->linear[side][part][c];
      vc_set(extended[s->corner[c]], at == VC_NO_SUM ? vc_zero : w->sums[at]);
    }
    vc_extend(extended, s);
    for (size_t x = 0; x < s->points; x++) vc_accumulate_product(grid[x], extended[x], constants + 2 * part);
  }
}

void vc_grid_product(uint64_t out[2], const vc_grid_work *w, size_t pair, size_t point) {
  const int16_t at = w->product[pair][point];
  vc_set(out, vc_zero);
  for (int c = 0; c < 2 && at != VC_NO_SUM; c++)
    out[c] = vc_gl_sub(w->sums[at][c], vc_gl_mul(w->moment[at].bias, w->sums[0][c]));
}

void vc_runs(vc_run out[2], size_t valid, size_t apart, size_t streams) {
  const size_t whole = valid / apart < streams ? valid / apart : streams, within = whole < streams ? valid % apart : 0;
  out[0] = (vc_run){0, within, whole + 1};
  out[1] = (vc_run){within, apart - within, whole};
}

void vc_gkr_grid_round(uint64_t sums[4], const uint64_t *grid, size_t left, const uint64_t *point) {
  const vc_shape s = vc_shape_of(left - 1);
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
