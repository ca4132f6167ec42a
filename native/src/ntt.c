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

/* Finish blocks of 2^log rows of w words in place, log a multiple of 3: depth first, six layers at a time while more follow. */
static void transform(const vc_field_kernels *k, uint64_t *data, unsigned log, size_t w, size_t block, size_t blocks,
                      const uint64_t *table) {
  const size_t words = w << log;
  if (log < 9) {
    for (; log; log -= 3, blocks *= 8, block *= 8)
      k->butterflies(data, w << (log - 3), data, w << (log - 3), w << (log - 3), table, block, blocks, 3, log == 3);
    return;
  }
  for (; blocks; blocks--, block++, data += words) {
    const size_t n = words / 64;
    k->twisted(data, n, table, block);
    for (size_t i = 0; i < 8; i++) {
      k->turns(data + i * 8 * n, n, data + i * 8 * n, n, n, i, 1);
      transform(k, data + i * 8 * n, log - 6, w, 64 * block + 8 * i, 8, table);
    }
  }
}

/* A code is made in two steps. The first one takes a few rows of each stream of consecutive rows from the lanes, through the
 * upper layers of every block of the code; what it leaves are smaller blocks, each of which the second step finishes by
 * itself. Rows, and then blocks, are independent of one another.
 */
#define TILE VC_TILE /* rows of a stream at a time */
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

/* Codes of lanes of one element or two. */
static void short_code(uint64_t *out, const uint64_t *lanes, size_t count, uint32_t log_lane, uint32_t words,
                       uint32_t rate_bits, const uint64_t *table) {
  const size_t n = (size_t)1 << log_lane, w = count * words;
  for (size_t b = 0; b < (size_t)1 << rate_bits; b++)
    for (size_t q = 0; q < w; q++) {
      const uint64_t *lane = lanes + q / words * n * words + q % words;
      const uint64_t u = lane[0];
      out[b * n * w + q] = u;
      if (n == 1) continue;
      const uint64_t v = vc_gl_mul(lane[words], table[b]);
      out[b * n * w + q] = vc_gl_add(u, v);
      out[(b * n + 1) * w + q] = vc_gl_sub(u, v);
    }
}

typedef struct {
  uint64_t *out;
  const uint64_t *lanes, *table;
  size_t count, n, width, blocks, stream, stop;
  unsigned words, log_lane, layers, all;
  uint64_t *scratch;
} code;

/* Tiles of streams on their way from lanes to rows, one behind the other from `to` on; `high` is a distance. */
static void lay_out(const code *c, vc_first_layer *f, uint64_t *to, size_t streams, size_t high, size_t start, size_t tile) {
  for (size_t s = 0; s < streams; s++) {
    f->low = c->lanes + (s * c->stream + start) * c->words;
    f->high = high ? f->low + high : NULL;
    f->next = start + tile < c->stop ? c->lanes + (start + tile) * c->words : NULL;
    if (s + 1 < streams) f->next = f->low + c->stream * c->words;
    f->out = to + s * tile * c->width;
    vc_field()->first_layer(f, tile);
  }
}

/* Three layers of blocks in the form that rows were laid out in. */
static void three_layers(const code *c, uint64_t *out, size_t to, const uint64_t *in, size_t from, size_t block, size_t blocks,
                         int plain) {
  if (plain)
    vc_field()->turns(out, to, in, from, from, block, blocks);
  else
    vc_field()->butterflies(out, to, in, from, from, c->table, block, blocks, 3, 0);
}

/* A first pass of one layer comes with the rows, for two blocks of the code at a time. */
static void begin_with_rows(const code *c, size_t start, size_t tile) {
  const size_t part = tile * c->width, half = (size_t)1 << c->all >> 1, to = c->stream * c->width;
  for (size_t b = 0; b < c->blocks; b += 2) {
    uint64_t *out = c->out + (b * c->n + start) * c->width;
    vc_first_layer f = {.lanes = c->count, .n = c->n, .words = c->words, .z = c->table[b], .both = c->blocks > 1};
    f.to = half == 1 ? to : half * part;
    f.plain = half > 1 && 2 * b + 4 <= VC_TURNS;
    lay_out(c, &f, half == 1 ? out : c->scratch, half, c->n / 2 * c->words, start, tile);
    for (size_t h = 0; half > 1 && h <= (size_t)f.both; h++)
      three_layers(c, out + h * c->n * c->width, to, c->scratch + h * 2 * half * part, part, 2 * (b + h), 2, f.plain);
  }
}

/* Other first passes follow on rows that are laid out once for all blocks. */
static void begin_after_rows(const code *c, size_t start, size_t tile) {
  const vc_field_kernels *k = vc_field();
  const size_t part = tile * c->width, streams = (size_t)1 << c->all, to = c->stream * c->width;
  const size_t wide = streams * part >> c->layers;
  uint64_t *second = c->scratch + streams * part;
  const int plain = c->layers == 3 && c->log_lane > 3 && c->blocks <= VC_TURNS;
  vc_first_layer f = {.lanes = c->count, .n = c->n, .words = c->words, .plain = plain};
  lay_out(c, &f, c->scratch, streams, 0, start, tile);
  for (size_t b = 0; b < c->blocks; b++) {
    uint64_t *out = c->out + (b * c->n + start) * c->width, *first = c->all == c->layers ? out : second;
    const size_t apart = c->all == c->layers ? to : wide;
    if (c->layers == 3 && c->log_lane > 3)
      three_layers(c, first, apart, c->scratch, wide, b, 1, plain);
    else
      k->butterflies(first, apart, c->scratch, wide, wide, c->table, b, 1, c->layers, c->layers == c->log_lane);
    if (c->all > c->layers)
      k->butterflies(out, to, second, part, part, c->table, b << c->layers, (size_t)1 << c->layers, 3, 0);
  }
}

void vc_rs_begin(uint64_t *out, const uint64_t *lanes, size_t count, uint32_t log_lane, uint32_t words, uint32_t rate_bits,
                 const uint64_t *table, size_t first, size_t rows, uint64_t *scratch) {
  if (log_lane < 2) {
    short_code(out, lanes, count, log_lane, words, rate_bits, table);
    return;
  }
  const code c = {.out = out, .lanes = lanes, .table = table, .count = count, .n = (size_t)1 << log_lane,
                  .width = count * words, .blocks = (size_t)1 << rate_bits, .stream = vc_rs_rows(log_lane),
                  .stop = first + rows, .words = words, .log_lane = log_lane, .layers = first_layers(log_lane),
                  .all = top_layers(log_lane), .scratch = scratch};
  for (size_t start = first; start < c.stop; start += TILE) {
    const size_t tile = c.stop - start < TILE ? c.stop - start : TILE;
    c.layers == 1 ? begin_with_rows(&c, start, tile) : begin_after_rows(&c, start, tile);
  }
}

size_t vc_rs_blocks(uint32_t log_lane, uint32_t rate_bits) { return (size_t)1 << (top_layers(log_lane) + rate_bits); }

void vc_rs_finish(uint64_t *out, size_t width, uint32_t log_lane, const uint64_t *table, size_t first, size_t blocks) {
  const unsigned left = log_lane - top_layers(log_lane);
  const size_t most = left < 9 ? 8 : 1; /* small blocks share a vector of constants */
  if (left == 0) return;
  for (size_t b = 0; b < blocks; b += most)
    transform(vc_field(), out + ((first + b) * width << left), left, width, first + b, b + most < blocks ? most : blocks - b,
              table);
}

/* acc (n pairs) = the sum over the positions in the block, at least one, of scales[i] * x_i^b: the transpose of a block's
 * transform. Blocks with one position are geometric series. */
static void powers_block(const vc_field_kernels *k, uint64_t *acc, unsigned log, size_t block, const uint64_t *positions,
                        const uint64_t *scales, size_t count, const uint64_t *table) {
  const size_t n = (size_t)1 << log;
  if (log == 0) {
    acc[0] = scales[0];
    acc[1] = scales[1];
    return;
  }
  if (count == 1) { /* x^(2^i) is the block's twiddle of layer log - i, up to sign by the position's bit */
    acc[0] = scales[0];
    acc[1] = scales[1];
    for (unsigned i = 0; i < log; i++) {
      uint64_t place = positions[0] >> (i + 1), power = table[place];
      if (positions[0] >> i & 1) power = VC_P - power;
      k->scale(acc + ((size_t)2 << i), acc, (size_t)2 << i, power);
    }
    return;
  }
  const uint64_t middle = (uint64_t)(2 * block + 1) << (log - 1);
  size_t split = 0;
  while (split < count && positions[split] < middle) split++;
  if (split == 0 || split == count) { /* (u, 0) becomes (u, z * u), and (0, v) becomes (v, -z * v); n words are half of each */
    powers_block(k, acc, log - 1, 2 * block + (split == 0), positions, scales, count, table);
    k->scale(acc + n, acc, n, split ? table[block] : VC_P - table[block]);
    return;
  }
  powers_block(k, acc, log - 1, 2 * block, positions, scales, split, table);
  powers_block(k, acc + n, log - 1, 2 * block + 1, positions + split, scales + 2 * split, count - split, table);
  k->butterfly2_transposed(acc, n, table[block]);
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
    if (start < stop) {
      powers_block(k, acc, log_table, block, positions + start, scales + 2 * start, stop - start, roots);
      k->add(table, table, acc, (size_t)2 << log_table);
    }
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
