/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a program stays inside its arrays. Programs are the library's own, so a failure is a fault of the recorder; the
 * check is made once for each program all the same, and a run can then trust every place.
 */
#include <string.h>

#include "program.h"
#include "vcompute.h"

const char *const vc_program_operands[OPS] = {
    [OP_FEED] = "nb", [OP_ABSORB_SLOT] = "la", [OP_RECEIVE_BYTES] = "nl", [OP_RECEIVE_EXT] = "nlD",
    [OP_RECEIVE_DIGESTS] = "nlg", [OP_GRIND] = "lq", [OP_CHALLENGES] = "nlD", [OP_ABSORB_EXT] = "nlP",
    [OP_REQUIRE_EQUAL] = "ssc", [OP_REQUIRE_NONZERO] = "sc", [OP_FINISH] = "", [OP_ADD] = "dss", [OP_SUB] = "dss",
    [OP_MUL] = "dss", [OP_INVERSE] = "ds", [OP_EQ] = "nEP", [OP_MUL_EACH] = "nDVV", [OP_ADD_EACH] = "nDVV",
    [OP_SUB_EACH] = "nDVV", [OP_SCALE] = "nDVs", [OP_OUTER] = "nmXVW", [OP_DOT] = "ndVV", [OP_SUM] = "ndV",
    [OP_REPEAT] = "nmXV", [OP_COPY] = "nDV", [OP_WINDOW] = "nmzZVWccc", [OP_MUL_BASE] = "nDVk", [OP_DOT_BASE] = "ndVk",
    [OP_PROJECT] = "nmDWtc", [OP_OPENING] = "o",
};

size_t vc_program_length(const uint32_t *p) {
  switch (*p) {
    case OP_ABSORB_EXT:
    case OP_EQ: return 3 + (size_t)p[1];
    case OP_OPENING: {
      const size_t roots = 2 * (size_t)p[5];
      return VC_OPENING_HEAD + roots + 1 + p[VC_OPENING_HEAD + roots];
    }
    default: return 1 + strlen(vc_program_operands[*p]);
  }
}

typedef struct {
  const vc_program *program;
  const uint32_t *p; /* the operand */
  size_t left;       /* words from it on */
  uint64_t n, m, z;
  size_t scratch;
} cursor;

static int within(uint64_t at, uint64_t count, uint64_t size) { return at <= size && count <= size - at; }

static void need(cursor *c, size_t words) {
  if (words > c->scratch) c->scratch = words;
}

/* A plan that vc_opening_reduce can follow, of `words` words in all, for a sumcheck of `length` rounds. */
static int good_plan(const uint32_t *plan, size_t words, uint32_t tables, uint64_t length) {
  if (words < 1 || plan[0] < 1 || plan[0] > 64) return 0;
  const uint32_t rounds = plan[0];
  const uint32_t *end = plan + words;
  uint32_t next = 0, lane_variables = 0;
  uint64_t bound = 0;
  plan++;
  for (uint32_t i = 0; i < rounds; i++) {
    if (end - plan < 6) return 0;
    const uint32_t here = plan[0], fold = plan[1], last = plan[3], before = next;
    next = plan[2];
    if (here != (i ? 1 : tables) || fold < 1 || fold > 6 || next > 32 || last != (i + 1 == rounds) || plan[4] > 64 ||
        plan[5] > 64)
      return 0;
    plan += 6;
    bound += fold;
    for (uint32_t j = 0; j < here; j++, plan += 5) {
      if (end - plan < 5) return 0;
      const uint32_t lanes = plan[1], log_domain = plan[2], queries = plan[3];
      lane_variables = plan[0];
      if (lane_variables > 28 || lanes < 1 || lanes > UINT32_C(1) << fold || log_domain < lane_variables ||
          log_domain > 32 || queries < 1 || queries > 1 << 16 || lane_variables > next ||
          !within(plan[4], UINT64_C(1) << lane_variables, UINT64_C(1) << next))
        return 0;
    }
    if (i && (lane_variables + fold != before || next != lane_variables)) return 0; /* one table, as the round before left it */
  }
  return plan == end && length == bound + next && next <= 16;
}

/* end, length, point, running, tables, (received?, place) for each, words of the plan, the plan. */
static int opening(cursor *c) {
  const vc_program *program = c->program;
  if (c->left < VC_OPENING_HEAD) return 0;
  const uint32_t end = c->p[0], length = c->p[1], point = c->p[2], running = c->p[3], tables = c->p[4];
  if (tables < 1 || tables > VC_MAX_TABLES || c->left < VC_OPENING_HEAD + 2 * (size_t)tables) return 0;
  if (!within(end, 3, program->memory) || !within(point, length, program->memory) || running >= program->memory) return 0;
  for (uint32_t j = 0; j < tables; j++) {
    const uint32_t received = c->p[5 + 2 * j], at = c->p[6 + 2 * j];
    if (received ? at >= program->digests : !within(at, VC_DIGEST, program->blob_bytes)) return 0;
  }
  const size_t head = 5 + 2 * (size_t)tables, words = c->p[head];
  if (words > c->left - head - 1 || !good_plan(c->p + head + 1, words, tables, length)) return 0;
  need(c, vc_check_opening_scratch(c->p + head + 1));
  return 1;
}

static int projection(cursor *c) {
  if (c->left < 2 || c->p[0] >= c->program->slots || (c->p[1] != 1 && c->p[1] != 4)) return 0;
  if (c->n > 1 << 28 || c->m > 1 << 28 || c->program->slot_bytes[c->p[0]] != c->n * c->m * c->p[1]) return 0;
  need(c, c->p[1] == 1 ? vc_freivalds_scratch_i8((size_t)c->m) : vc_freivalds_scratch_i32((size_t)c->m));
  return 1;
}

static int scalars(cursor *c) {
  if (c->n > c->left) return 0;
  for (uint64_t i = 0; i < c->n; i++)
    if (c->p[i] >= c->program->memory) return 0;
  need(c, 2 * (size_t)c->n);
  return 1;
}

static int operand(cursor *c, char kind) {
  const vc_program *program = c->program;
  const uint32_t word = c->left ? *c->p : 0;
  switch (kind) {
    case 'o': return opening(c);
    case 'P': return scalars(c);
    default: if (!c->left) return 0;
  }
  switch (kind) {
    case 'n': return (void)(c->n = word), 1;
    case 'm': return (void)(c->m = word), 1;
    case 'z': return (void)(c->z = word), 1;
    case 'd':
    case 's': return word < program->memory;
    case 'D':
    case 'V': return within(word, c->n, program->memory);
    case 'W': return within(word, c->m, program->memory);
    case 'X': return within(word, c->n * c->m, program->memory);
    case 'Z': return within(word, c->z, program->memory);
    case 'E': return c->n < 32 && within(word, UINT64_C(1) << c->n, program->memory);
    case 'k': return within(word, c->n, program->base_words);
    case 'b': return within(word, c->n, program->blob_bytes);
    case 'g': return within(word, c->n, program->digests);
    case 'l': return word < program->blob_bytes && memchr(program->blob + word, 0, program->blob_bytes - word) != NULL;
    case 'a': return word < program->slots;
    case 't': return projection(c);
    case 'q': return word <= 64;
    default: return 1;
  }
}

int32_t vc_program_check(const vc_program *program, size_t *scratch_words) {
  cursor c = {.program = program, .scratch = 2};
  for (size_t i = 0; i < program->known; i++)
    if (program->places[i] >= program->memory) return VC_EINVAL;
  for (size_t at = 0; at < program->code_words; at += vc_program_length(program->code + at)) {
    const uint32_t op = program->code[at];
    if (op < 1 || op >= OPS) return VC_EINVAL;
    c.p = program->code + at + 1;
    c.left = program->code_words - at - 1;
    c.n = c.m = c.z = 0;
    for (const char *kind = vc_program_operands[op]; *kind; kind++) {
      if (!operand(&c, *kind)) return VC_EINVAL;
      if (*kind != 'P' && *kind != 'o') c.p++, c.left--;
    }
  }
  *scratch_words = c.scratch;
  return VC_OK;
}
