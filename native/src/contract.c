/* SPDX-License-Identifier: Apache-2.0 */
/* Contractions with extension vectors. The readable twins are in vcompute/proof/succinct: prefix_sums of tables.py,
 * window_axis of forms.py, the rounds of sumcheck/prove.py; contract_axis, project and vector_sum of contract.py. */
#include <string.h>

#include "field.h"
#include "goldilocks.h"
#include "integers.h"
#include "transcript.h"
#include "vcompute.h"

static void scale_add(uint64_t sum[2], const uint64_t a[2], uint64_t scale) {
  sum[0] = vc_gl_add(sum[0], vc_gl_mul(a[0], scale));
  sum[1] = vc_gl_add(sum[1], vc_gl_mul(a[1], scale));
}

void vc_prefix_sums(uint64_t *sums, uint64_t bound, const uint64_t *point, size_t bits, uint32_t shift) {
  uint64_t equal[2] = {1, 0}, below[2] = {0, 0}, moment[2] = {0, 0}, held = 0;
  if (bits < 64 && bound >> bits) equal[0] = 0, below[0] = 1, bound = 0;
  /* Most significant bit first: `equal` is the mass that follows the bound so far, of value `held`; `below` is the mass
   * already below it, of first moment `moment`. */
  for (size_t place = bits; place-- > 0; point += 2) {
    const uint64_t other[2] = {vc_gl_sub(1, point[0]), vc_gl_sub(0, point[1])};
    const uint64_t weight = place >= shift ? (uint64_t)1 << (place - shift) : 0;
    uint64_t high[2], low[2];
    vc_ext_mul(high, below, point);
    scale_add(moment, high, weight);
    vc_ext_mul(low, equal, other);
    if (bound >> place & 1) {
      scale_add(moment, low, held);
      scale_add(below, low, 1);
      vc_ext_mul(equal, equal, point);
      held += weight;
    } else {
      equal[0] = low[0], equal[1] = low[1];
    }
  }
  sums[0] = below[0], sums[1] = below[1], sums[2] = moment[0], sums[3] = moment[1];
}

void vc_ext_contract(uint64_t *out, const uint64_t *table, size_t left, size_t size, size_t right,
                     const uint64_t *vectors, size_t count) {
  const vc_field_kernels *kernels = vc_field();
  for (size_t i = 0; i < left; i++)
    for (size_t k = 0; k < size; k++, table += 2 * right)
      for (size_t j = 0; j < count; j++)
        kernels->ext_scale_add(out + 2 * (i * count + j) * right, table, vectors + 2 * (j * size + k), right);
}

void vc_ext_outer(uint64_t *out, const uint64_t *outer, size_t m, const uint64_t *inner, size_t n) {
  const vc_field_kernels *kernels = vc_field();
  for (size_t i = 0; i < m; i++) kernels->ext_scale(out + 2 * i * n, inner, outer + 2 * i, n);
}

void vc_ext_sum(uint64_t *sum, const uint64_t *vector, size_t n) {
  sum[0] = sum[1] = 0;
  for (size_t i = 0; i < n; i++) {
    sum[0] = vc_gl_add(sum[0], vector[2 * i]);
    sum[1] = vc_gl_add(sum[1], vector[2 * i + 1]);
  }
}

void vc_window_axis(uint64_t *out, size_t size, const uint64_t *positions, size_t n_positions, const uint64_t *taps,
                    size_t n_taps, int64_t stride, int64_t dilation, int64_t before) {
  memset(out, 0, 2 * size * sizeof *out);
  for (size_t k = 0; k < n_taps; k++) {
    int64_t place = (int64_t)k * dilation - before;
    for (size_t p = 0; p < n_positions && place < (int64_t)size; p++, place += stride) {
      uint64_t product[2];
      if (place < 0) continue;
      vc_ext_mul(product, positions + 2 * p, taps + 2 * k);
      out[2 * place] = vc_gl_add(out[2 * place], product[0]);
      out[2 * place + 1] = vc_gl_add(out[2 * place + 1], product[1]);
    }
  }
}

void vc_project(uint64_t *out, const int8_t *matrix, size_t rows, size_t columns, int32_t zero_point, const uint64_t *vectors,
                size_t count) {
  const vc_integer_kernels *kernels = vc_integers();
  for (size_t j = 0; j < count; j++, vectors += 2 * rows, out += 2 * columns) {
    /* kernels add 128 to entries, and this starts from what that and the zero point are too much */
    uint64_t sum[2], start[2];
    vc_ext_sum(sum, vectors, rows);
    for (int k = 0; k < 2; k++) start[k] = vc_gl_sub(0, vc_gl_mul(sum[k], (uint64_t)(zero_point + 128)));
    for (size_t c = 0; c < columns; c++) memcpy(out + 2 * c, start, sizeof start);
    for (size_t r = 0; r < rows; r += VC_PROJECT_ROWS)
      kernels->project8(out, matrix + r * columns, rows - r < VC_PROJECT_ROWS ? rows - r : VC_PROJECT_ROWS, columns, columns,
                        vectors + 2 * r);
  }
}

void vc_project_limbs(uint64_t *out, int32_t *const *limbs, size_t count, int32_t width, size_t rows, size_t columns,
                      const uint64_t *vector) {
  const vc_integer_kernels *kernels = vc_integers();
  const uint64_t step = (uint64_t)1 << width;
  memset(out, 0, 2 * columns * sizeof *out);
  for (size_t i = count; i-- > 0;) { /* by Horner's rule */
    for (size_t c = 0; i + 1 < count && c < 2 * columns; c++) out[c] = vc_gl_mul(out[c], step);
    for (size_t r = 0; r < rows; r += VC_PROJECT_ROWS32)
      kernels->project32(out, limbs[i] + r * columns, rows - r < VC_PROJECT_ROWS32 ? rows - r : VC_PROJECT_ROWS32, columns,
                         columns, vector + 2 * r);
  }
}

static void add_to(uint64_t sum[2], const uint64_t a[2]) {
  sum[0] = vc_gl_add(sum[0], a[0]);
  sum[1] = vc_gl_add(sum[1], a[1]);
}

static void ext_difference(uint64_t out[2], const uint64_t a[2], const uint64_t b[2]) {
  out[0] = vc_gl_sub(a[0], b[0]);
  out[1] = vc_gl_sub(a[1], b[1]);
}

static const uint64_t NOTHING[2] = {0, 0}; /* the neighbour of a tail's odd last value */

void vc_stack_round(uint64_t *sums, const uint64_t *a, const uint64_t *b, const uint64_t *groups, size_t n_groups, size_t tail) {
  const vc_field_kernels *kernels = vc_field();
  memset(sums, 0, 4 * sizeof *sums);
  for (size_t g = 0; g < n_groups; g++) {
    const size_t half = (size_t)1 << (groups[2 * g + 1] - 1);
    for (uint64_t i = 0; i < groups[2 * g]; i++, a += 4 * half, b += 4 * half) {
      uint64_t part[4];
      kernels->round_ext(part, a, a + 2 * half, b, b + 2 * half, half);
      add_to(sums, part);
      add_to(sums + 2, part + 2);
    }
  }
  for (size_t i = 0; i < tail; i += 2, a += 4, b += 4) {
    uint64_t step_a[2], step_b[2], product[2];
    ext_difference(step_a, i + 1 < tail ? a + 2 : NOTHING, a);
    ext_difference(step_b, i + 1 < tail ? b + 2 : NOTHING, b);
    vc_ext_mul(product, a, b);
    add_to(sums, product);
    vc_ext_mul(product, step_a, step_b);
    add_to(sums + 2, product);
  }
}

void vc_stack_fold(uint64_t *out, const uint64_t *table, const uint64_t *groups, size_t n_groups, size_t tail,
                   const uint64_t *r) {
  const vc_field_kernels *kernels = vc_field();
  for (size_t g = 0; g < n_groups; g++) {
    const size_t half = (size_t)1 << (groups[2 * g + 1] - 1);
    for (uint64_t i = 0; i < groups[2 * g]; i++, table += 4 * half, out += 2 * half)
      kernels->fold_ext(out, table, table + 2 * half, r, half);
  }
  for (size_t i = 0; i < tail; i += 2, table += 4, out += 2) {
    uint64_t step[2];
    ext_difference(step, i + 1 < tail ? table + 2 : NOTHING, table);
    vc_ext_mul(step, step, r);
    add_to(step, table);
    memcpy(out, step, sizeof step); /* may be where the table is */
  }
}

void vc_stack_rounds(uint64_t *messages, uint64_t *challenges, uint8_t *seed, uint64_t *a, uint64_t *b,
                     const vc_stack_level *levels, size_t count, const char *message, const char *challenge) {
  vc_transcript transcript;
  vc_transcript_begin(&transcript, seed, NULL, 0);
  for (size_t i = 0; i < count; i++, messages += 4, challenges += 2) {
    const size_t n_groups = (size_t)levels[i].count, tail = (size_t)levels[i].tail;
    uint8_t sent[32];
    vc_stack_round(messages, a, b, levels[i].groups, n_groups, tail);
    for (size_t j = 0; j < 4; j++) vc_store_le64(sent + 8 * j, messages[j]);
    vc_transcript_absorb_ext(&transcript, message, sent, 2);
    vc_transcript_challenge(&transcript, challenge, challenges);
    vc_stack_fold(a, a, levels[i].groups, n_groups, tail, challenges);
    vc_stack_fold(b, b, levels[i].groups, n_groups, tail, challenges);
  }
  memcpy(seed, transcript.seed, sizeof transcript.seed);
}
