/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of field.h over the vectors of one instruction set. Include a vector header and one of products, and define
 * VC_FIELD_NAME first.
 */
#include "field.h"

#include "evec.h"

#include <string.h>

#define L VEC_LANES

/* Words from p: all lanes, or the first n where fewer are left (a constant n folds the branch away). */
static inline vec load_some(const uint64_t *p, size_t n) { return n >= L ? v_load(p) : v_load_n(p, n); }
static inline void store_some(uint64_t *p, vec a, size_t n) {
  if (n >= L)
    v_store(p, a);
  else
    v_store_n(p, a, n);
}

/* The second vector of n > 0 pairs from p, at most L. */
static inline vec load_second(const uint64_t *p, size_t n) {
  return n >= L ? v_load(p + L) : 2 * n > L ? v_load_n(p + L, 2 * n - L) : v_set1(0);
}
static inline void store_both(uint64_t *p, vec x, vec y, size_t n) {
  store_some(p, x, 2 * n);
  if (2 * n > L) store_some(p + L, y, 2 * n - L);
}

/* n > 0 pairs from p, at most L, beside words from somewhere else. */
static inline evec load_ordered(const uint64_t *p, size_t n) {
  evec a;
  v_split(&a.c0, &a.c1, load_some(p, 2 * n), load_second(p, n));
  return a;
}
static inline void store_ordered(uint64_t *p, evec a, size_t n) {
  vec x, y;
  v_join(&x, &y, a.c0, a.c1);
  store_both(p, x, y, n);
}

/* The same beside pairs only, in lanes of any order. */
static inline evec load_pairs(const uint64_t *p, size_t n) {
  evec a;
  v_apart(&a.c0, &a.c1, load_some(p, 2 * n), load_second(p, n));
  return a;
}
static inline void store_pairs(uint64_t *p, evec a, size_t n) {
  vec x, y;
  v_together(&x, &y, a.c0, a.c1);
  store_both(p, x, y, n);
}

/* Run BODY with i = 0, L, 2L, ... and k = L, and once more with what is left. */
#define EACH(n, ...)                            \
  do {                                          \
    size_t i = 0;                               \
    for (; i + L <= (n); i += L) {              \
      const size_t k = L;                       \
      __VA_ARGS__                               \
    }                                           \
    if (L > 1 && i < (n)) {                     \
      const size_t k = (n) - i;                 \
      __VA_ARGS__                               \
    }                                           \
  } while (0)

/* out (pairs) = what BEGIN leaves to be reduced of k pairs from i on. A vector is reduced while the products of the next one are
 * taken: one after the other they wait for themselves. */
#define EACH_OVERLAPPED(out, n, BEGIN)                                      \
  do {                                                                      \
    size_t i = 0, k = L;                                                    \
    if ((n) >= L) {                                                         \
      epending last = BEGIN;                                                \
      for (i = L; i + L <= (n); i += L) {                                   \
        const epending next = BEGIN;                                        \
        store_pairs((out) + 2 * (i - L), e_finish(last), L);                \
        last = next;                                                        \
      }                                                                     \
      store_pairs((out) + 2 * (i - L), e_finish(last), L);                  \
    }                                                                       \
    if (L > 1 && i < (n)) {                                                 \
      k = (n) - i;                                                          \
      store_pairs((out) + 2 * i, e_finish(BEGIN), k);                       \
    }                                                                       \
  } while (0)

static void add(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) {
  EACH(n, store_some(out + i, v_add(load_some(a + i, k), load_some(b + i, k)), k););
}
static void sub(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) {
  EACH(n, store_some(out + i, v_sub(load_some(a + i, k), load_some(b + i, k)), k););
}
static void mul(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) {
  EACH(n, store_some(out + i, v_mul(load_some(a + i, k), load_some(b + i, k)), k););
}
static void scale(uint64_t *out, const uint64_t *in, size_t n, uint64_t z) {
  const vec factor = v_set1(z);
  EACH(n, store_some(out + i, v_mul(load_some(in + i, k), factor), k););
}

static void ext_mul(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) {
  EACH_OVERLAPPED(out, n, e_mul_later(load_pairs(a + 2 * i, k), load_pairs(b + 2 * i, k)));
}
static void ext_mul_base(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) {
  EACH(n, store_ordered(out + 2 * i, e_mul_base(load_ordered(a + 2 * i, k), load_some(b + i, k)), k););
}
static void ext_scale(uint64_t *out, const uint64_t *a, const uint64_t r[2], size_t n) {
  const econst at = e_const(r);
  EACH_OVERLAPPED(out, n, e_scale_later(load_pairs(a + 2 * i, k), &at));
}

static void base_scale(uint64_t *out, const uint64_t *a, const uint64_t r[2], size_t n) {
  const evec scale = e_set1(r);
  EACH(n, store_ordered(out + 2 * i, e_mul_base(scale, load_some(a + i, k)), k););
}

static void ext_scale_add(uint64_t *out, const uint64_t *a, const uint64_t r[2], size_t n) {
  const econst at = e_const(r);
  EACH_OVERLAPPED(out, n, e_add_scaled_later(load_pairs(out + 2 * i, k), load_pairs(a + 2 * i, k), &at));
}

/* sums[0 .. count) = what BODY finds in sums of parts of n terms, from `first` on `some` of them, in `part`: so many that its sums
 * of products hold them. */
#define IN_PARTS(sums, count, n, ...)                                                    \
  do {                                                                                   \
    const size_t most = (size_t)ESUM_TERMS * L;                                          \
    for (int j = 0; j < (count); j++) (sums)[j] = 0;                                     \
    for (size_t first = 0; first < (n); first += most) {                                 \
      const size_t some = (n) - first < most ? (n) - first : most;                       \
      uint64_t part[4];                                                                  \
      __VA_ARGS__                                                                        \
      for (int j = 0; j < (count); j++) (sums)[j] = vc_gl_add((sums)[j], part[j]);       \
    }                                                                                    \
  } while (0)

static void dot_base(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) {
  IN_PARTS(out, 2, n, {
    psum c0 = p_zero(), c1 = p_zero();
    const uint64_t *x = a + 2 * first, *y = b + first;
    EACH(some, {
      const evec e = load_ordered(x + 2 * i, k);
      const factor f = p_factor(load_some(y + i, k));
      p_mac(&c0, p_factor(e.c0), f);
      p_mac(&c1, p_factor(e.c1), f);
    });
    part[0] = p_total(c0), part[1] = p_total(c1);
  });
}
static void dot_ext(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) {
  IN_PARTS(out, 2, n, {
    esum sum = e_zero();
    const uint64_t *x = a + 2 * first, *y = b + 2 * first;
    EACH(some, e_mac(&sum, load_pairs(x + 2 * i, k), load_pairs(y + 2 * i, k)););
    e_total(part, &sum);
  });
}

static void fold_base(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t r[2], size_t n) {
  const evec scale = e_set1(r);
  EACH(n, {
    vec a = load_some(low + i, k);
    evec step = e_mul_base(scale, v_sub(load_some(high + i, k), a));
    step.c0 = v_add(step.c0, a);
    store_ordered(out + 2 * i, step, k);
  });
}
static inline epending fold_later(const uint64_t *low, const uint64_t *high, const econst *r, size_t n) {
  const evec a = load_pairs(low, n);
  return e_add_scaled_later(a, e_sub(load_pairs(high, n), a), r);
}
static void fold_ext(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t r[2], size_t n) {
  const econst at = e_const(r);
  EACH_OVERLAPPED(out, n, fold_later(low + 2 * i, high + 2 * i, &at, k));
}

static void round_base(uint64_t sums[4], const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                       size_t n) {
  IN_PARTS(sums, 4, n, {
    psum s[4] = {p_zero(), p_zero(), p_zero(), p_zero()};
    EACH(some, {
      const size_t at = first + i;
      const vec f = load_some(f0 + at, k);
      const factor x = p_factor(f), dx = p_factor(v_sub(load_some(f1 + at, k), f));
      const evec w = load_ordered(w0 + 2 * at, k), dw = e_sub(load_ordered(w1 + 2 * at, k), w);
      p_mac(&s[0], p_factor(w.c0), x);
      p_mac(&s[1], p_factor(w.c1), x);
      p_mac(&s[2], p_factor(dw.c0), dx);
      p_mac(&s[3], p_factor(dw.c1), dx);
    });
    for (int j = 0; j < 4; j++) part[j] = p_total(s[j]);
  });
}
static void round_ext(uint64_t sums[4], const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                      size_t n) {
  IN_PARTS(sums, 4, n, {
    esum low = e_zero(), step = e_zero();
    EACH(some, {
      const size_t at = 2 * (first + i);
      const evec f = load_pairs(f0 + at, k), w = load_pairs(w0 + at, k);
      e_mac(&low, w, f);
      e_mac(&step, e_sub(load_pairs(w1 + at, k), w), e_sub(load_pairs(f1 + at, k), f));
    });
    e_total(part, &low);
    e_total(part + 2, &step);
  });
}

static void fractions(uint64_t *n, uint64_t *d, const uint64_t *n0, const uint64_t *d0, const uint64_t *n1,
                      const uint64_t *d1, size_t count) {
  EACH(count, {
    evec a = load_pairs(n0 + 2 * i, k), b = load_pairs(d0 + 2 * i, k);
    evec c = load_pairs(n1 + 2 * i, k), e = load_pairs(d1 + 2 * i, k);
    store_pairs(n + 2 * i, e_mul2(a, e, c, b), k);
    store_pairs(d + 2 * i, e_mul(b, e), k);
  });
}

static void fraction_round(uint64_t sums[4], const uint64_t *const low[4], const uint64_t *const high[4],
                           const uint64_t *weights, size_t n) {
  IN_PARTS(sums, 4, n, {
    esum at_zero = e_zero(), step = e_zero();
    EACH(some, {
      const size_t at = 2 * (first + i);
      const evec w = load_pairs(weights + at, k);
      evec x[4], y[4];
      for (int j = 0; j < 4; j++) {
        x[j] = load_pairs(low[j] + at, k);
        y[j] = e_sub(load_pairs(high[j] + at, k), x[j]);
      }
      const epending of_x = e_mul2_later(x[0], x[1], x[2], x[3]), of_y = e_mul2_later(y[0], y[1], y[2], y[3]);
      e_mac_pending(&at_zero, w, of_x);
      e_mac_pending(&step, w, of_y);
    });
    e_total(part, &at_zero);
    e_total(part + 2, &step);
  });
}

static inline epending unit_fraction(uint64_t *n, const uint64_t *d0, const uint64_t *d1, size_t k) {
  const evec a = load_pairs(d0, k), b = load_pairs(d1, k);
  store_pairs(n, e_add(a, b), k);
  return e_mul_later(a, b);
}
static void unit_fractions(uint64_t *n, uint64_t *d, const uint64_t *d0, const uint64_t *d1, size_t count) {
  EACH_OVERLAPPED(d, count, unit_fraction(n + 2 * i, d0 + 2 * i, d1 + 2 * i, k));
}

static void product_round(uint64_t sums[4], const uint64_t *const low[2], const uint64_t *const high[2],
                          const uint64_t *weights, size_t n) {
  IN_PARTS(sums, 4, n, {
    esum at_zero = e_zero(), step = e_zero();
    EACH(some, {
      const size_t at = 2 * (first + i);
      const evec w = load_pairs(weights + at, k), a = load_pairs(low[0] + at, k), b = load_pairs(low[1] + at, k);
      const evec da = e_sub(load_pairs(high[0] + at, k), a), db = e_sub(load_pairs(high[1] + at, k), b);
      const epending of_a = e_mul_later(a, b), of_d = e_mul_later(da, db);
      e_mac_pending(&at_zero, w, of_a);
      e_mac_pending(&step, w, of_d);
    });
    e_total(part, &at_zero);
    e_total(part + 2, &step);
  });
}

static inline vec some_u32(const uint32_t *p, size_t n) {
  uint32_t part[L] = {0};
  if (n >= L) return v_widen32(p);
  memcpy(part, p, n * sizeof *p);
  return v_widen32(part);
}
static inline vec some_u8(const uint8_t *p, size_t n) {
  uint8_t part[L] = {0};
  if (n >= L) return v_widen8(p);
  memcpy(part, p, n);
  return v_widen8(part);
}

static void key_fractions(uint64_t *n, uint64_t *d, const uint32_t *key0, const uint32_t *key1, const uint64_t constants[10],
                          size_t count) {
  factor c[6];
  for (int j = 0; j < 4; j++) c[j] = p_factor(v_set1(constants[2 + j]));
  for (int j = 0; j < 2; j++) c[4 + j] = p_factor(v_set1(constants[8 + j]));
  EACH(count, {
    const vec a = some_u32(key0 + i, k), b = some_u32(key1 + i, k), sum = v_plus(a, b), product = v_mul32(a, b);
    vec of_d[2], of_n[2];
    for (int j = 0; j < 2; j++) {
      psum x = p_start(v_set1(constants[j])), y = p_start(v_set1(constants[6 + j]));
      p_mac40(&x, c[j], sum);
      p_mac52(&x, c[2 + j], product);
      p_mac40(&y, c[4 + j], sum);
      of_d[j] = p_reduce(x), of_n[j] = p_reduce(y);
    }
    const evec x = {of_d[0], of_d[1]}, y = {of_n[0], of_n[1]};
    store_ordered(d + 2 * i, x, k);
    store_ordered(n + 2 * i, y, k);
  });
}

/* Halves of the two words of a constant. */
typedef struct {
  vec low0, high0, low1, high1;
} halves;

static inline halves split_halves(const uint64_t c[2]) {
  const halves h = {v_set1(c[0] & VC_EPSILON), v_set1(c[0] >> 32), v_set1(c[1] & VC_EPSILON), v_set1(c[1] >> 32)};
  return h;
}
static inline void add_multiple(halves *sum, const halves *c, vec x) {
  sum->low0 = v_plus(sum->low0, v_mul32(c->low0, x)), sum->high0 = v_plus(sum->high0, v_mul32(c->high0, x));
  sum->low1 = v_plus(sum->low1, v_mul32(c->low1, x)), sum->high1 = v_plus(sum->high1, v_mul32(c->high1, x));
}

/* Inlined with constants, so that what a leaf does not have costs nothing. */
static inline void affine_of(uint64_t *out, const vc_stream *streams, size_t count, size_t n, const uint64_t *constants,
                             int value, int sign) {
  halves c[3 * VC_MOST_STREAMS];
  for (size_t j = 0; j < 3 * count; j++) c[j] = split_halves(constants + 2 + 2 * j);
  const halves start = split_halves(constants);
  EACH(n, {
    halves sum = start;
    for (size_t s = 0; s < count; s++) {
      add_multiple(&sum, &c[3 * s], some_u32(streams[s].key + i, k));
      if (value) add_multiple(&sum, &c[3 * s + 1], some_u8(streams[s].value + i, k));
      if (sign) add_multiple(&sum, &c[3 * s + 2], some_u8(streams[s].sign + i, k));
    }
    const evec total = {v_halves(sum.low0, sum.high0), v_halves(sum.low1, sum.high1)};
    store_ordered(out + 2 * i, total, k);
  });
}

static void affine(uint64_t *out, const vc_stream *streams, size_t count, size_t n, const uint64_t *constants) {
  const int value = streams[0].value != NULL, sign = streams[0].sign != NULL;
  if (!value && !sign && count == 1)
    affine_of(out, streams, 1, n, constants, 0, 0);
  else if (!value && !sign)
    affine_of(out, streams, count, n, constants, 0, 0);
  else if (!sign)
    affine_of(out, streams, count, n, constants, 1, 0);
  else
    affine_of(out, streams, count, n, constants, value, 1);
}

static void expand(uint64_t *table, const uint64_t r[2], size_t n) {
  const econst at = e_const(r);
  EACH(n, {
    evec a = load_pairs(table + 2 * i, k), high = e_scale(a, &at);
    store_pairs(table + 2 * (n + i), high, k);
    store_pairs(table + 2 * i, e_sub(a, high), k);
  });
}

#include "butterflies.h"

static void butterfly2_transposed(uint64_t *data, size_t n, uint64_t z) {
  const vec factor = v_set1(z);
  EACH(n, {
    vec a = load_some(data + i, k), b = load_some(data + n + i, k);
    store_some(data + i, v_add(a, b), k);
    store_some(data + n + i, v_mul(v_sub(a, b), factor), k);
  });
}

/* Horner's rule, a vector of points at a time. */
static void evaluate(uint64_t *out, const uint64_t *coefficients, size_t n, const uint64_t *x, size_t t) {
  EACH(t, {
    const vec point = load_some(x + i, k);
    evec sum = {v_set1(0), v_set1(0)};
    for (size_t b = n; b-- > 0;) sum = e_add(e_mul_base(sum, point), e_set1(coefficients + 2 * b));
    store_ordered(out + 2 * i, sum, k);
  });
}

const vc_field_kernels VC_FIELD_NAME = {
    .add = add,
    .sub = sub,
    .mul = mul,
    .ext_mul = ext_mul,
    .ext_mul_base = ext_mul_base,
    .ext_scale = ext_scale,
    .base_scale = base_scale,
    .ext_scale_add = ext_scale_add,
    .dot_base = dot_base,
    .dot_ext = dot_ext,
    .fold_base = fold_base,
    .fold_ext = fold_ext,
    .round_base = round_base,
    .round_ext = round_ext,
    .fractions = fractions,
    .fraction_round = fraction_round,
    .unit_fractions = unit_fractions,
    .key_fractions = key_fractions,
    .product_round = product_round,
    .affine = affine,
    .expand = expand,
    .first_layer = first_layer,
    .butterflies = butterflies,
    .turns = turns,
    .twisted = twisted,
    .butterfly2_transposed = butterfly2_transposed,
    .evaluate = evaluate,
    .scale = scale,
};
