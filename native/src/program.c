/* SPDX-License-Identifier: Apache-2.0 */
/* Carries out a verifier's checks, recorded from the readable verifier (vcompute/proof/succinct/program). Memory is an array
 * of extension elements; an operation names its operands by their places (program.h). Nothing branches on the proof but
 * the checks, and every message is taken from it with its bounds checked by the transcript.
 */
#include "program.h"

#include <string.h>

#include "field.h"
#include "goldilocks.h"
#include "opening.h"
#include "transcript.h"
#include "vcompute.h"

typedef struct {
  const vc_program *program;
  const vc_array *slots;
  const vc_field_kernels *k;
  vc_transcript transcript;
  uint64_t *memory;
  uint8_t *digests;
  uint64_t *scratch;
} machine;

static uint64_t *cell(const machine *v, uint32_t place) { return v->memory + 2 * (size_t)place; }

static const char *label(const machine *v, uint32_t place) { return (const char *)v->program->blob + place; }

/* The elements at n places, one after the other. */
static const uint64_t *gather(const machine *v, const uint32_t *places, size_t n) {
  for (size_t i = 0; i < n; i++) memcpy(v->scratch + 2 * i, cell(v, places[i]), 2 * sizeof(uint64_t));
  return v->scratch;
}

static void absorb_ext(machine *v, const uint32_t *p) {
  uint8_t *bytes = (uint8_t *)v->scratch;
  for (size_t i = 0; i < p[1]; i++)
    for (size_t j = 0; j < 2; j++) {
      const uint64_t word = cell(v, p[3 + i])[j];
      vc_store_le64(bytes + 16 * i + 8 * j, word);
    }
  vc_transcript_absorb_ext(&v->transcript, label(v, p[2]), bytes, p[1]);
}

static int32_t opening(machine *v, const uint32_t *p) {
  uint8_t roots[VC_MAX_TABLES * VC_DIGEST];
  const uint32_t tables = p[5];
  for (uint32_t j = 0; j < tables; j++) {
    const uint32_t received = p[6 + 2 * j], at = p[7 + 2 * j];
    memcpy(roots + VC_DIGEST * j, received ? v->digests + VC_DIGEST * (size_t)at : v->program->blob + at, VC_DIGEST);
  }
  return vc_opening_reduce(&v->transcript, cell(v, p[1]), cell(v, p[3]), cell(v, p[4]), p + 7 + 2 * tables, roots,
                           v->scratch);
}

/* What is sent, drawn and compared. */
static int32_t step(machine *v, const uint32_t *p) {
  vc_transcript *t = &v->transcript;
  switch (*p) {
    case OP_FEED: vc_transcript_feed(t, v->program->blob + p[2], p[1]); return 0;
    case OP_ABSORB_SLOT:
      vc_transcript_absorb_bytes(t, label(v, p[1]), v->slots[p[2]].data, v->slots[p[2]].bytes);
      return 0;
    case OP_RECEIVE_BYTES: return vc_transcript_bytes(t, label(v, p[2]), p[1]);
    case OP_RECEIVE_EXT: return vc_transcript_ext(t, label(v, p[2]), cell(v, p[3]), p[1]);
    case OP_RECEIVE_DIGESTS:
      return vc_transcript_digests(t, label(v, p[2]), v->digests + VC_DIGEST * (size_t)p[3], p[1]);
    case OP_GRIND: return vc_transcript_grind(t, label(v, p[1]), p[2]);
    case OP_CHALLENGES: vc_transcript_challenges(t, label(v, p[2]), cell(v, p[3]), p[1]); return 0;
    case OP_ABSORB_EXT: absorb_ext(v, p); return 0;
    case OP_REQUIRE_EQUAL:
      return memcmp(cell(v, p[1]), cell(v, p[2]), 2 * sizeof(uint64_t)) != 0 ? (int32_t)p[3] : 0;
    case OP_REQUIRE_NONZERO: return (cell(v, p[1])[0] | cell(v, p[1])[1]) == 0 ? (int32_t)p[2] : 0;
    case OP_FINISH: return t->position == t->length ? 0 : VC_TRAILING;
    default: return opening(v, p);
  }
}

static void scalar(const machine *v, const uint32_t *p) {
  uint64_t *out = cell(v, p[1]), scratch[2];
  const uint64_t *a = cell(v, p[2]), *b = *p == OP_INVERSE ? a : cell(v, p[3]);
  switch (*p) {
    case OP_ADD: out[0] = vc_gl_add(a[0], b[0]), out[1] = vc_gl_add(a[1], b[1]); break;
    case OP_SUB: out[0] = vc_gl_sub(a[0], b[0]), out[1] = vc_gl_sub(a[1], b[1]); break;
    case OP_MUL: vc_ext_mul(out, a, b); break;
    default: vc_ext_inverse_n(out, a, 1, scratch);
  }
}

/* out[place] += taps[k] * positions[p] where stride * p + dilation * k - before is the place; `before` has a sign. */
static void window(const machine *v, const uint32_t *p) {
  const size_t positions = p[1], taps = p[2], size = p[3];
  const int64_t stride = (int32_t)p[7], dilation = (int32_t)p[8], before = (int32_t)p[9];
  uint64_t *out = cell(v, p[4]);
  const uint64_t *from = cell(v, p[5]), *weights = cell(v, p[6]);
  memset(out, 0, 2 * size * sizeof *out);
  for (size_t k = 0; k < taps; k++)
    for (size_t i = 0; i < positions; i++) {
      const int64_t place = stride * (int64_t)i + dilation * (int64_t)k - before; /* all below 2^32 */
      if (place < 0 || (uint64_t)place >= size) continue;
      uint64_t product[2], *target = out + 2 * place;
      vc_ext_mul(product, from + 2 * i, weights + 2 * k);
      for (int j = 0; j < 2; j++) target[j] = vc_gl_add(target[j], product[j]);
    }
}

static void project(const machine *v, const uint32_t *p) {
  const void *tensor = v->slots[p[5]].data;
  if (p[6] == 1)
    vc_freivalds_project_i8(cell(v, p[3]), tensor, p[1], p[2], cell(v, p[4]), v->scratch);
  else
    vc_freivalds_project_i32(cell(v, p[3]), tensor, p[1], p[2], cell(v, p[4]), v->scratch);
}

static void sum(uint64_t *out, const uint64_t *a, size_t n) {
  uint64_t total[2] = {0, 0};
  for (size_t i = 0; i < 2 * n; i++) total[i & 1] = vc_gl_add(total[i & 1], a[i]);
  memcpy(out, total, sizeof total);
}

/* Results that are vectors, or one element of vectors. */
static void vector(const machine *v, const uint32_t *p) {
  const vc_field_kernels *k = v->k;
  const uint64_t one[2] = {1, 0};
  const size_t n = p[1];
  switch (*p) {
    case OP_EQ: vc_eq_tensor(cell(v, p[2]), gather(v, p + 3, n), n, one); break;
    case OP_MUL_EACH: k->ext_mul(cell(v, p[2]), cell(v, p[3]), cell(v, p[4]), n); break;
    case OP_ADD_EACH: k->add(cell(v, p[2]), cell(v, p[3]), cell(v, p[4]), 2 * n); break;
    case OP_SUB_EACH: k->sub(cell(v, p[2]), cell(v, p[3]), cell(v, p[4]), 2 * n); break;
    case OP_SCALE: k->ext_scale(cell(v, p[2]), cell(v, p[3]), cell(v, p[4]), n); break;
    case OP_OUTER:
      for (size_t i = 0; i < n; i++)
        k->ext_scale(cell(v, p[3]) + 2 * i * p[2], cell(v, p[5]), cell(v, p[4]) + 2 * i, p[2]);
      break;
    case OP_DOT: k->dot_ext(cell(v, p[2]), cell(v, p[3]), cell(v, p[4]), n); break;
    case OP_SUM: sum(cell(v, p[2]), cell(v, p[3]), n); break;
    case OP_REPEAT:
      for (size_t i = 0; i < n * p[2]; i++) memcpy(cell(v, p[3]) + 2 * i, cell(v, p[4]) + 2 * (i / p[2]), 16);
      break;
    case OP_COPY: memcpy(cell(v, p[2]), cell(v, p[3]), 2 * n * sizeof(uint64_t)); break;
    case OP_WINDOW: window(v, p); break;
    case OP_MUL_BASE: k->ext_mul_base(cell(v, p[2]), cell(v, p[3]), v->program->base + p[4], n); break;
    case OP_DOT_BASE: k->dot_base(cell(v, p[2]), cell(v, p[3]), v->program->base + p[4], n); break;
    default: project(v, p);
  }
}

int32_t vc_program_run(const vc_program *program, const vc_array *slots, const uint8_t *proof, size_t length,
                       uint64_t *memory, uint8_t *digests, uint64_t *scratch, size_t *at) {
  machine v = {.program = program, .slots = slots, .k = vc_field(), .memory = memory, .digests = digests,
               .scratch = scratch};
  for (size_t i = 0; i < program->slots; i++)
    if (program->slot_bytes[i] && program->slot_bytes[i] != slots[i].bytes) return VC_EINVAL;
  for (size_t i = 0; i < program->known; i++)
    memcpy(memory + 2 * program->places[i], program->values + 2 * i, 2 * sizeof *memory);
  vc_transcript_open(&v.transcript, proof, length);
  for (*at = 0; *at < program->code_words;) {
    const uint32_t *p = program->code + *at;
    int32_t status = 0;
    *at += vc_program_length(p);
    if (*p <= OP_FINISH || *p == OP_OPENING)
      status = step(&v, p);
    else if (*p <= OP_INVERSE)
      scalar(&v, p);
    else
      vector(&v, p);
    if (status) return status;
  }
  return VC_OK;
}
