/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms over columns, as a tree of reductions modulo X^m - c: halves modulo X^(m/2) - z and X^(m/2) + z, z^2 = c.
 *
 * A block's twiddle z depends on the block's place alone: block b of its layer has z = T[b], T[b] the root of order
 * 2^(layer+1) to the reversed bits of b, the same table for all layers. So a block's rows are four contiguous streams,
 * a codeword of rate 2^-r is the 2^r blocks of layer r, and values come out in bit-reversed order.
 */
#include <string.h>

#include "field.h"
#include "goldilocks.h"
#include "vcompute.h"

/* T[0 .. 2^log): T[b + 2^k] = T[b] * root(k + 2) for b < 2^k. */
static void twiddles(const vc_field_kernels *k, uint64_t *table, unsigned log) {
  table[0] = 1;
  for (unsigned i = 0; i < log; i++) k->scale(table + ((size_t)1 << i), table, (size_t)1 << i, vc_gl_root(i + 2));
}

/* Finish blocks of 2^log rows of w words in place, log a multiple of 3: depth first until they fit the first cache. */
#define SMALL 4096 /* words */
static void transform(const vc_field_kernels *k, uint64_t *data, unsigned log, size_t w, size_t block, const uint64_t *table) {
  const size_t words = w << log;
  unsigned left = log;
  if (words > SMALL && log > 3) {
    k->butterflies(data, words / 8, data, words / 8, words / 8, table, block, 1, 3, 0);
    for (size_t i = 0; i < 8; i++) transform(k, data + i * (words / 8), log - 3, w, 8 * block + i, table);
    return;
  }
  for (size_t blocks = 1; left; left -= 3, blocks *= 8) {
    const size_t stream = w << (left - 3);
    k->butterflies(data, stream, data, stream, stream, table, block * blocks, blocks, 3, left == 3);
  }
}

/* rows[i][j] = lanes[j][i] for i < rows, elements of `words` words, a lane `n` elements after the other. */
static inline void transpose(uint64_t *to, const uint64_t *lanes, size_t count, size_t n, size_t rows, size_t words) {
  for (size_t j = 0; j < count; j++)
    for (size_t i = 0; i < rows; i++)
      for (size_t c = 0; c < words; c++) to[(i * count + j) * words + c] = lanes[(j * n + i) * words + c];
}

/* A code is made in two steps. The first one takes a few rows of each stream of consecutive rows from the lanes, through the
 * upper layers of every block of the code; what it leaves are smaller blocks, each of which the second step finishes by
 * itself. Rows, and then blocks, are independent of one another.
 */
#define TILE 64 /* rows of a stream at a time */
#define SECOND 12 /* from as many layers on, a second pass in the first step saves one over the whole code */

/* The layers of a first step's first pass, which leaves a multiple of 3, and of both its passes. */
static unsigned first_layers(uint32_t log_lane) { return log_lane == 0 ? 0 : (log_lane - 1) % 3 + 1; }
static unsigned top_layers(uint32_t log_lane) { return first_layers(log_lane) + (log_lane >= SECOND ? 3 : 0); }

size_t vc_rs_twiddles_size(uint32_t log_lane, uint32_t rate_bits) {
  return ((size_t)1 << (log_lane + rate_bits)) / 2 + 1;
}

void vc_rs_twiddles(uint64_t *table, uint32_t log_lane, uint32_t rate_bits) {
  twiddles(vc_field(), table, log_lane + rate_bits ? log_lane + rate_bits - 1 : 0);
}

size_t vc_rs_rows(uint32_t log_lane) { return (size_t)1 << (log_lane - top_layers(log_lane)); }

size_t vc_rs_scratch(uint32_t log_lane, size_t width) {
  const size_t rows = vc_rs_rows(log_lane);
  return ((rows < TILE ? rows : TILE) * width << top_layers(log_lane)) * 2;
}

void vc_rs_begin(uint64_t *out, const uint64_t *lanes, size_t count, uint32_t log_lane, uint32_t words, uint32_t rate_bits,
                 const uint64_t *table, size_t first, size_t rows, uint64_t *scratch) {
  const vc_field_kernels *k = vc_field();
  const unsigned layers = first_layers(log_lane), all = top_layers(log_lane);
  const size_t n = (size_t)1 << log_lane, w = count * words, streams = (size_t)1 << all;
  const size_t stream = vc_rs_rows(log_lane), stop = first + rows;
  for (size_t start = first; start < stop; start += TILE) {
    const size_t tile = stop - start < TILE ? stop - start : TILE, part = tile * w;
    uint64_t *second = scratch + streams * part;
    for (size_t s = 0; s < streams; s++) {
      if (words == 1)
        transpose(scratch + s * part, lanes + s * stream + start, count, n, tile, 1);
      else
        transpose(scratch + s * part, lanes + 2 * (s * stream + start), count, n, tile, 2);
    }
    if (layers) k->offset(scratch, streams * part);
    for (size_t b = 0; b < (size_t)1 << rate_bits; b++) {
      uint64_t *to = out + (b * n + start) * w;
      if (layers == 0) {
        memcpy(to, scratch, part * sizeof *to);
      } else if (all == layers) {
        k->butterflies(to, stream * w, scratch, part, part, table, b, 1, layers, layers == log_lane);
      } else {
        const size_t wide = streams * part >> layers;
        k->butterflies(second, wide, scratch, wide, wide, table, b, 1, layers, 0);
        k->butterflies(to, stream * w, second, part, part, table, b << layers, (size_t)1 << layers, 3, 0);
      }
    }
  }
}

size_t vc_rs_blocks(uint32_t log_lane, uint32_t rate_bits) { return (size_t)1 << (top_layers(log_lane) + rate_bits); }

void vc_rs_finish(uint64_t *out, size_t width, uint32_t log_lane, const uint64_t *table, size_t first, size_t blocks) {
  const unsigned left = log_lane - top_layers(log_lane);
  if (left == 0) return;
  for (size_t b = first; b < first + blocks; b++) transform(vc_field(), out + (b * width << left), left, width, b, table);
}

/* acc (n pairs) = the sum over the positions in the block of scales[i] * x_i^b: the transpose of a block's transform.
 * Blocks with one position are geometric series. Returns 0 (and writes nothing) where there is no position. */
static int powers_block(const vc_field_kernels *k, uint64_t *acc, unsigned log, size_t block, const uint64_t *positions,
                        const uint64_t *scales, size_t count, const uint64_t *table) {
  const size_t n = (size_t)1 << log;
  if (count == 0) return 0;
  if (log == 0) {
    acc[0] = scales[0];
    acc[1] = scales[1];
    return 1;
  }
  if (count == 1) { /* x^(2^i) is the block's twiddle of layer log - i, up to sign by the position's bit */
    acc[0] = scales[0];
    acc[1] = scales[1];
    for (unsigned i = 0; i < log; i++) {
      uint64_t place = positions[0] >> (i + 1), power = table[place];
      if (positions[0] >> i & 1) power = VC_P - power;
      k->scale(acc + ((size_t)2 << i), acc, (size_t)2 << i, power);
    }
    return 1;
  }
  const uint64_t middle = (uint64_t)(2 * block + 1) << (log - 1);
  size_t split = 0;
  while (split < count && positions[split] < middle) split++;
  int left = powers_block(k, acc, log - 1, 2 * block, positions, scales, split, table);
  int right = powers_block(k, acc + n, log - 1, 2 * block + 1, positions + split, scales + 2 * split, count - split, table);
  if (left && right) {
    k->butterfly2_transposed(acc, n, table[block]);
  } else if (left) { /* (u, 0) becomes (u, z * u); n pairs are two halves of n words */
    k->scale(acc + n, acc, n, table[block]);
  } else {
    memcpy(acc, acc + n, n * sizeof *acc);
    k->scale(acc + n, acc, n, VC_P - table[block]);
  }
  return 1;
}

size_t vc_add_powers_scratch(uint32_t log_table, uint32_t log_domain) {
  return ((size_t)2 << log_table) + ((size_t)1 << log_domain) / 2 + 1;
}

void vc_add_powers(uint64_t *table, uint32_t log_table, uint32_t log_domain, const uint64_t *positions,
                   const uint64_t *scales, size_t count, uint64_t *scratch) {
  const vc_field_kernels *k = vc_field();
  uint64_t *roots = scratch, *acc = scratch + ((size_t)1 << log_domain) / 2 + 1;
  twiddles(k, roots, log_domain ? log_domain - 1 : 0);
  size_t start = 0;
  for (size_t block = 0; block < (size_t)1 << (log_domain - log_table); block++) {
    size_t stop = start;
    while (stop < count && positions[stop] >> log_table == block) stop++;
    if (powers_block(k, acc, log_table, block, positions + start, scales + 2 * start, stop - start, roots))
      k->add(table, table, acc, (size_t)2 << log_table);
    start = stop;
  }
}

void vc_domain_points(uint64_t *out, uint32_t log_domain, const uint64_t *positions, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = 1;
  for (unsigned bit = 0; bit < log_domain; bit++) {
    const uint64_t root = vc_gl_root(bit + 1); /* the generator to the power 2^(log_domain - 1 - bit) */
    for (size_t i = 0; i < count; i++) out[i] = vc_gl_mul(out[i], positions[i] >> bit & 1 ? root : 1);
  }
}

void vc_evaluate_at(uint64_t *out, const uint64_t *coefficients, size_t n, const uint64_t *points, size_t count) {
  vc_field()->evaluate(out, coefficients, n, points, count);
}

/* The weights x^b at r: the product over the variables, the last one first, of 1 + r_k (x^(2^i) - 1). */
void vc_powers_extension(uint64_t *out, const uint64_t *r, size_t variables, const uint64_t *points, size_t count) {
  for (size_t j = 0; j < count; j++) {
    uint64_t power = points[j], product[2] = {1, 0};
    for (size_t k = variables; k-- > 0;) {
      const uint64_t step = vc_gl_sub(power, 1);
      const uint64_t factor[2] = {vc_gl_add(vc_gl_mul(r[2 * k], step), 1), vc_gl_mul(r[2 * k + 1], step)};
      vc_ext_mul(product, product, factor);
      power = vc_gl_mul(power, power);
    }
    out[2 * j] = product[0];
    out[2 * j + 1] = product[1];
  }
}
