/* SPDX-License-Identifier: Apache-2.0 */
/* Loops over arrays of field elements, one table of them for each instruction set. Extension elements are pairs of
 * words. All words are canonical. `out` may be an input where it starts at the same word; else they do not overlap.
 */
#ifndef VC_FIELD_H
#define VC_FIELD_H

#include <stddef.h>
#include <stdint.h>

enum { VC_MOST_STREAMS = 8, VC_TILE = 64 /* rows of a first layer at a time */, VC_TURNS = 8 };

typedef struct {
  const uint32_t *key;
  const uint8_t *value, *sign;
} vc_stream;

/* Rows of lanes' words in the form of passes (see ntt.c), with the first layer of two blocks of a code, or of one, where `high`
 * is not null. */
typedef struct {
  const uint64_t *low, *high; /* the first rows of the lanes' elements u and v */
  const uint64_t *next;       /* low of the call that follows, or null */
  size_t lanes, n;            /* lanes of n elements of `words` words */
  unsigned words;
  uint64_t *out;
  size_t to;  /* from a block's u + z v on to its u - z v, and to the next block's u + 2^48 z v */
  uint64_t z; /* of the first block */
  int both, plain; /* two blocks; words that stand for themselves, for `turns` */
} vc_first_layer;

typedef struct {
  /* n words */
  void (*add)(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
  void (*sub)(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
  void (*mul)(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
  /* n pairs */
  void (*ext_mul)(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
  void (*ext_mul_base)(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n);
  void (*ext_scale)(uint64_t *out, const uint64_t *a, const uint64_t r[2], size_t n);
  /* out[i] (pairs) = a[i] * r, a words */
  void (*base_scale)(uint64_t *out, const uint64_t *a, const uint64_t r[2], size_t n);
  /* out[i] += a[i] * r */
  void (*ext_scale_add)(uint64_t *out, const uint64_t *a, const uint64_t r[2], size_t n);
  /* sum[0..1] = the sum of a[i] * b[i] */
  void (*dot_base)(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n);
  void (*dot_ext)(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n);
  /* out[i] = low[i] + r * (high[i] - low[i]), n pairs */
  void (*fold_base)(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t r[2], size_t n);
  void (*fold_ext)(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t r[2], size_t n);
  /* sums[0..1] = sum of f0 * w0, sums[2..3] = sum of (f1 - f0) * (w1 - w0), n terms */
  void (*round_base)(uint64_t sums[4], const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                     size_t n);
  void (*round_ext)(uint64_t sums[4], const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                    size_t n);
  /* n0/d0 + n1/d1, `count` pairs */
  void (*fractions)(uint64_t *n, uint64_t *d, const uint64_t *n0, const uint64_t *d0, const uint64_t *n1,
                    const uint64_t *d1, size_t count);
  /* Tables a, b, c, d: sums[0..1] = sum of weights * (a b + c d) of the low halves, sums[2..3] that of high - low */
  void (*fraction_round)(uint64_t sums[4], const uint64_t *const low[4], const uint64_t *const high[4],
                         const uint64_t *weights, size_t n);
  /* n1/d1 + n0/d0 where both numerators are 1: n = d0 + d1, d = d0 * d1 */
  void (*unit_fractions)(uint64_t *n, uint64_t *d, const uint64_t *d0, const uint64_t *d1, size_t count);
  /* The same of leaves c0 + c1 key, of constants c0^2, c0 c1, c1^2, 2 c0 and c1; keys are below 2^26 */
  void (*key_fractions)(uint64_t *n, uint64_t *d, const uint32_t *key0, const uint32_t *key1, const uint64_t constants[10],
                        size_t count);
  /* Tables a, b: sums[0..1] = sum of weights * a b of the low halves, sums[2..3] that of high - low */
  void (*product_round)(uint64_t sums[4], const uint64_t *const low[2], const uint64_t *const high[2],
                        const uint64_t *weights, size_t n);
  /* out[i] (pairs) = constants[0] + the sum over at most VC_MOST_STREAMS streams s of constants[3 s + 1] * key[i] + constants[3 s + 2] *
   * value[i] + constants[3 s + 3] * sign[i]; keys are below 2^27, signs 0 or 1; value and sign may be null, in all streams */
  void (*affine)(uint64_t *out, const vc_stream *streams, size_t count, size_t n, const uint64_t *constants);
  /* n pairs become 2n: high = r * low, then low -= high */
  void (*expand)(uint64_t *table, const uint64_t r[2], size_t n);
  /* Passes of transforms (see ntt.c) take and leave words in a form of their own: the first layer makes it of canonical words, and
   * the last pass leaves canonical words. One pass is 1 to 3 layers of `blocks` blocks from the block-th on, of 2^layers
   * streams of n words: stream k of the j-th is out[((j << layers) + k) * to ..]. The twiddles are a table T[0 ..]. out may
   * be in. */
  void (*first_layer)(const vc_first_layer *f, size_t rows);
  void (*butterflies)(uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t n, const uint64_t *table,
                      size_t block, size_t blocks, unsigned layers, int last);
  /* The same of three layers and plain words, for blocks below VC_TURNS, whose twiddles are powers of two. */
  void (*turns)(uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t n, size_t block, size_t blocks);
  /* In place, the first three of six layers of a block, 64 streams of n words, with the products of all six. It leaves plain words,
   * and blocks 0 to 7 of `turns` are the three layers that follow, wherever the block is. */
  void (*twisted)(uint64_t *data, size_t n, const uint64_t *table, size_t block);
  /* The transpose of one layer, in place: (u, v) becomes (u + v, z * (u - v)). */
  void (*butterfly2_transposed)(uint64_t *data, size_t n, uint64_t z);
  /* out[j] (pairs) = the sum over b < n of coefficients[b] * x[j]^b, t points */
  void (*evaluate)(uint64_t *out, const uint64_t *coefficients, size_t n, const uint64_t *x, size_t t);
  /* out[i] = z * in[i] */
  void (*scale)(uint64_t *out, const uint64_t *in, size_t n, uint64_t z);
} vc_field_kernels;

extern const vc_field_kernels vc_field_portable;
#if defined(VC_HAVE_AVX2)
extern const vc_field_kernels vc_field_avx2;
#endif
#if defined(VC_HAVE_AVX512)
extern const vc_field_kernels vc_field_avx512;
#endif
#if defined(VC_HAVE_AVX512IFMA)
extern const vc_field_kernels vc_field_avx512ifma;
#endif

/* The fastest table this processor has. */
const vc_field_kernels *vc_field(void);

#endif
