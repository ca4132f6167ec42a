/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of moments.h over the vectors of one instruction set. Include a vector header and one of products, and define
 * VC_MOMENTS_NAME first.
 */
#include "moments.h"

#include "psum_state.h"

#include <string.h>

#define L VEC_LANES
enum { BLOCK = 8, WORDS = 2 * PSUM_VECS * VEC_LANES };

static inline vec product(const int32_t *a, const int32_t *b) {
  return v_smul32(v_widen32((const uint32_t *)a), v_widen32((const uint32_t *)b));
}

typedef struct {
  psum c0, c1;
} pair;

static inline pair load_pair(const uint64_t *state) {
  pair sums = {load_sum(state), load_sum(state + PSUM_VECS * L)};
  return sums;
}
static inline void store_pair(uint64_t *state, const pair *sums) {
  store_sum(state, &sums->c0);
  store_sum(state + PSUM_VECS * L, &sums->c1);
}

static inline void add_products(pair *sums, vec x, factor w0, factor w1, int small) {
  if (small) {
    p_mac40(&sums->c0, w0, x);
    p_mac40(&sums->c1, w1, x);
  } else {
    const factor f = p_factor(x);
    p_mac(&sums->c0, f, w0);
    p_mac(&sums->c1, f, w1);
  }
}

static inline vec moment_at(const vc_moment *m, size_t i, int factors) {
  if (factors == 1) return v_widen32((const uint32_t *)m->a + i);
  const vec x = v_plus(v_set1(m->bias), product(m->a + i, m->b + i));
  return factors == 2 ? x : v_plus(x, product(m->c + i, m->d + i));
}

/* Moments of one kind, two at a time: more sums are in flight, and weights are read once for both. A macro, so that each kind's
 * loop has its constants. */
#define EACH_WEIGHT(n, ...)                                                                                         \
  for (size_t block = 0; block < (n); block += BLOCK)                                                               \
    for (size_t part = 0; part < BLOCK; part += L) {                                                                \
      const size_t i = block + part;                                                                                \
      const factor w0 = p_factor(v_load(weights + block + i)), w1 = p_factor(v_load(weights + block + i + BLOCK)); \
      __VA_ARGS__                                                                                                   \
    }
#define ADD_KIND(factors, small)                                                                                            \
  static void add_##factors##_##small(uint64_t *state, const vc_moment *m, size_t count, const uint64_t *weights, size_t n) { \
    for (; count > 1; count -= 2, m += 2, state += 2 * WORDS) {                                                             \
      pair first = load_pair(state), second = load_pair(state + WORDS);                                                     \
      EACH_WEIGHT(n, {                                                                                                      \
        add_products(&first, moment_at(m, i, factors), w0, w1, small);                                               \
        add_products(&second, moment_at(m + 1, i, factors), w0, w1, small);                                          \
      })                                                                                                                    \
      store_pair(state, &first);                                                                                            \
      store_pair(state + WORDS, &second);                                                                                   \
    }                                                                                                                       \
    if (count) {                                                                                                            \
      pair last = load_pair(state);                                                                                         \
      EACH_WEIGHT(n, add_products(&last, moment_at(m, i, factors), w0, w1, small);)                                  \
      store_pair(state, &last);                                                                                             \
    }                                                                                                                       \
  }
ADD_KIND(1, 1)
ADD_KIND(2, 0)
ADD_KIND(2, 1)
ADD_KIND(4, 0)
ADD_KIND(4, 1)

/* Factors and size of a moment, for which there is one loop. */
static int kind_of(const vc_moment *m) { return !m->b ? 1 : (m->c ? 4 : 2) + !!m->small; }

static void add(uint64_t *state, const vc_moment *moments, size_t count, const uint64_t *weights, size_t n) {
  for (size_t first = 0, last; first < count; first = last) {
    const int kind = kind_of(moments + first);
    for (last = first + 1; last < count && kind_of(moments + last) == kind;) last++;
    void (*const loops[])(uint64_t *, const vc_moment *, size_t, const uint64_t *, size_t) = {add_1_1, add_2_0, add_2_1, add_4_0,
                                                                                             add_4_1};
    loops[kind - 1](state + first * WORDS, moments + first, last - first, weights, n);
  }
}

static uint64_t across(psum sum) {
  uint64_t lanes[L], total = 0;
  v_store(lanes, p_reduce_stored(sum));
  for (int k = 0; k < L; k++) total = vc_gl_add(total, lanes[k]);
  return total;
}

static void end(uint64_t *sums, uint64_t *state, size_t count, const uint64_t scale[2]) {
  for (size_t i = 0; i < count; i++) {
    uint64_t *at = state + i * WORDS, value[2] = {across(load_sum(at)), across(load_sum(at + PSUM_VECS * L))};
    vc_ext_mul(value, value, scale);
    sums[2 * i] = vc_gl_add(sums[2 * i], value[0]);
    sums[2 * i + 1] = vc_gl_add(sums[2 * i + 1], value[1]);
  }
  memset(state, 0, count * WORDS * sizeof *state);
}

static void differences(const vc_difference *steps, size_t count, size_t n) {
  for (const vc_difference *s = steps; s < steps + count; s++) {
    int32_t *to = s->to; /* a row of its own */
    const int32_t *high = s->high, *low = s->low;
    for (size_t block = 0; block < n; block += BLOCK) {
      int32_t out[BLOCK];
      for (size_t i = 0; i < BLOCK; i++) out[i] = high[block + i] - low[block + i];
      memcpy(to + block, out, sizeof out);
    }
  }
}

/* What the next row of a stream is made of comes into the caches while this one is used: rows are too short for the processor
 * to see where they lead. */
#if defined(__GNUC__) || defined(__clang__)
#define SOON(from, n)                                                                                                     \
  for (const char *line = (const char *)((from) + (n)), *last = (const char *)((from) + 2 * (n)); line < last; line += 64) \
    __builtin_prefetch(line)
#else
#define SOON(from, n) ((void)(from))
#endif

static void copy(int32_t *to, const uint32_t *from, size_t n) {
  SOON(from, n);
  for (size_t i = 0; i < n; i++) to[i] = (int32_t)from[i];
}
static void widen(int32_t *to, const uint8_t *from, size_t n) {
  SOON(from, n);
  for (size_t i = 0; i < n; i++) to[i] = from[i];
}

static void pairs(int32_t *sum, int32_t *low, int32_t *high, const uint32_t *first, const uint32_t *second, unsigned cut, size_t n) {
  const uint64_t mask = (UINT64_C(1) << cut) - 1;
  SOON(first, n);
  SOON(second, n);
  for (size_t i = 0; i < n; i++) {
    const uint64_t product = (uint64_t)first[i] * second[i];
    sum[i] = (int32_t)(first[i] + second[i]), low[i] = (int32_t)(product & mask), high[i] = (int32_t)(product >> cut);
  }
}

/* Words of a stream from i on, k of them. */
static inline vec some_of(const uint32_t *p, size_t k) {
  uint32_t part[L] = {0};
  if (k >= L) return v_widen32(p);
  memcpy(part, p, k * sizeof *p);
  return v_widen32(part);
}

static inline void store_some(uint64_t *out, vec c0, vec c1, size_t n) {
  uint64_t words[2][L];
  vec x, y;
  v_join(&x, &y, c0, c1);
  if (n >= L) {
    v_store(out, x);
    v_store(out + L, y);
    return;
  }
  v_store(words[0], x);
  v_store(words[1], y);
  memcpy(out, words, 2 * n * sizeof *out);
}

/* Inlined with a constant: numerators have no products. */
static inline void nodes_of(uint64_t *out, const uint64_t start[2], const vc_node_stream *streams, size_t count, size_t n,
                            int products) {
  factor c[4 * VC_MOST_NODES];
  for (size_t s = 0; s < count; s++)
    for (int j = 0; j < 2; j++) {
      c[4 * s + j] = p_factor(v_set1(streams[s].sum[j]));
      c[4 * s + 2 + j] = p_factor(v_set1(streams[s].product[j]));
    }
  for (size_t i = 0; i < n; i += L) {
    const size_t k = n - i < L ? n - i : L;
    psum sum[2] = {p_start(v_set1(start[0])), p_start(v_set1(start[1]))};
    for (size_t s = 0; s < count; s++) {
      const vec u = some_of(streams[s].first + i, k), v = streams[s].second ? some_of(streams[s].second + i, k) : v_set1(0);
      const vec both = v_plus(u, v);
      for (int j = 0; j < 2; j++) {
        p_mac40(&sum[j], c[4 * s + j], both);
        if (products) p_mac40(&sum[j], c[4 * s + 2 + j], v_mul32(u, v));
      }
    }
    store_some(out + 2 * i, p_reduce(sum[0]), p_reduce(sum[1]), k);
  }
}

static void nodes(uint64_t *out, const uint64_t start[2], const vc_node_stream *streams, size_t count, size_t n) {
  uint64_t any = 0;
  for (size_t s = 0; s < count; s++) any |= streams[s].product[0] | streams[s].product[1];
  if (any)
    nodes_of(out, start, streams, count, n, 1);
  else
    nodes_of(out, start, streams, count, n, 0);
}

static void quads(uint64_t *n, uint64_t *d, const uint32_t *const keys[4], const uint64_t constants[18], size_t count) {
  factor c[18];
  for (int j = 0; j < 18; j++) c[j] = p_factor(v_set1(constants[j]));
  for (size_t i = 0; i < count; i += L) {
    const size_t k = count - i < L ? count - i : L;
    vec u[4], out[4];
    for (int j = 0; j < 4; j++) u[j] = some_of(keys[j] + i, k);
    const vec s = v_plus(u[0], u[1]), t = v_plus(u[2], u[3]), p = v_mul32(u[0], u[1]), q = v_mul32(u[2], u[3]);
    const vec e1 = v_plus(s, t), e2 = v_plus(v_mul32(s, t), v_plus(p, q));
    const factor e3 = p_products(s, q, t, p), e4 = p_product(p, q);
    for (int j = 0; j < 4; j++) {
      const factor *of = c + (j < 2 ? j : 6 + j);
      psum sum = p_start(v_set1(constants[j < 2 ? j : 6 + j]));
      p_mac40(&sum, of[2], e1);
      p_mac40(&sum, of[4], e2);
      p_mac(&sum, of[6], e3);
      if (j >= 2) p_mac(&sum, of[8], e4);
      out[j] = p_reduce(sum);
    }
    store_some(n + 2 * i, out[0], out[1], k);
    store_some(d + 2 * i, out[2], out[3], k);
  }
}

static void blocks(uint64_t *to, const uint64_t *pairs, size_t n) {
  for (size_t i = 0; i + L <= n; i += L) {
    vec c0, c1;
    v_split(&c0, &c1, v_load(pairs + 2 * i), v_load(pairs + 2 * i + L));
    uint64_t *at = to + i / BLOCK * BLOCK + i;
    v_store(at, c0);
    v_store(at + BLOCK, c1);
  }
  for (size_t i = n / L * L; i < (n + BLOCK - 1) / BLOCK * BLOCK; i++)
    for (size_t c = 0; c < 2; c++) to[i / BLOCK * 2 * BLOCK + c * BLOCK + i % BLOCK] = i < n ? pairs[2 * i + c] : 0;
}

const vc_moment_kernels VC_MOMENTS_NAME = {
    .words = WORDS,
    .most = (size_t)PSUM_TERMS * L,
    .add = add,
    .end = end,
    .differences = differences,
    .copy = copy,
    .widen = widen,
    .pairs = pairs,
    .nodes = nodes,
    .quads = quads,
    .blocks = blocks,
};
