/* SPDX-License-Identifier: Apache-2.0 */
/* Grids: sums over x of weight * P(X; x), P a product of two combinations of integers, at X in {0, 1, infinity}^k (at infinity stands
 * the leading coefficient), which fixes a polynomial of degree 2 in each of k variables. No challenge is in a grid, so one pass over
 * the integers serves the messages of k rounds.
 *
 * Positions of a grid are numbers of k digits to the base 3, the variable bound first in front; the digit 2 is infinity. The positions
 * in {0, 1}^k are its *corners*.
 */
#ifndef VC_GKR_GRID_H
#define VC_GKR_GRID_H

#include "gkr.h"
#include "moments.h"

enum { VC_PARTS = 4, VC_POINTS = 27, VC_CORNERS = 8, VC_STEPS = VC_POINTS - VC_CORNERS };
enum { VC_PAIRS = VC_PARTS * (VC_PARTS + 1) / 2, VC_NO_SUM = -1 };
enum { VC_SUMS = 1 + 2 * VC_PARTS * VC_CORNERS + VC_PAIRS * VC_POINTS };
enum { VC_ROWS = 2 * VC_PARTS * VC_POINTS + 1 };

typedef uint64_t vc_pair[2];

/* The points of a grid of k variables. */
typedef struct {
  size_t k, points, corners;
  size_t corner[VC_CORNERS]; /* its position, by the bits of its number, the first variable in front */
  struct {
    size_t to, high, low;
  } step[VC_STEPS]; /* every other point is a difference of two before it */
} vc_shape;

vc_shape vc_shape_of(size_t k);

/* Every point of a grid from its corners. */
void vc_extend(vc_pair *grid, const vc_shape *s);

/* What is at hand for one box: two sides of some parts each, rows of integers; and the sums that are made of them. */
typedef struct vc_grid_work vc_grid_work;
struct vc_grid_work {
  vc_shape shape;
  const vc_gkr_leaf *leaf;
  size_t parts;
  size_t apart; /* from stream to stream: how many positions x there are */
  size_t small; /* points from the first on whose products have the small bias */
  size_t inside; /* streams from the first on that are leaves */
  /* Fill the corners of every part with n positions from x on, zeros to the next multiple of eight. */
  void (*fill)(const vc_grid_work *w, const vc_moment_kernels *k, size_t x, size_t n);
  uint8_t zero[2][VC_PARTS][VC_POINTS]; /* rows that are known to be zeros: of corners, set before the sums are made */
  size_t count;
  int16_t linear[2][VC_PARTS][VC_CORNERS], product[VC_PAIRS][VC_POINTS]; /* which sum it is, or VC_NO_SUM */
  int32_t *rows;
  vc_moment moment[VC_SUMS];
  vc_difference difference[2 * VC_PARTS * VC_STEPS];
  vc_pair *sums;
  uint64_t *state, *weights;
};

static inline int32_t *vc_row(const vc_grid_work *w, size_t side, size_t part, size_t point) {
  return w->rows + ((side * VC_PARTS + part) * VC_POINTS + point) * VC_MOMENT_ROW;
}
static inline int32_t *vc_corner_row(const vc_grid_work *w, size_t side, size_t part, size_t corner) {
  return vc_row(w, side, part, w->shape.corner[corner]);
}

/* Work in vc_gkr_moments_scratch() words. */
void vc_grid_begin(vc_grid_work *w, uint64_t *scratch);

/* The sums over x in first .. stop: of 1; of the corners of every part; of every two parts p <= q, with p < q both ways, at every point.
 * What is zero has no sum. */
void vc_grid_sums(vc_grid_work *w, const vc_gkr_weights *of, size_t first, size_t stop);

/* The side's combination of parts by constants (pairs), summed, over the grid: grid += constants[part] * (sums of its corners). */
void vc_grid_linear(vc_pair *grid, const vc_grid_work *w, size_t side, const uint64_t *constants);

/* The sum of products of two parts, by its number among pairs, at a point: the bias taken off. */
void vc_grid_product(uint64_t out[2], const vc_grid_work *w, size_t pair, size_t point);

/* grid += scale times a node box's own, or a part of it (see gkr_nodes.c). */
void vc_gkr_node_grid(uint64_t *grid, vc_grid_work *w, const vc_gkr_weights *of, const uint64_t *constants,
                      const uint64_t *lambda, const uint64_t scale[2], size_t part, size_t parts);

/* Each range of positions x of which the same streams are leaves, the first `streams` of which are: all but one stream end together. */
typedef struct {
  size_t first, count, inside;
} vc_run;
void vc_runs(vc_run out[2], size_t valid, size_t apart, size_t streams);

#endif
