/* SPDX-License-Identifier: Apache-2.0 */
/* Run lowered models from standard input with this build's kernels and compare every byte of their outputs.
 *
 * tests/support/programs.py writes the stream: programs one after the other, all numbers int64, little-endian, all byte
 * strings padded to 8. A program is
 *   block, arena size without scratch, samples, number of ops, of inputs, of outputs
 *   the ops as vc_op, their operands placed, without constants and scratch
 *   for each op: filter, bias, multiplier, shift, each as length and bytes (length 0: none)
 *   for each input, then each output: offset, size of a sample, the bytes of all samples
 * Each program runs twice over an arena full of garbage. Prints the kernels and the programs passed and failed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "int8.h"
#include "vcompute.h"

static uint8_t *stream, *end;

static void *fresh(size_t n) {
  void *p = aligned_alloc(VC_ALIGN, vc_round_up(n + 1, VC_ALIGN));
  if (!p) exit(2);
  memset(p, 0x55, vc_round_up(n + 1, VC_ALIGN));
  return p;
}

static uint8_t *take(size_t n) {
  uint8_t *at = stream;
  if (n > (size_t)(end - stream)) {
    fprintf(stderr, "the stream ends early\n");
    exit(2);
  }
  stream += vc_round_up(n, 8);
  return at;
}

static int64_t number(void) {
  int64_t v;
  memcpy(&v, take(8), 8);
  return v;
}

static uint8_t *bytes(void) {
  const size_t n = (size_t)number();
  return n ? take(n) : NULL;
}

static void read_all(void) {
  size_t size = 0, room = 1 << 20;
  stream = malloc(room);
  for (size_t n; stream && (n = fread(stream + size, 1, room - size, stdin)) > 0;) {
    size += n;
    if (size == room) stream = realloc(stream, room *= 2);
  }
  if (!stream) exit(2);
  end = stream + size;
}

typedef struct {
  int64_t block, arena_size, samples, n_ops, n_inputs, n_outputs;
} header;

/* The ops with their constants packed; NULL where the core refuses. */
static uint8_t *prepare(vc_op *ops, const header *h, int64_t *arena_size) {
  int64_t scratch = 0, constants_size = 0;
  for (int64_t i = 0; i < h->n_ops; i++) {
    if (vc_op_prepare(&ops[i], h->block) != VC_OK) return NULL;
    ops[i].scratch = (int64_t)vc_round_up((size_t)h->arena_size, VC_ALIGN);
    ops[i].constants = constants_size;
    constants_size += ops[i].constants_size;
    if (ops[i].scratch_size > scratch) scratch = ops[i].scratch_size;
  }
  *arena_size = (int64_t)vc_round_up((size_t)h->arena_size, VC_ALIGN) + scratch + VC_OVERREAD;
  uint8_t *constants = fresh((size_t)constants_size);
  int status = VC_OK;
  for (int64_t i = 0; i < h->n_ops; i++) {
    const int8_t *filter = (const int8_t *)bytes();
    const int32_t *bias = (const int32_t *)(const void *)bytes();
    const int32_t *multiplier = (const int32_t *)(const void *)bytes();
    const int8_t *shift = (const int8_t *)bytes();
    if (status == VC_OK) status = vc_op_pack(constants + ops[i].constants, &ops[i], filter, bias, multiplier, shift);
  }
  if (status == VC_OK) status = vc_plan_check(ops, h->n_ops, h->block, *arena_size, constants_size);
  if (status == VC_OK) return constants;
  free(constants);
  return NULL;
}

static vc_port *ports(int64_t n, int64_t samples) {
  vc_port *p = fresh((size_t)n * sizeof *p);
  for (int64_t i = 0; i < n; i++) {
    p[i].offset = number();
    p[i].size = number();
    p[i].data = take((size_t)(samples * p[i].size));
  }
  return p;
}

static int run_one(void) {
  header h;
  memcpy(&h, take(sizeof h), sizeof h);
  vc_op *ops = fresh((size_t)h.n_ops * sizeof *ops);
  memcpy(ops, take((size_t)h.n_ops * sizeof *ops), (size_t)h.n_ops * sizeof *ops);
  int64_t arena_size = 0;
  uint8_t *constants = prepare(ops, &h, &arena_size);
  if (!constants) {
    fprintf(stderr, "the core refuses the program\n");
    exit(2);
  }
  vc_port *inputs = ports(h.n_inputs, h.samples), *outputs = ports(h.n_outputs, h.samples);
  vc_port *results = fresh((size_t)h.n_outputs * sizeof *results);
  uint8_t *arena = fresh((size_t)arena_size);
  for (int64_t i = 0; i < h.n_outputs; i++) {
    results[i] = outputs[i];
    results[i].data = fresh((size_t)(h.samples * outputs[i].size));
  }
  int ok = 1;
  for (int again = 0; again < 2; again++) {
    memset(arena, again ? 0xaa : 0x55, (size_t)arena_size);
    vc_plan_run(ops, h.n_ops, constants, arena, h.block, h.samples, inputs, h.n_inputs, results, h.n_outputs);
    for (int64_t i = 0; i < h.n_outputs; i++)
      ok &= memcmp(results[i].data, outputs[i].data, (size_t)(h.samples * outputs[i].size)) == 0;
  }
  for (int64_t i = 0; i < h.n_outputs; i++) free(results[i].data);
  free(results), free(outputs), free(inputs), free(arena), free(constants), free(ops);
  return ok;
}

int main(void) {
  int64_t passed = 0, failed = 0;
  read_all();
  uint8_t *start = stream;
  while (stream < end) {
    if (run_one()) {
      passed++;
    } else {
      printf("differs %lld\n", (long long)(passed + failed));
      failed++;
    }
  }
  free(start);
  printf("kernels %s\npassed %lld\nfailed %lld\n", vc_int8_name(), (long long)passed, (long long)failed);
  return failed != 0;
}
