/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a requantised node: quotient, value, sign and limbs of the remainder, and how often each table row is
 * looked up. The readable twin is vcompute/proof/succinct/witness.py. A linear node's accumulators are made a block of lines
 * at a time and floored while they are in the cache.
 */
#include <string.h>

#include "cpu.h"
#include "integers.h"
#include "plan.h"

#define BLOCK_BYTES ((size_t)1 << 16) /* of accumulators */

const vc_integer_kernels *vc_integers(void) {
#if defined(VC_HAVE_AVX512)
  if (vc_cpu_has(VC_CPU_AVX512)) return &vc_integers_avx512;
#endif
#if defined(VC_HAVE_AVX2)
  if (vc_cpu_has(VC_CPU_AVX2)) return &vc_integers_avx2;
#endif
  return &vc_integers_portable;
}

/* ---- lines of a linear op ---- */

static size_t line_elements(const vc_op *op) { return (size_t)(op->out_w * op->out_c); }

/* Lines of a block: of an image without height they are samples. */
static size_t block_lines(const vc_op *op) {
  const size_t lines = BLOCK_BYTES / (line_elements(op) * sizeof(int32_t)), most = (size_t)op->out_h;
  return lines < 1 ? 1 : lines < most ? lines : most;
}

/* The rows of the image that lines y .. y + lines - 1 see. */
static void rows_seen(const vc_op *op, size_t y, size_t lines, int64_t *from, int64_t *to) {
  const int64_t top = (int64_t)y * op->stride_h - op->pad_top;
  const int64_t bottom = top + (int64_t)(lines - 1) * op->stride_h + (op->kernel_h - 1) * op->dilation_h + 1;
  *from = top < 0 ? 0 : top;
  *to = bottom > op->h ? op->h : bottom;
}

static size_t slab_bytes(const vc_op *op) {
  const int64_t rows = (int64_t)(block_lines(op) - 1) * op->stride_h + (op->kernel_h - 1) * op->dilation_h + 1;
  return vc_round_up((size_t)((rows < op->h ? rows : op->h) * op->w * op->c) + VC_OVERREAD, VC_ALIGN);
}

size_t vc_linear_scratch(const vc_op *op) { return (size_t)op->scratch_size + slab_bytes(op); }

/* Lines of one sample, at most a block: an op of its own on the rows that they see. Kernels read past the end of an operand,
 * so rows at the end of everything are copied first. */
static void sample_lines(int32_t *out, const vc_op *op, const uint8_t *constants, const int8_t *x, const int8_t *end,
                         size_t y, size_t lines, uint8_t *scratch) {
  int64_t from, to;
  rows_seen(op, y, lines, &from, &to);
  const size_t bytes = (size_t)((to - from) * op->w * op->c);
  vc_op part = *op;
  part.pad_top = op->pad_top - (int64_t)y * op->stride_h + from;
  part.h = to - from;
  part.out_h = (int64_t)lines;
  part.a_size = (int64_t)bytes;
  part.out_size = (int64_t)(lines * line_elements(op) * sizeof *out);
  const int8_t *rows = x + from * op->w * op->c;
  if ((size_t)(end - rows) < bytes + VC_OVERREAD) rows = memcpy(scratch + op->scratch_size, rows, bytes);
  const vc_step step = {&part, vc_int8(), constants, scratch, rows, NULL, (int8_t *)out, 1};
  if (op->kind == VC_KIND_DEPTHWISE)
    vc_run_depthwise(&step);
  else
    vc_run_conv(&step);
}

/* One block from line `at` on, at most `lines`; how many lines it was. */
static size_t next_block(int32_t *out, const vc_op *op, const uint8_t *constants, const int8_t *x, size_t samples, size_t at,
                         size_t lines, uint8_t *scratch) {
  const size_t height = (size_t)op->out_h, y = at % height, image = (size_t)(op->h * op->w * op->c);
  size_t n = block_lines(op);
  if (n > lines) n = lines;
  if (n > height - y) n = height - y;
  sample_lines(out, op, constants, x + at / height * image, x + samples * image, y, n, scratch);
  return n;
}

void vc_linear_lines(int32_t *out, const vc_op *op, const uint8_t *constants, const int8_t *x, size_t samples, size_t first,
                     size_t lines, uint8_t *scratch) {
  for (size_t done = 0; done < lines;) {
    const size_t n = next_block(out, op, constants, x, samples, first + done, lines - done, scratch);
    out += n * line_elements(op);
    done += n;
  }
}

/* ---- floors ---- */

size_t vc_floor_scratch(const vc_op *op) {
  return vc_linear_scratch(op) + vc_round_up(block_lines(op) * line_elements(op) * sizeof(int32_t) + VC_OVERREAD, VC_ALIGN);
}

/* n accumulators, the first of them of channel 0 and element `at`. */
static int32_t floor_block(const vc_integer_kernels *k, const vc_floor *p, const int32_t *products, size_t n, size_t at) {
  int64_t t[VC_FLOOR_CHUNK];
  size_t phase = 0;
  for (size_t i = 0, count; i < n; i += count) {
    count = n - i < VC_FLOOR_CHUNK ? n - i : VC_FLOOR_CHUNK;
    if (count > p->period - phase) count = (size_t)p->period - phase;
    k->affine(t, products + i, p->slope + phase, p->offset + phase, count);
    if (!k->floor(p, t, p->step + phase, phase, count, at + i)) return 0;
    phase += count;
    if (phase == p->period) phase = 0;
  }
  return 1;
}

int32_t vc_floor_linear(const vc_floor *p, const vc_op *op, const uint8_t *constants, const int8_t *x, size_t samples,
                        size_t first, size_t lines, uint8_t *scratch) {
  const vc_integer_kernels *k = vc_integers();
  int32_t *products = (int32_t *)(void *)(scratch + vc_linear_scratch(op));
  const size_t line = line_elements(op);
  for (size_t done = 0; done < lines;) {
    const size_t n = next_block(products, op, constants, x, samples, first + done, lines - done, scratch);
    if (!floor_block(k, p, products, n * line, (first + done) * line)) return 0;
    done += n;
  }
  return 1;
}

int32_t vc_floor_values(const vc_floor *p, const int64_t *values, int64_t step, size_t first, size_t count) {
  const vc_integer_kernels *k = vc_integers();
  int64_t t[VC_FLOOR_CHUNK], steps[VC_FLOOR_CHUNK];
  for (size_t i = 0; i < VC_FLOOR_CHUNK; i++) steps[i] = step;
  for (size_t at = first, n; at < first + count; at += n) {
    n = first + count - at < VC_FLOOR_CHUNK ? first + count - at : VC_FLOOR_CHUNK;
    memcpy(t, values + at, n * sizeof *t);
    if (!k->floor(p, t, steps, 0, n, at)) return 0;
  }
  return 1;
}

int32_t vc_floor_sums(const vc_floor *p, const int8_t *a, const int8_t *b, const int64_t *slopes, int64_t offset,
                      int64_t step, size_t first, size_t count) {
  const vc_integer_kernels *k = vc_integers();
  int64_t t[VC_FLOOR_CHUNK], steps[VC_FLOOR_CHUNK];
  for (size_t i = 0; i < VC_FLOOR_CHUNK; i++) steps[i] = step;
  for (size_t at = first, n; at < first + count; at += n) {
    n = first + count - at < VC_FLOOR_CHUNK ? first + count - at : VC_FLOOR_CHUNK;
    k->sums(t, a + at, b + at, slopes[0], slopes[1], offset, n);
    if (!k->floor(p, t, steps, 0, n, at)) return 0;
  }
  return 1;
}
