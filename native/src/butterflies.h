/* SPDX-License-Identifier: Apache-2.0 */
/* Passes of a transform, one to three layers each, over the vectors of one instruction set. Included by field_loops.h.
 *
 * Inside a pass an element is a pair of digits, low + 2^32 * high, each in a word of its own that is far from full: sums
 * need no carries, and since 2^64 = 2^32 - 1, so that 2^96 = -1, powers of two are shifts. Only products and stored words
 * are carried. Between passes a word stands for itself minus OFFSET, any word of 64 bits: flipping the top bits of its
 * halves makes them digits in [-2^31, 2^31), and four signed products fit in pairs into 63 bits and a sign. Words that are only
 * shifted next are plain: they stand for themselves.
 *
 * Products: (a0 + a1 X) z with X = 2^32, z = z0 + z1 X and z X = y0 + y1 X, all digits in [-2^31, 2^31), is L + H X,
 * L = a0 z0 + a1 y0 and H = a0 z1 + a1 y1. Either overflows only where both constants are -2^31: for z = 1/2, whose order is
 * 192, and for z = -2^63 - 1, whose order is no power of two either; so never.
 */
#define OFFSET ((UINT64_C(1) << 31) + (UINT64_C(1) << 63))

/* Zero as a pair, 2^29 (X, -1) + 2^29 (1, X - 1), that makes digits below 2^60 in size positive. */
#define ZERO_LOW ((UINT64_C(1) << 61) + (UINT64_C(1) << 29))
#define ZERO_HIGH ((UINT64_C(1) << 61) - (UINT64_C(1) << 30))

typedef struct {
  vec low, high;
} digits;

/* The constants z0, z1, y0, y1 of z, z^2, ..., z^7, each for L blocks: those of a block are L words apart. */
#define CONSTANTS (7 * 4 * L)

static inline digits d_add(digits a, digits b) {
  digits c = {v_plus(a.low, b.low), v_plus(a.high, b.high)};
  return c;
}
static inline digits d_sub(digits a, digits b) {
  digits c = {v_minus(a.low, b.low), v_minus(a.high, b.high)};
  return c;
}
static inline digits d_conjugate_add(digits a, digits b) { /* a - low(b) + X high(b) */
  digits c = {v_minus(a.low, b.low), v_plus(a.high, b.high)};
  return c;
}
static inline digits d_conjugate_sub(digits a, digits b) {
  digits c = {v_plus(a.low, b.low), v_minus(a.high, b.high)};
  return c;
}

/* 2^24 a, and 2^48 a and 2^72 a with their low digits negated: X (low, high) = (-high, low + high). */
static inline digits d_shift24(digits a) {
  digits c = {v_left(a.low, 24), v_left(a.high, 24)};
  return c;
}
static inline digits d_shift48(digits a) {
  digits c = {v_left(a.high, 16), v_left(v_plus(a.low, a.high), 16)};
  return c;
}
static inline digits d_shift72(digits a) {
  digits c = {v_left(v_plus(a.low, a.high), 8), v_left(a.low, 8)};
  return c;
}

/* The word times a constant: the low digit in (-2^31, 2^32 + 2^31], the high one in [-2^32, 2^33). */
static inline digits d_mul(vec word, const uint64_t *z) {
  const vec half = v_set1(VC_EPSILON), a0 = v_xor(word, v_set1(UINT64_C(0x8000000080000000))), a1 = v_top(a0);
  const vec low = v_plus(v_smul32(a0, v_set1(z[0])), v_smul32(a1, v_set1(z[2 * L])));
  const vec high = v_plus(v_smul32(a0, v_set1(z[L])), v_smul32(a1, v_set1(z[3 * L])));
  const vec carry = v_signed_top(high);
  digits c = {v_minus(v_and(low, half), carry), v_plus(v_plus(v_signed_top(low), v_and(high, half)), carry)};
  return c;
}

/* 2^e times a plain word, which stands for itself: its three digits after a shift by less than 32 bits, then powers of X. The
 * exponent is a constant, so that this is six operations, or eight. */
static inline digits d_turned(vec word, unsigned e) {
  const unsigned bits = e % 32, turns = e / 32;
  const vec left = v_left(word, bits), over = bits ? v_right(word, 64 - bits) : v_set1(0), none = v_set1(0);
  const digits a = {v_minus(v_and(left, v_set1(VC_EPSILON)), over), v_plus(v_top(left), over)};
  const vec low = turns % 3 == 0 ? a.low : turns % 3 == 1 ? v_minus(none, a.high) : v_minus(none, v_plus(a.low, a.high));
  const vec high = turns % 3 == 0 ? a.high : turns % 3 == 1 ? v_plus(a.low, a.high) : a.low;
  const digits b = {turns < 3 ? low : v_minus(none, low), turns < 3 ? high : v_minus(none, high)};
  return b;
}

/* A word and a multiple of p, as digits. */
static inline digits d_first(vec word, digits zero) {
  digits c = {v_plus(v_and(word, v_set1(VC_EPSILON)), zero.low), v_plus(v_top(word), zero.high)};
  return c;
}

/* Zero and so many offsets: what words are to have and those read do not. */
static inline digits d_zero(int offsets) {
  const uint64_t offset = (uint64_t)offsets << 31;
  digits c = {v_set1(ZERO_LOW + offset), v_set1(ZERO_HIGH + offset)};
  return c;
}

/* One word of digits from 0 to 2^62. */
static inline vec d_word(digits a, int last) {
  const vec top = v_left(a.high, 32), rest = v_plus(a.low, v_mul32(v_top(a.high), v_set1(VC_EPSILON)));
  const vec word = v_carried(v_plus(rest, top), top);
  return last ? v_canonical(word) : word;
}

#define IN(j) load_some(in + (j) * from + i, k)
#define TIMES(j) d_mul(IN(j), z + 4 * L * ((j) - 1)) /* by the power j of z */
#define OUT(j, a) store_some(out + (j) * to + i, d_word(a, last), k)

static inline void block2(uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t n, const uint64_t *z,
                          int last) {
  const digits zero = d_zero(-last);
  EACH(n, {
    const digits x0 = d_first(IN(0), zero), x1 = TIMES(1);
    OUT(0, d_add(x0, x1));
    OUT(1, d_sub(x0, x1));
  });
}

static inline void block4(uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t n, const uint64_t *z,
                          int last) {
  const digits zero = d_zero(-last);
  EACH(n, {
    const digits x0 = d_first(IN(0), zero), x1 = TIMES(1), x2 = TIMES(2), x3 = TIMES(3);
    const digits a0 = d_add(x0, x2), a1 = d_add(x1, x3), a2 = d_sub(x0, x2), a3 = d_shift48(d_sub(x1, x3));
    OUT(0, d_add(a0, a1));
    OUT(1, d_sub(a0, a1));
    OUT(2, d_conjugate_add(a2, a3));
    OUT(3, d_conjugate_sub(a2, a3));
  });
}

/* x0 .. x7 through three layers of twiddle 1, and stored. The root of order 8 is -2^24. What is shifted by 48 bits is not shifted
 * again: it would not fit. */
#define THREE_LAYERS                                                                                                          \
    const digits y0 = d_add(x0, x4), y1 = d_add(x1, x5), y2 = d_add(x2, x6), y3 = d_add(x3, x7);                              \
    const digits y4 = d_sub(x0, x4), y5 = d_sub(x1, x5), y6 = d_shift48(d_sub(x2, x6)), y7 = d_sub(x3, x7);                   \
    const digits a0 = d_add(y0, y2), a1 = d_add(y1, y3), a2 = d_sub(y0, y2), a3 = d_shift48(d_sub(y1, y3));                   \
    OUT(0, d_add(a0, a1));                                                                                                    \
    OUT(1, d_sub(a0, a1));                                                                                                    \
    OUT(2, d_conjugate_add(a2, a3));                                                                                          \
    OUT(3, d_conjugate_sub(a2, a3));                                                                                          \
    const digits a4 = d_conjugate_add(y4, y6), a5 = d_conjugate_add(d_shift24(y5), d_shift72(y7));                            \
    OUT(4, d_sub(a4, a5));                                                                                                    \
    OUT(5, d_add(a4, a5));                                                                                                    \
    const digits a6 = d_conjugate_sub(y4, y6), a7 = d_conjugate_add(d_shift24(y7), d_shift72(y5));                            \
    OUT(6, d_sub(a6, a7));                                                                                                    \
    OUT(7, d_add(a6, a7));

static inline void block8(uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t n, const uint64_t *z,
                          int last) {
  const digits zero = d_zero(-last);
  EACH(n, {
    const digits x0 = d_first(IN(0), zero), x1 = TIMES(1), x2 = TIMES(2), x3 = TIMES(3);
    const digits x4 = TIMES(4), x5 = TIMES(5), x6 = TIMES(6), x7 = TIMES(7);
    THREE_LAYERS
  });
}

/* The same of plain words, for a twiddle that is 2^e. */
#define TURNED(j) d_turned(IN(j), (j) * e % 192)
static inline void turn8(uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t n, unsigned e) {
  const digits zero = d_zero(1);
  const int last = 0;
  EACH(n, {
    const digits x0 = d_first(IN(0), zero), x1 = TURNED(1), x2 = TURNED(2), x3 = TURNED(3);
    const digits x4 = TURNED(4), x5 = TURNED(5), x6 = TURNED(6), x7 = TURNED(7);
    THREE_LAYERS
  });
}

/* z0, z1 or y0, y1 of a vector of constants. */
static inline void store_digits(uint64_t *out, vec z) {
  const vec both = v_xor(v_add(z, v_set1(OFFSET)), v_set1(UINT64_C(0x8000000080000000)));
  v_store(out, both); /* products read the lower half of a constant */
  v_store(out + L, v_top(both));
}

static void constants(uint64_t *out, const uint64_t *table, size_t block, size_t blocks, unsigned layers) {
  const vec x = v_set1(UINT64_C(1) << 32);
  uint64_t z[3][L] = {{0}};
  for (size_t j = 0; j < blocks; j++)
    for (unsigned i = 0; i < layers; i++) z[i][j] = table[(block + j) << (layers - 1 - i)];
  vec power[7] = {v_load(z[0]), v_load(z[1])};
  if (layers > 1) power[2] = v_mul(power[0], power[1]);
  if (layers > 2) {
    power[3] = v_load(z[2]);
    for (int i = 4; i < 7; i++) power[i] = v_mul(power[3], power[i - 4]);
  }
  for (int i = 0; i < (1 << layers) - 1; i++, out += 4 * L) {
    store_digits(out, power[i]);
    store_digits(out + 2 * L, v_mul(power[i], x));
  }
}

static void butterflies(uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t n, const uint64_t *table,
                        size_t block, size_t blocks, unsigned layers, int last) {
  uint64_t constant[CONSTANTS];
  for (size_t j = 0; j < blocks; j++, out += to << layers, in += from << layers) {
    const uint64_t *z = constant + j % L;
    if (j % L == 0) constants(constant, table, block + j, blocks - j < L ? blocks - j : L, layers);
    if (layers == 3)
      last ? block8(out, to, in, from, n, z, 1) : block8(out, to, in, from, n, z, 0);
    else if (layers == 2)
      last ? block4(out, to, in, from, n, z, 1) : block4(out, to, in, from, n, z, 0);
    else
      last ? block2(out, to, in, from, n, z, 1) : block2(out, to, in, from, n, z, 0);
  }
}

static void turns(uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t n, size_t block, size_t blocks) {
  for (size_t j = block; j < block + blocks; j++, out += 8 * to, in += 8 * from)
    switch (j) { /* the exponents of the table's words 0, 4, ..., 28 */
      case 0: turn8(out, to, in, from, n, 0); break;
      case 1: turn8(out, to, in, from, n, 156); break;
      case 2: turn8(out, to, in, from, n, 78); break;
      case 3: turn8(out, to, in, from, n, 42); break;
      case 4: turn8(out, to, in, from, n, 39); break;
      case 5: turn8(out, to, in, from, n, 3); break;
      case 6: turn8(out, to, in, from, n, 117); break;
      default: turn8(out, to, in, from, n, 81);
    }
}

/* The first three of six layers, where all products are made at once: the r-th of 64 streams is multiplied by z^r. Here are those
 * of r = a mod 8. */
#define TWISTED(j) d_mul(IN(j), z + 4 * L * (j))
static inline void twist8(uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t n, const uint64_t *z) {
  const digits zero = d_zero(0);
  const int last = 0;
  EACH(n, {
    const digits x0 = d_add(TWISTED(0), zero), x1 = TWISTED(1), x2 = TWISTED(2), x3 = TWISTED(3);
    const digits x4 = TWISTED(4), x5 = TWISTED(5), x6 = TWISTED(6), x7 = TWISTED(7);
    THREE_LAYERS
  });
}

static void twisted(uint64_t *data, size_t n, const uint64_t *table, size_t block) {
  const vec x = v_set1(UINT64_C(1) << 32);
  uint64_t constant[8 * 4 * L], low[8] = {1}, high[8] = {1}; /* z^a and z^(8 j) */
  for (int i = 1; i < 8; i++) {
    low[i] = vc_gl_mul(low[i - 1], table[block << 5]);
    high[i] = vc_gl_mul(high[i - 1], table[block << 2]);
  }
  for (size_t a = 0; a < 8; a++) {
    for (int j = 0; j < 8 && a % L == 0; j++) {
      const vec power = v_mul(v_load(low + a), v_set1(high[j]));
      store_digits(constant + 4 * L * j, power);
      store_digits(constant + 4 * L * j + 2 * L, v_mul(power, x));
    }
    twist8(data + a * n, 8 * n, data + a * n, 8 * n, n, constant + a % L);
  }
}

#include "first_layer.h"
