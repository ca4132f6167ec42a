/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of sums.h over the vectors of one instruction set. Include a vector header and one of products, and define
 * VC_SUMS_NAME first.
 */
#include "sums.h"

#include "evec.h"
#include "psum_state.h"

#include <string.h>

#define L VEC_LANES

/* Words that are wanted soon come into the caches meanwhile. */
#if defined(__GNUC__) || defined(__clang__)
#define SOON(x) __builtin_prefetch(x)
#else
#define SOON(x) ((void)(x))
#endif
enum { BLOCK = 8, PAIR = 3 * PSUM_VECS + 3 }; /* vectors of a slot: low, high and cross, then their totals */

/* Run BODY for each vector of n elements in blocks: `i` its first element, `at` that element's first word in blocks. */
#define EACH_VECTOR(n, ...)                             \
  for (size_t block = 0; block < (n); block += BLOCK)   \
    for (size_t part = 0; part < BLOCK; part += L) {    \
      const size_t i = block + part, at = block + i;    \
      (void)i, (void)at;                                \
      __VA_ARGS__                                       \
    }

/* The first word of a state counts products since its sums were last reduced; the sums follow. */
static uint64_t *sums_of(uint64_t *state) { return state + BLOCK; }

static void settle(uint64_t *state) {
  uint64_t *at = sums_of(state);
  for (size_t slot = 0; slot < VC_MOST_SUMS; slot++, at += PAIR * L)
    for (int k = 0; k < 3; k++) {
      uint64_t *total = at + (3 * PSUM_VECS + k) * L, *sum = at + k * PSUM_VECS * L;
      v_store(total, v_add(v_load(total), p_reduce_stored(load_sum(sum))));
      memset(sum, 0, PSUM_VECS * L * sizeof *sum);
    }
  state[0] = 0;
}

/* Make room for n elements; how many of them fit. */
static size_t room(uint64_t *state, size_t n) {
  const size_t most = PSUM_TERMS;
  if (state[0] >= most) settle(state);
  const size_t left = (most - (size_t)state[0]) / (BLOCK / L) * BLOCK, some = n < left ? n : left;
  state[0] += some / L;
  return some;
}

static inline vec any_sum(vec a, vec b) { return v_carried(v_plus(a, b), a); } /* modulo p, not canonical */

/* Of products of extension elements, Karatsuba's: of first words, of the sums of both words, of second words. */
typedef struct {
  psum low, cross, high;
} product_sum;

static inline product_sum load_slot(const uint64_t *from) {
  const product_sum s = {load_sum(from), load_sum(from + PSUM_VECS * L), load_sum(from + 2 * PSUM_VECS * L)};
  return s;
}
static inline void store_slot(uint64_t *to, const product_sum *s) {
  store_sum(to, &s->low), store_sum(to + PSUM_VECS * L, &s->cross), store_sum(to + 2 * PSUM_VECS * L, &s->high);
}
static inline void slot_mac(product_sum *s, vec a0, vec a1, vec b0, vec b1) {
  p_mac(&s->low, p_factor(a0), p_factor(b0));
  p_mac(&s->high, p_factor(a1), p_factor(b1));
  p_mac(&s->cross, p_factor(any_sum(a0, a1)), p_factor(any_sum(b0, b1)));
}

static void products(uint64_t *state, size_t first, const uint64_t *const *f, const uint64_t *const *w, size_t count, size_t n) {
  for (size_t start = 0, some; start < n; start += some) {
    some = room(state, n - start);
    uint64_t *to = sums_of(state) + first * PAIR * L;
    for (size_t p = 0; p < count; p++, to += PAIR * L) {
      product_sum sum = load_slot(to);
      const uint64_t *x = f[p] + 2 * start, *y = w[p] + 2 * start;
      EACH_VECTOR(some, { slot_mac(&sum, v_load(x + at), v_load(x + at + BLOCK), v_load(y + at), v_load(y + at + BLOCK)); })
      store_slot(to, &sum);
    }
  }
}

/* What a message multiplies, of groups of lanes as values at XY = 00, 01, 10, 11: values, and leading coefficients. */
enum { AT_00, AT_01, AT_10, X_AT_0, X_AT_1, Y_AT_0, Y_AT_1, X_Y };
static inline vec point(const uint64_t *const *x, size_t at, int which) {
  switch (which) {
    case X_AT_0: return v_sub(v_load(x[2] + at), v_load(x[0] + at));
    case X_AT_1: return v_sub(v_load(x[3] + at), v_load(x[1] + at));
    case Y_AT_0: return v_sub(v_load(x[1] + at), v_load(x[0] + at));
    case Y_AT_1: return v_sub(v_load(x[3] + at), v_load(x[2] + at));
    case X_Y: return v_sub(point(x, at, Y_AT_1), point(x, at, Y_AT_0));
    default: return v_load(x[which] + at);
  }
}
static inline void point_mac(product_sum *s, const uint64_t *const *f, const uint64_t *const *w, size_t at, int which) {
  slot_mac(s, point(f, at, which), point(f, at + BLOCK, which), point(w, at, which), point(w, at + BLOCK, which));
}

/* Two slots at a time, which share what they load; there are registers for no more. */
static inline void two_points(uint64_t *state, const size_t slots[2], const uint64_t *const *f, const uint64_t *const *w,
                              size_t start, size_t n, int one, int two) {
  uint64_t *first = sums_of(state) + slots[0] * PAIR * L, *second = sums_of(state) + slots[1] * PAIR * L;
  product_sum a = load_slot(first), b = load_slot(second);
  EACH_VECTOR(n, {
    point_mac(&a, f, w, 2 * start + at, one);
    point_mac(&b, f, w, 2 * start + at, two);
  })
  store_slot(first, &a);
  store_slot(second, &b);
}
#define TWO_POINTS(one, two) two_points(state, (const size_t[2]){one, two}, f, w, start, some, one, two)

static void messages(uint64_t *state, const uint64_t *const *f, const uint64_t *const *w, size_t groups, size_t n) {
  for (size_t start = 0, some; start < n; start += some) {
    some = room(state, n - start);
    if (groups == 2) {
      two_points(state, (const size_t[2]){0, 1}, f, w, start, some, AT_00, Y_AT_0);
      continue;
    }
    TWO_POINTS(AT_00, X_AT_0);
    TWO_POINTS(AT_01, X_AT_1);
    TWO_POINTS(AT_10, Y_AT_1);
    TWO_POINTS(Y_AT_0, X_Y);
  }
}

static uint64_t across(const uint64_t *vector) {
  uint64_t sum = 0;
  for (size_t k = 0; k < L; k++) sum = vc_gl_add(sum, vector[k]);
  return sum;
}

static void products_end(uint64_t *sums, uint64_t *state, size_t count) {
  settle(state);
  const uint64_t *at = sums_of(state) + 3 * PSUM_VECS * L;
  for (size_t slot = 0; slot < count; slot++, at += PAIR * L, sums += 2) {
    const uint64_t low = across(at), high = across(at + 2 * L);
    sums[0] = vc_gl_add(low, vc_gl_mul7(high));
    sums[1] = vc_gl_sub(across(at + L), vc_gl_add(low, high));
  }
}

enum { TERMS = 8 }; /* of a sum that is reduced once */

static inline void base_terms(uint64_t *out, const uint64_t *const *x, const econst *w, size_t count, size_t n, int more) {
  EACH_VECTOR(n, {
    psum c0 = p_zero(), c1 = p_zero();
    for (size_t t = 0; t < count; t++) {
      const factor a = p_factor(v_load(x[t] + i));
      p_mac(&c0, a, w[t].c0);
      p_mac(&c1, a, w[t].c1);
    }
    const vec r0 = p_reduce(c0), r1 = p_reduce(c1);
    v_store(out + at, more ? v_add(r0, v_load(out + at)) : r0);
    v_store(out + at + BLOCK, more ? v_add(r1, v_load(out + at + BLOCK)) : r1);
  })
}

/* A few terms at a time, their number a constant so that the loop over them leaves no trace. */
#define COMBINE(terms)                                                                                       \
  econst w[TERMS];                                                                                          \
  for (size_t done = 0; done < count;) {                                                                     \
    const size_t some = count - done < TERMS ? count - done : TERMS;                                         \
    for (size_t t = 0; t < some; t++) w[t] = e_const(weights + 2 * (done + t));                          \
    switch (some) {                                                                                          \
      case 1: terms(out, x + done, w, 1, n, done > 0); break;                                                \
      case 2: terms(out, x + done, w, 2, n, done > 0); break;                                                \
      case 3: terms(out, x + done, w, 3, n, done > 0); break;                                                \
      case 4: terms(out, x + done, w, 4, n, done > 0); break;                                                \
      default: terms(out, x + done, w, some, n, done > 0);                                                   \
    }                                                                                                        \
    done += some;                                                                                            \
  }

static void combine_base(uint64_t *out, const uint64_t *const *x, const uint64_t *weights, size_t count, size_t n) {
  COMBINE(base_terms)
}

/* By Karatsuba's products, for which x has the sums of both words already. */
typedef struct {
  psum low, high, cross;
} triple;

static inline triple triple_zero(void) {
  const triple sum = {p_zero(), p_zero(), p_negative()};
  return sum;
}
static inline void triple_mac(triple *sum, const uint64_t *x, factor w0, factor w1, factor w2) {
  p_mac(&sum->low, p_factor(v_load(x)), w0);
  p_mac(&sum->high, p_factor(v_load(x + BLOCK)), w1);
  p_mac(&sum->cross, p_factor(v_load(x + 2 * BLOCK)), w2);
}
static inline void triple_store(uint64_t *out, const triple *sum, int more) {
  const vec c0 = p_reduce7(sum->low, sum->high), c1 = p_reduce_less(sum->cross, sum->low, sum->high);
  v_store(out, more ? v_add(c0, v_load(out)) : c0);
  v_store(out + BLOCK, more ? v_add(c1, v_load(out + BLOCK)) : c1);
}

static inline void block_steps(uint64_t *out, const uint64_t *const *x, const econst *w, size_t count, size_t n) {
  EACH_VECTOR(n, {
    psum c0 = p_zero(), c1 = p_zero();
    const vec first0 = v_load(x[0] + at), first1 = v_load(x[0] + at + BLOCK);
    for (size_t t = 1; t < count; t++) {
      const factor a0 = p_factor(v_sub(v_load(x[t] + at), first0)), a1 = p_factor(v_sub(v_load(x[t] + at + BLOCK), first1));
      p_mac(&c0, a0, w[t].c0);
      p_mac(&c0, a1, w[t].c7);
      p_mac(&c1, a0, w[t].c1);
      p_mac(&c1, a1, w[t].c0);
    }
    v_store(out + at, v_add(p_reduce(c0), first0));
    v_store(out + at + BLOCK, v_add(p_reduce(c1), first1));
  })
}

static void interpolate(uint64_t *out, const uint64_t *const *x, const uint64_t *weights, size_t count, size_t n) {
  econst w[VC_MOST_BLOCKS];
  for (size_t t = 1; t < count; t++) w[t] = e_const(weights + 2 * t);
  if (count == 2)
    block_steps(out, x, w, 2, n);
  else
    block_steps(out, x, w, VC_MOST_BLOCKS, n);
}

/* As many vectors at a time as there are registers for, which share the weights. */
static inline void triple_terms(uint64_t *out, const uint64_t *const *x, const uint64_t *weights, size_t count, size_t n,
                                const vc_soon *soon, int more) {
  enum { AT_ONCE = L == BLOCK ? 2 : 1 };
  for (size_t i = 0; i < n; i += AT_ONCE * L) {
    const size_t block = i / BLOCK * BLOCK, part = i % BLOCK;
    for (size_t k = 0; k < soon->count && part == 0; k++)
      for (size_t line = 0; line < AT_ONCE; line++) SOON(soon->words + k * soon->apart + i + line * BLOCK);
    triple sums[AT_ONCE];
    for (size_t v = 0; v < AT_ONCE; v++) sums[v] = triple_zero();
    const uint64_t *w = weights;
    for (size_t t = 0; t < count; t++, w += 3) {
      const factor w0 = p_factor(v_set1(w[0])), w1 = p_factor(v_set1(w[1])), w2 = p_factor(v_set1(w[2]));
      for (size_t v = 0; v < AT_ONCE; v++) triple_mac(&sums[v], x[t] + 3 * (block + v * BLOCK) + part, w0, w1, w2);
    }
    for (size_t v = 0; v < AT_ONCE; v++) triple_store(out + 2 * (block + v * BLOCK) + part, &sums[v], more);
  }
}

static void combine_triples(uint64_t *out, const uint64_t *const *x, const uint64_t *weights, size_t count, size_t n,
                            const vc_soon *soon) {
  triple_terms(out, x, weights, count < PSUM_FEW ? count : PSUM_FEW, n, soon, 0);
  for (size_t done = PSUM_FEW; done < count; done += PSUM_FEW)
    triple_terms(out, x + done, weights + 3 * done, count - done < PSUM_FEW ? count - done : PSUM_FEW, n, soon, 1);
}

/* From the last block on, as they grow. */
static void to_blocks(uint64_t *words, size_t n, size_t width) {
  for (size_t i = n; i > 0;) {
    i -= BLOCK;
    vec first[BLOCK / L], second[BLOCK / L];
    for (size_t k = 0; k < BLOCK / L; k++) {
      const uint64_t *pairs = words + 2 * (i + k * L);
      v_split(&first[k], &second[k], v_load(pairs), v_load(pairs + L));
    }
    for (size_t k = 0; k < BLOCK / L; k++) {
      uint64_t *to = words + i * width + k * L;
      v_store(to, first[k]);
      v_store(to + BLOCK, second[k]);
      if (width > 2) v_store(to + 2 * BLOCK, v_add(first[k], second[k]));
    }
  }
}

/* ---- small integers ---- */

static int pack(uint64_t *out, const uint64_t *x, size_t n) {
  const vec least = v_set1(UINT64_C(1) << VC_SMALL_BITS), low = v_set1(VC_EPSILON);
  vec seen = v_set1(0);
  uint64_t bits[L], all = 0;
  for (size_t i = 0; i < n; i += 2 * BLOCK)
    for (size_t part = 0; part < BLOCK; part += L) {
      const vec a = v_centred(v_load(x + i + part)), b = v_centred(v_load(x + i + BLOCK + part));
      seen = v_or(seen, v_or(v_plus(a, least), v_plus(b, least)));
      v_store(out + i / 2 + part, v_plus(v_and(a, low), v_left(b, 32)));
    }
  v_store(bits, seen);
  for (size_t k = 0; k < L; k++) all |= bits[k];
  return all >> (VC_SMALL_BITS + 1) == 0;
}

/* Halves of sums are signed and at most 2^61. They start where they are never negative, at a multiple of p:
 * p - 2^62 + 2^30 + 2^94 = p, by 2^64 = 2^32 - 1. */
#define SMALL_LOW (VC_P - (UINT64_C(1) << 62) + (UINT64_C(1) << 30))
#define SMALL_HIGH (UINT64_C(1) << 62)

static void combine_small(uint64_t *out, const uint64_t *x, size_t apart, const uint64_t *digits, size_t count,
                          size_t n, const uint64_t *soon) {
  const size_t step = soon ? L : 0;
  if (!soon) soon = x;
  const vec low = v_set1(SMALL_LOW), high = v_set1(SMALL_HIGH);
  for (size_t i = 0; i < n; i += 2 * BLOCK)
    for (size_t part = 0; part < BLOCK; part += L) {
      vec a0 = low, a1 = high, a2 = low, a3 = high, b0 = low, b1 = high, b2 = low, b3 = high;
      const uint64_t *from = x + i / 2 + part, *d = digits;
      for (size_t t = 0; t < count; t++, from += apart, d += 4) {
        SOON(soon), soon += step;
        const vec a = v_load(from), b = v_top(a);
        const vec d0 = v_set1(d[0]), d1 = v_set1(d[1]), d2 = v_set1(d[2]), d3 = v_set1(d[3]);
        a0 = v_plus(a0, v_smul32(a, d0)), b0 = v_plus(b0, v_smul32(b, d0));
        a1 = v_plus(a1, v_smul32(a, d1)), b1 = v_plus(b1, v_smul32(b, d1));
        a2 = v_plus(a2, v_smul32(a, d2)), b2 = v_plus(b2, v_smul32(b, d2));
        a3 = v_plus(a3, v_smul32(a, d3)), b3 = v_plus(b3, v_smul32(b, d3));
      }
      uint64_t *to = out + 2 * i + part;
      v_store(to, v_halves(a0, a1));
      v_store(to + BLOCK, v_halves(a2, a3));
      v_store(to + 2 * BLOCK, v_halves(b0, b1));
      v_store(to + 3 * BLOCK, v_halves(b2, b3));
    }
}

const vc_sum_kernels VC_SUMS_NAME = {
    .products_words = BLOCK + VC_MOST_SUMS * PAIR * L,
    .products = products,
    .messages = messages,
    .products_end = products_end,
    .combine_base = combine_base,
    .interpolate = interpolate,
    .combine_triples = combine_triples,
    .to_blocks = to_blocks,
    .pack = pack,
    .combine_small = combine_small,
};
