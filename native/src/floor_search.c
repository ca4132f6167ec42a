/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops of the search for constants of affine floors. The readable twin is
 * vcompute/proof/succinct/lines.py (NumpyLines): the same slopes and intercepts.
 *
 * A line must reach its lower points and stay below its upper ones. What binds it at a slope is the greatest (least) value
 * of a linear function over the points, so that all but their convex hull can be left out: a few points of hundreds. Points
 * on the hull's edges stay, in their order, since of points that bind alike the first one says which way is better.
 */
#include <string.h>

#include "vcompute.h"

enum { MOST_POINTS = 512 };
#define UNBOUNDED ((INT64_C(1) << 62) - 1)

typedef struct {
  int64_t at, height;
  size_t number;
} point;

/* Above the line from a to b (positive), on it, below it. */
static int64_t turn(const point *a, const point *middle, const point *b) {
  return (middle->height - a->height) * (b->at - a->at) - (b->height - a->height) * (middle->at - a->at);
}

/* Rising by `at`, higher ones first; equal points keep their order. Points come nearly sorted. */
static void sort_by_place(point *p, size_t n) {
  for (size_t i = 1; i < n; i++) {
    const point moved = p[i];
    size_t j = i;
    for (; j && (p[j - 1].at > moved.at || (p[j - 1].at == moved.at && p[j - 1].height < moved.height)); j--)
      p[j] = p[j - 1];
    p[j] = moved;
  }
}

static void sort_by_number(point *p, size_t n) {
  for (size_t i = 1; i < n; i++) {
    const point moved = p[i];
    size_t j = i;
    for (; j && p[j - 1].number > moved.number; j--) p[j] = p[j - 1];
    p[j] = moved;
  }
}

/* Leave the upper hull (of points turned over, the lower one), with or without the points on its edges; how many points
 * that are. */
static size_t reduce(int64_t *at, int64_t *twice, size_t n, int upper, int edges) {
  point p[MOST_POINTS];
  size_t left = 0;
  if (n > MOST_POINTS) return n;
  for (size_t i = 0; i < n; i++) p[i].at = at[i], p[i].height = upper ? twice[i] : -twice[i], p[i].number = i;
  sort_by_place(p, n);
  for (size_t i = 0; i < n; i++) {
    if (left && p[left - 1].at == p[i].at) continue;
    while (left > 1 && turn(&p[left - 2], &p[left - 1], &p[i]) < (edges ? 0 : 1)) left--;
    p[left++] = p[i];
  }
  sort_by_number(p, left);
  for (size_t i = 0; i < left; i++) at[i] = p[i].at, twice[i] = upper ? p[i].height : -p[i].height;
  return left;
}

/* One channel's step function; `first` and `last` are its values at both ends of the accumulator's range. */
typedef struct {
  const int64_t *thresholds;
  size_t levels;
  int64_t first_level, low, high, first, last;
} channel;

/* Where points are written, and the channel's start. */
typedef struct {
  int64_t *at, *twice;
  size_t n;
} points;

static void put(points *to, int64_t at, int64_t twice, int64_t low) {
  to->at[to->n] = at - low, to->twice[to->n] = twice, to->n++;
}

static size_t reached(const channel *c, int64_t accumulator) {
  size_t count = 0;
  for (size_t i = 0; i < c->levels; i++) count += c->thresholds[i] <= accumulator;
  return count;
}

/* The points of values from `least` to `greatest` that a line must reach (lower), or stay below. */
static void add_points(points *to, const channel *c, int lower, int64_t least, int64_t greatest) {
  const int64_t bottom = c->first_level - 1, top = bottom + (int64_t)c->levels, first = c->first, next = c->last + 1;
  for (size_t i = 0; i < c->levels; i++) {
    const int64_t t = c->thresholds[i], value = c->first_level + (int64_t)i;
    if (t > c->low && t <= c->high && value >= least && value <= greatest) put(to, lower ? t : t - 1, 2 * value, c->low);
  }
  if (lower && first > bottom && first >= least && first <= greatest) put(to, c->low, 2 * first, c->low);
  if (!lower && next <= top && next >= least && next <= greatest) put(to, c->high, 2 * next, c->low);
}

/* The least accumulator of a value of at least `level`; beyond every accumulator where none or all have it. */
static int64_t threshold_of(const channel *c, int64_t level) {
  const int64_t far = INT64_C(1) << 40;
  if (level < c->first_level) return -far;
  return level - c->first_level < (int64_t)c->levels ? c->thresholds[level - c->first_level] : far;
}

/* Set `number` of a channel: lower and upper points of the one line, or of the line above and the line below. */
static void make_set(points *to, const channel *c, int number, int two_sided) {
  const int64_t all = INT64_C(1) << 40, zero = threshold_of(c, 0), one = threshold_of(c, 1);
  add_points(to, c, number % 2 == 0, two_sided && number < 2 ? 1 : -all, two_sided && number >= 2 ? 0 : all);
  /* The sign: T < 2^(K-1) below the first accumulator of value 0, T - S >= 2^(K-1) from the first of value 1. */
  if (two_sided && number == 1 && zero > c->low) put(to, zero - 1 < c->high ? zero - 1 : c->high, 1, c->low);
  if (two_sided && number == 2 && one <= c->high) put(to, one > c->low ? one : c->low, 1, c->low);
}

void vc_floor_points(uint64_t *ends, int64_t *at, int64_t *twice, const int64_t *thresholds, size_t channels,
                     size_t levels, int64_t first_level, const int64_t *low, const int64_t *high, const uint8_t *keep,
                     int32_t two_sided) {
  const int sets = two_sided ? 4 : 2;
  size_t used = 0;
  for (size_t i = 0; i < channels; i++) {
    channel c = {thresholds + i * levels, levels, first_level, low[i], high[i], 0, 0};
    c.first = first_level - 1 + (int64_t)reached(&c, low[i]);
    c.last = first_level - 1 + (int64_t)reached(&c, high[i]);
    for (int set = 0; set < sets; set++) {
      points to = {at + used, twice + used, 0};
      make_set(&to, &c, set, two_sided);
      used += keep[i] ? to.n : reduce(to.at, to.twice, to.n, set % 2 == 0, 1);
      *ends++ = used;
    }
  }
}

/* The greatest (least) value * 2 half - slope * at of a set, and where it is first; products wrap as the twin's do. */
static int64_t bound(const vc_floor_lines *lines, size_t set, int64_t slope, int64_t half, int64_t *where) {
  const int greatest = set % 2 == 0;
  int64_t best = greatest ? -UNBOUNDED : UNBOUNDED;
  *where = 0;
  for (size_t i = set ? (size_t)lines->ends[set - 1] : 0; i < (size_t)lines->ends[set]; i++) {
    const uint64_t value = (uint64_t)lines->twice[i] * (uint64_t)half - (uint64_t)slope * (uint64_t)lines->at[i];
    const int64_t room = (int64_t)value;
    if (greatest ? room > best : room < best) best = room, *where = lines->at[i];
  }
  return best;
}

/* The sign of the way to more room for a channel's intercepts. */
static int way_to_room(const vc_floor_lines *lines, size_t i, int64_t slope, int64_t half) {
  int64_t least = UNBOUNDED, way = 0;
  const size_t sets = (size_t)lines->sets;
  for (size_t set = i * sets; set < (i + 1) * sets; set += 2) {
    int64_t at_lower, at_upper;
    const int64_t lower = bound(lines, set, slope, half, &at_lower), upper = bound(lines, set + 1, slope, half, &at_upper);
    if (lower == -UNBOUNDED || upper == UNBOUNDED) continue;
    const int64_t room = (int64_t)((uint64_t)upper - (uint64_t)lower - 1);
    if (room < least) least = room, way = at_lower - at_upper;
  }
  return (way > 0) - (way < 0);
}

void vc_floor_slopes(int64_t *slope, const vc_floor_lines *lines, const int64_t *bits, const int64_t *low,
                     const int64_t *high) {
  for (size_t i = 0; i < (size_t)lines->channels; i++) {
    int64_t from = low[i], to = high[i];
    while (from < to) {
      const int64_t middle = (from + to) >> 1;
      if (way_to_room(lines, i, middle, INT64_C(1) << (bits[i] - 1)) > 0)
        from = middle + 1;
      else
        to = middle;
    }
    slope[i] = from;
  }
}

static int64_t less_one(int64_t upper) { return upper == UNBOUNDED ? UNBOUNDED : (int64_t)((uint64_t)upper - 1); }

/* An intercept of at least `lower` and at most `upper`: the least, or one near 0 where there is no least. */
static int64_t choose(int64_t lower, int64_t upper) {
  return lower != -UNBOUNDED ? lower : upper < 0 ? upper : 0;
}

void vc_floor_intercepts(uint8_t *possible, int64_t *intercept, int64_t *step, const vc_floor_lines *lines,
                         const int64_t *slope, const int64_t *half) {
  for (size_t i = 0; i < (size_t)lines->channels; i++) {
    const size_t set = i * (size_t)lines->sets;
    int64_t at;
    const int64_t lower = bound(lines, set, slope[i], half[i], &at);
    const int64_t upper = less_one(bound(lines, set + 1, slope[i], half[i], &at));
    intercept[i] = choose(lower, upper), step[i] = 0, possible[i] = lower <= upper;
    if (lines->sets == 2) continue;
    const int64_t lower2 = bound(lines, set + 2, slope[i], half[i], &at);
    const int64_t upper2 = less_one(bound(lines, set + 3, slope[i], half[i], &at));
    const int64_t floor = lower > lower2 ? lower : lower2, ceiling = upper < upper2 ? upper : upper2;
    if (floor <= ceiling) {
      intercept[i] = choose(floor, ceiling);
    } else {
      intercept[i] = lower;
      step[i] = (int64_t)((uint64_t)lower - (uint64_t)upper2);
    }
    possible[i] = lower <= upper && lower2 <= upper2 && step[i] >= 0 && step[i] <= half[i];
  }
}

/* ---- divisors ---- */

/* Fractions of denominators that are not negative; 1/0 is more than all. Heights have 10 bits, accumulators 33. */
typedef struct {
  int64_t rise, run;
} fraction;

static int less(fraction x, fraction y) { return x.rise * y.run < y.rise * x.run; }

static size_t start_of(const vc_floor_lines *lines, size_t set) { return set ? (size_t)lines->ends[set - 1] : 0; }

/* Narrow an interval of slopes to those of lines that reach the points of set `lower` and stay below those of set `upper`,
 * `more` half values higher. */
static void narrow(const vc_floor_lines *lines, size_t lower, size_t upper, int64_t more, fraction *least,
                   fraction *greatest) {
  for (size_t i = start_of(lines, lower); i < (size_t)lines->ends[lower]; i++)
    for (size_t j = start_of(lines, upper); j < (size_t)lines->ends[upper]; j++) {
      const int64_t run = lines->at[j] - lines->at[i], rise = lines->twice[j] + more - lines->twice[i];
      const fraction slope = {run < 0 ? -rise : rise, run < 0 ? -run : run};
      if (run > 0 && less(slope, *greatest)) *greatest = slope;
      if (run < 0 && less(*least, slope)) *least = slope;
    }
}

void vc_floor_slope_ranges(int64_t *ranges, const vc_floor_lines *lines) {
  for (size_t i = 0; i < (size_t)lines->channels; i++) {
    const size_t sets = (size_t)lines->sets, first = i * sets;
    fraction least = {0, 1}, greatest = {1, 0};
    for (size_t set = first; set < first + sets; set += 2) narrow(lines, set, set + 1, 0, &least, &greatest);
    if (sets == 4) { /* the two lines are S apart, and S is from 0 to half a value */
      narrow(lines, first + 2, first + 1, 0, &least, &greatest);
      narrow(lines, first, first + 3, 1, &least, &greatest);
    }
    ranges[4 * i] = least.rise, ranges[4 * i + 1] = least.run;
    ranges[4 * i + 2] = greatest.rise, ranges[4 * i + 3] = greatest.run;
  }
}

/* By continued fractions: where no whole number lies between, all between are whole + 1 / y, and the simplest y gives the
 * simplest. */
void vc_simplest_fractions(int64_t *numerators, int64_t *denominators, const int64_t *ranges, size_t count) {
  for (size_t i = 0; i < count; i++) {
    int64_t a = ranges[4 * i], b = ranges[4 * i + 1], c = ranges[4 * i + 2], d = ranges[4 * i + 3];
    int64_t p = 1, before_p = 0, q = 0, before_q = 1;
    for (;;) {
      const int64_t whole = a / b, up = whole * d + d < c, term = whole + up;
      const int64_t next_p = term * p + before_p, next_q = term * q + before_q;
      before_p = p, before_q = q, p = next_p, q = next_q;
      if (up) break;
      const int64_t below = a - whole * b, above = c - whole * d;
      a = d, c = b, b = above, d = below;
    }
    numerators[i] = p, denominators[i] = q;
  }
}

void vc_pair_corners(uint64_t *ends, int64_t *a, int64_t *b, const int64_t *table, size_t rows, size_t columns,
                     int64_t first, size_t values, int32_t greatest, int32_t *scratch) {
  size_t used = 0;
  for (size_t i = 0; i < values * rows; i++) scratch[i] = -1;
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++) {
      int32_t *known = scratch + (size_t)(table[i * columns + j] - first) * rows + i;
      if (*known < 0 || greatest) *known = (int32_t)j;
    }
  for (size_t value = 0; value < values; value++) {
    size_t n = 0;
    for (size_t i = 0; i < rows; i++)
      if (scratch[value * rows + i] >= 0) a[used + n] = (int64_t)i, b[used + n] = scratch[value * rows + i], n++;
    used += reduce(a + used, b + used, n, greatest, 0);
    *ends++ = used;
  }
}
