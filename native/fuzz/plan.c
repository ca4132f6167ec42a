/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: plans from hostile bytes. What vc_plan_check accepts has to run inside its arena and constants, which
 * stand at the ends of their memory for AddressSanitizer to guard. Fields come from a compact code; ops that are
 * `honest` get the sizes and places that their attributes ask for, so that many plans pass the check. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "int8.h"
#include "vcompute.h"

#define MAX_OPS 4
#define MAX_BYTES ((int64_t)1 << 18) /* of an arena, of constants, of a filter */
#define MAX_WORK ((double)(1 << 21))

typedef struct {
  const uint8_t *at, *end;
} cursor;

static int64_t byte(cursor *c) { return c->at < c->end ? *c->at++ : 0; }

static int64_t wide(cursor *c, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++) v |= (uint64_t)byte(c) << (8 * i);
  return (int64_t)v;
}

/* Small numbers are one byte. */
static int64_t number(cursor *c) {
  const int64_t b = byte(c);
  if (b < 200) return b;
  if (b < 240) return 199 - b;
  if (b < 248) return (int64_t)((uint64_t)1 << (byte(c) % 64));
  return b < 252 ? wide(c, 2) : b < 254 ? (int32_t)wide(c, 4) : wide(c, 8);
}

static void many(cursor *c, int64_t *to, int n) {
  for (int i = 0; i < n; i++) to[i] = number(c);
}

static void read_op(cursor *c, vc_op *op) {
  op->kind = byte(c) % 15;
  op->a_size = number(c), op->b_size = number(c), op->out_size = number(c);
  many(c, &op->zero_a, 5);
  op->rounding = byte(c) % 4;
  for (int k = 0; k < 3; k++) op->multiplier[k] = byte(c) < 250 ? wide(c, 4) & INT32_MAX : number(c);
  for (int k = 0; k < 3; k++) op->shift[k] = byte(c) < 250 ? -(byte(c) % 32) : number(c);
  many(c, &op->h, 8);
  many(c, &op->stride_h, 6);
  op->rank = byte(c) % 8;
  op->reduce_rank = byte(c) % 8;
  const int ranks = (int)(op->rank + 2 < VC_MAX_RANK ? op->rank + 2 : VC_MAX_RANK);
  many(c, op->dim, ranks), many(c, op->a_stride, ranks), many(c, op->b_stride, ranks), many(c, op->out_stride, ranks);
  op->a_base = number(c), op->out_base = number(c);
  const int reduced = (int)(op->reduce_rank < VC_MAX_RANK ? op->reduce_rank : VC_MAX_RANK);
  many(c, op->reduce_dim, reduced), many(c, op->reduce_stride, reduced);
}

/* A product of dimensions, as long as that is small. */
static int64_t product(const int64_t *dim, int64_t rank) {
  int64_t n = 1;
  for (int64_t d = 0; d < rank && d < VC_MAX_RANK; d++) {
    if (dim[d] < 1 || dim[d] > MAX_BYTES) return 1;
    n *= dim[d];
    if (n > MAX_BYTES) return 1;
  }
  return n;
}

/* Bytes that strided loops reach, as long as those are few. */
static int64_t extent(const int64_t *dim, const int64_t *stride, int64_t rank, int64_t base) {
  int64_t n = base >= 0 && base < MAX_BYTES ? base + 1 : 1;
  for (int64_t d = 0; d < rank && d < VC_MAX_RANK; d++)
    if (dim[d] > 0 && dim[d] < 1 << 9 && stride[d] >= 0 && stride[d] < 1 << 9) n += (dim[d] - 1) * stride[d];
  return n;
}

static int small(int64_t v) { return v > 0 && v < 1 << 9; }

/* Let every window hold a pixel. */
static void make_window(vc_op *op) {
  if (!small(op->kernel_h) || !small(op->kernel_w) || !small(op->dilation_h) || !small(op->dilation_w)) return;
  if (!small(op->stride_h) || !small(op->stride_w) || !small(op->out_h) || !small(op->out_w)) return;
  if (op->pad_top < 0 || op->pad_top > (op->kernel_h - 1) * op->dilation_h) op->pad_top = 0;
  if (op->pad_left < 0 || op->pad_left > (op->kernel_w - 1) * op->dilation_w) op->pad_left = 0;
  const int64_t last_h = (op->out_h - 1) * op->stride_h, last_w = (op->out_w - 1) * op->stride_w;
  if (last_h - op->pad_top >= op->h) op->h = last_h + 1;
  if (last_w - op->pad_left >= op->w) op->w = last_w + 1;
}

static void make_matrices(vc_op *op) {
  const int64_t r = op->rank, matrix[] = {op->h, op->out_c};
  if (r > VC_MAX_RANK - 2) return;
  int64_t a[VC_MAX_RANK], b[VC_MAX_RANK];
  for (int64_t d = 0; d < r; d++) a[d] = b[d] = op->dim[d];
  a[r] = op->h, a[r + 1] = b[r] = op->c, b[r + 1] = op->out_c;
  op->a_size = extent(a, op->a_stride, r + 2, 0);
  op->b_size = extent(b, op->b_stride, r + 2, 0);
  op->out_size = product(op->dim, r) * product(matrix, 2);
}

/* The sizes that the other fields ask for. */
static void make_honest(vc_op *op) {
  op->rounding %= 3;
  switch (op->kind) {
    case VC_KIND_DEPTHWISE:
    case VC_KIND_AVERAGE_POOL:
    case VC_KIND_MAX_POOL:
      op->out_c = op->c;
      if (op->kind != VC_KIND_DEPTHWISE) op->dilation_h = op->dilation_w = 1;
      /* fall through */
    case VC_KIND_CONV: {
      make_window(op);
      const int64_t image[] = {op->h, op->w, op->c}, result[] = {op->out_h, op->out_w, op->out_c};
      op->a_size = product(image, 3);
      op->out_size = product(result, 3) * (op->kind == VC_KIND_CONV && !op->rounding ? 4 : 1);
      break;
    }
    case VC_KIND_BATCH_MATMUL:
      make_matrices(op);
      break;
    case VC_KIND_MEAN:
      op->a_size = extent(op->dim, op->a_stride, op->rank, 0) + extent(op->reduce_dim, op->reduce_stride, op->reduce_rank, 0);
      op->out_size = product(op->dim, op->rank);
      break;
    case VC_KIND_ADD:
    case VC_KIND_MUL:
      if (op->rank > 0 && op->rank <= VC_MAX_RANK) op->a_stride[op->rank - 1] &= 1, op->b_stride[op->rank - 1] &= 1;
      op->a_size = extent(op->dim, op->a_stride, op->rank, 0);
      op->b_size = extent(op->dim, op->b_stride, op->rank, 0);
      op->out_size = product(op->dim, op->rank);
      break;
    case VC_KIND_COPY:
      op->a_size = extent(op->dim, op->a_stride, op->rank, op->a_base);
      op->out_size = extent(op->dim, op->out_stride, op->rank, op->out_base);
      break;
    case VC_KIND_LOOKUP:
    case VC_KIND_SOFTMAX:
      op->out_size = op->a_size;
      if (op->kind == VC_KIND_SOFTMAX && op->dim[0] > 0 && op->a_size > 0) op->a_size = op->out_size -= op->a_size % op->dim[0];
      if (op->kind == VC_KIND_SOFTMAX && op->shift[0] < 0 && op->shift[0] > -32) op->shift[0] = -op->shift[0];
      break;
    default:
      break;
  }
}

static double positive(int64_t v) { return v > 0 ? (double)v : 1; }

/* No less than the steps of a run. */
static double work(const vc_op *op) {
  const double window = positive(op->kernel_h) * positive(op->kernel_w);
  double n = positive(op->a_size) + positive(op->out_size) + positive(op->scratch_size), loops = 1;
  for (int d = 0; d < VC_MAX_RANK; d++) {
    if (d < op->rank) loops *= positive(op->dim[d]);
    if (d < op->reduce_rank) loops *= positive(op->reduce_dim[d]);
  }
  n += loops * positive(op->h) * positive(op->out_c) * positive(op->c);
  return n + positive(op->out_h) * positive(op->out_w) * positive(op->out_c) * positive(op->c) * window;
}

/* Constants in memory of exactly their size, as the caller of vc_op_pack has them. */
static int32_t pack(uint8_t *constants, const vc_op *op, uint32_t seed) {
  const int channels = op->kind == VC_KIND_CONV || op->kind == VC_KIND_DEPTHWISE;
  const int64_t n = channels ? op->out_c : 0;
  int64_t filter_size = channels ? op->kernel_h * op->kernel_w * op->c * (op->kind == VC_KIND_CONV ? n : 1) : 0;
  if (op->kind == VC_KIND_CONSTANT) filter_size = op->out_size;
  if (op->kind == VC_KIND_LOOKUP && seed % 2) filter_size = 256;
  int8_t *filter = filter_size ? malloc((size_t)filter_size) : NULL, *shift = channels ? malloc((size_t)n) : NULL;
  int32_t *bias = channels ? malloc((size_t)n * 4) : NULL, *multiplier = channels ? malloc((size_t)n * 4) : NULL;
  for (int64_t i = 0; i < filter_size; i++) filter[i] = (int8_t)((seed = seed * 1664525 + 1013904223) >> 24);
  for (int64_t i = 0; i < n; i++) {
    seed = seed * 1664525 + 1013904223;
    bias[i] = (int32_t)seed >> (seed % 17);
    multiplier[i] = (int32_t)((seed * 7) & INT32_MAX);
    shift[i] = (int8_t)(seed >> 27 ? -(int)(seed >> 27) : 0);
  }
  const int32_t status = vc_op_pack(constants, op, filter, bias, multiplier, shift);
  free(filter), free(shift), free(bias), free(multiplier);
  return status;
}

static void run(vc_op *ops, int64_t count, int64_t block, int64_t samples, int64_t arena_size, int64_t constants_size,
                uint32_t seed) {
  double steps = 0;
  for (int64_t i = 0; i < count; i++) {
    const double filter = positive(ops[i].kernel_h) * positive(ops[i].kernel_w) * positive(ops[i].c) * positive(ops[i].out_c);
    if (filter > (double)MAX_BYTES) return;
    steps += work(&ops[i]) * (double)block;
  }
  if (steps > MAX_WORK) return;
  void *arena_memory, *constants_memory;
  if (posix_memalign(&arena_memory, VC_ALIGN, (size_t)arena_size)) exit(2);
  if (posix_memalign(&constants_memory, VC_ALIGN, (size_t)constants_size)) exit(2);
  uint8_t *arena = arena_memory, *constants = constants_memory;
  for (int64_t i = 0; i < arena_size; i++) arena[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
  memset(constants, 0x55, (size_t)constants_size);
  int32_t status = VC_OK;
  for (int64_t i = 0; i < count && status == VC_OK; i++) status = pack(constants + ops[i].constants, &ops[i], seed + (uint32_t)i);
  if (status == VC_OK) vc_plan_run(ops, count, constants, arena, block, samples, NULL, 0, NULL, 0);
  free(arena), free(constants);
}

static long accepted[16];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cursor c = {data, data + size};
  vc_op ops[MAX_OPS];
  memset(ops, 0, sizeof ops);
  const int64_t count = 1 + byte(&c) % MAX_OPS, block = byte(&c) < 230 ? 1 + byte(&c) % 4 : number(&c);
  const int64_t honest = byte(&c), samples = 1 + byte(&c) % 5;
  int64_t arena_size = 0, constants_size = 0;
  for (int64_t i = 0; i < count; i++) {
    vc_op *op = &ops[i];
    read_op(&c, op);
    if (honest < 200) make_honest(op);
    const int prepared = vc_op_prepare(op, block) == VC_OK;
    if (honest < 160 && prepared) { /* places that do not meet */
      const int64_t sizes[] = {op->a_size * block, op->b_size * block, op->out_size * block, op->scratch_size};
      if (op->constants_size > MAX_BYTES) return 0;
      int64_t *places[] = {&op->a, &op->b, &op->out, &op->scratch}, at = 0;
      for (int k = 0; k < 4; k++) {
        *places[k] = at;
        if (sizes[k] < MAX_BYTES) at += (int64_t)vc_round_up((size_t)sizes[k], VC_ALIGN);
      }
      if (honest >= 110) { /* but for one pair */
        const int64_t k = byte(&c) % 4;
        *places[k] = *places[byte(&c) % 4];
      }
      if (at + VC_OVERREAD > arena_size) arena_size = at + VC_OVERREAD;
      op->constants = constants_size;
      constants_size += op->constants_size;
    } else {
      int64_t *places[] = {&op->a, &op->b, &op->out, &op->scratch, &op->constants};
      const uint64_t unit = byte(&c) < 240 ? VC_ALIGN : 1;
      for (int k = 0; k < 5; k++) *places[k] = (int64_t)((uint64_t)number(&c) * unit);
      if (byte(&c) > 240) op->constants_size = number(&c), op->scratch_size = number(&c);
    }
  }
  if (arena_size == 0 || byte(&c) > 220) arena_size = (int64_t)((uint64_t)number(&c) * (uint64_t)(byte(&c) % 64));
  if (constants_size == 0 || byte(&c) > 220) constants_size = (int64_t)((uint64_t)number(&c) * (uint64_t)(byte(&c) % 64));
  if (arena_size > MAX_BYTES || constants_size > MAX_BYTES) return 0;
  if (vc_plan_check(ops, count, block, arena_size, constants_size) != VC_OK) return 0;
  for (int64_t i = 0; i < count; i++) accepted[ops[i].kind % 16]++;
  run(ops, count, block, samples, arena_size, constants_size, (uint32_t)size * 2654435761u + 1);
  return 0;
}

#if defined(VC_FUZZ_MAIN)
/* Without libFuzzer: `plan [inputs] [seed]`, random inputs that favour small numbers. Each kind has to pass now and then. */
int main(int argc, char **argv) {
  const long inputs = argc > 1 ? atol(argv[1]) : 100000;
  uint64_t state = argc > 2 ? (uint64_t)atol(argv[2]) * 2 + 1 : 1;
  uint8_t data[400];
  for (long i = 0; i < inputs; i++) {
    for (size_t k = 0; k < sizeof data; k++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const uint32_t r = (uint32_t)(state >> 33);
      data[k] = (uint8_t)(r % 16 < 9 ? 1 + (r >> 8) % 4 : r % 16 < 13 ? (r >> 8) % 20 : r % 16 < 14 ? 200 + (r >> 8) % 4 : r >> 8);
    }
    data[4] = (uint8_t)(state >> 40); /* the first kind */
    LLVMFuzzerTestOneInput(data, sizeof data);
  }
  int missing = 0;
  for (int kind = VC_KIND_CONV; kind <= VC_KIND_CONSTANT; kind++) {
    printf("kind %d accepted %ld\n", kind, accepted[kind]);
    missing |= accepted[kind] == 0;
  }
  return missing;
}
#endif
