/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier of openings, twin of reduce_opening in vcompute/commitment/verify.py: the same steps, the same order, the same
 * codes. The plan is the caller's own (it follows from the parameter set), the proof is the peer's.
 */
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "goldilocks.h"
#include "opening.h"
#include "transcript.h"
#include "vcompute.h"

enum { DIGEST = 27, ROUND_WORDS = 6, TABLE_WORDS = 5 };

typedef struct {
  uint32_t tables, fold, next_variables, last, fold_grinding, query_grinding;
} round_plan;

typedef struct {
  uint32_t lane_variables, lanes, log_domain, queries, offset;
} table_plan;

/* What the opened leaves of one table say of its fold: its polynomial at points[i] is values[i]. */
typedef struct {
  table_plan plan;
  size_t count;
  uint64_t *points, *values;
} answers;

typedef struct {
  vc_transcript *transcript;
  const vc_field_kernels *k;
  uint64_t *free; /* scratch not yet given out */
} context;

static uint64_t *take(context *c, size_t words) {
  uint64_t *start = c->free;
  c->free += words;
  return start;
}

static size_t digest_words(size_t count) { return (count * DIGEST + 7) / 8; }

/* Variables of the table sent in clear. */
static uint32_t plan_final(const uint32_t *plan, uint32_t rounds) {
  for (uint32_t i = 0; i + 1 < rounds; i++) plan += ROUND_WORDS + TABLE_WORDS * plan[0];
  return plan[2];
}

static const uint32_t *read_round(round_plan *r, const uint32_t *plan) {
  memcpy(r, plan, sizeof *r);
  return plan + ROUND_WORDS;
}

size_t vc_check_opening_scratch(const uint32_t *plan) {
  uint32_t rounds = *plan++;
  size_t words = 0, tables = 0;
  round_plan r = {0, 0, 0, 0, 0, 0};
  for (uint32_t i = 0; i < rounds; i++) {
    plan = read_round(&r, plan);
    tables += r.tables;
    for (uint32_t j = 0; j < r.tables; j++, plan += TABLE_WORDS) {
      table_plan t;
      memcpy(&t, plan, sizeof t);
      size_t width = (i ? 2 : 1) * t.lanes, siblings = (size_t)t.queries * t.log_domain;
      words += t.queries * (1 + 1 + 2 + width + 1) + 2 * digest_words(t.queries) + digest_words(siblings) +
               digest_words(2 * (size_t)t.queries) + ((size_t)2 << r.fold);
      words += 2 * t.queries; /* powers or extensions at the end */
    }
  }
  words += (size_t)4 << r.next_variables; /* the final table and eq at its point */
  return words + tables * (sizeof(answers) / 8) + 2 * rounds + 64;
}

/* Sorted, each once; the new count. */
static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static size_t sort_distinct(uint64_t *positions, size_t count) {
  size_t kept = 0;
  qsort(positions, count, sizeof *positions, compare);
  for (size_t i = 0; i < count; i++)
    if (kept == 0 || positions[kept - 1] != positions[i]) positions[kept++] = positions[i];
  return kept;
}

/* Move sorted positions to their parents; the new count. Siblings that are not among them are `*missing` more, and stand in
 * `siblings` unless it is NULL. */
static size_t parents(uint64_t *positions, size_t count, size_t *missing, uint64_t *siblings) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (i + 1 < count && positions[i + 1] == (positions[i] ^ 1)) {
      i++;
    } else {
      if (siblings) siblings[*missing] = positions[i] ^ 1;
      ++*missing;
    }
    positions[kept++] = positions[i] >> 1;
  }
  return kept;
}

size_t vc_missing_siblings(uint64_t *places, size_t *leaves, uint64_t *positions, size_t count, size_t height) {
  const uint64_t size = (uint64_t)1 << height;
  size_t missing = 0;
  *leaves = 0;
  for (size_t level = 0; level < height; level++) {
    const size_t before = missing;
    count = parents(positions, count, &missing, places);
    if (level == 0) *leaves = missing;
    /* a level of nodes begins behind those below it */
    for (size_t i = before; i < missing && level > 0; i++) places[i] += size - (size >> (level - 1));
  }
  return missing;
}

/* Whether rows hash to the root. `nodes` holds the leaves' digests and is used up, as are the positions. */
static int leads_to_root(const uint8_t *root, uint32_t height, uint64_t *positions, size_t count, uint8_t *nodes,
                         const uint8_t *siblings, uint8_t *pairs) {
  for (uint32_t level = 0; level < height; level++) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++, kept++) {
      uint8_t *pair = pairs + 2 * DIGEST * kept;
      if (i + 1 < count && positions[i + 1] == (positions[i] ^ 1)) {
        memcpy(pair, nodes + DIGEST * i, 2 * DIGEST);
        i++;
      } else {
        const size_t odd = positions[i] & 1;
        memcpy(pair + DIGEST * odd, nodes + DIGEST * i, DIGEST);
        memcpy(pair + DIGEST * (1 - odd), siblings, DIGEST);
        siblings += DIGEST;
      }
      positions[kept] = positions[i] >> 1;
    }
    vc_hash_pairs(nodes, pairs, kept);
    count = kept;
  }
  return memcmp(nodes, root, DIGEST) == 0;
}

/* `count` rounds of sumcheck: h(0) and the leading coefficient are sent, h(1) = running - h(0) follows. */
static int32_t folds(context *c, uint64_t running[2], uint64_t *alphas, size_t count, uint32_t grinding) {
  for (size_t i = 0; i < count; i++) {
    uint64_t message[4], *alpha = alphas + 2 * i, value[2];
    int32_t status = vc_transcript_ext(c->transcript, "sumcheck", message, 2);
    if (!status) status = vc_transcript_grind(c->transcript, "fold work", grinding);
    if (status) return status;
    vc_transcript_challenge(c->transcript, "fold", alpha);
    vc_ext_mul(value, alpha, message + 2);
    for (int j = 0; j < 2; j++) { /* the slope is running - 2 h(0) - leading */
      uint64_t slope = vc_gl_sub(vc_gl_sub(running[j], vc_gl_add(message[j], message[j])), message[2 + j]);
      value[j] = vc_gl_add(value[j], slope);
    }
    vc_ext_mul(value, alpha, value);
    for (int j = 0; j < 2; j++) running[j] = vc_gl_add(message[j], value[j]);
  }
  return 0;
}

/* Draw positions, receive their rows, check them against the root, and fold them. */
static int32_t receive_rows(context *c, answers *a, const uint8_t *root, const uint64_t *alphas, uint32_t fold,
                            int extension) {
  const table_plan *t = &a->plan;
  const size_t words = extension ? 2 : 1, width = words * t->lanes;
  const uint64_t one[2] = {1, 0};
  uint64_t *positions = take(c, t->queries), *copy = take(c, t->queries);
  vc_transcript_positions(c->transcript, "positions", positions, t->queries, t->log_domain);
  a->count = sort_distinct(positions, t->queries);
  uint64_t *rows = take(c, t->queries * width);
  int32_t status = vc_transcript_base(c->transcript, "rows", rows, a->count * width);
  if (status) return status;
  size_t missing = 0, left = a->count;
  memcpy(copy, positions, a->count * sizeof *copy);
  for (uint32_t level = 0; level < t->log_domain; level++) left = parents(copy, left, &missing, NULL);
  uint8_t *siblings = (uint8_t *)take(c, digest_words((size_t)t->queries * t->log_domain));
  status = vc_transcript_digests(c->transcript, "siblings", siblings, missing);
  if (status) return status;
  a->points = take(c, t->queries);
  vc_domain_points(a->points, t->log_domain, positions, a->count);
  uint8_t *nodes = (uint8_t *)take(c, digest_words(t->queries));
  uint8_t *pairs = (uint8_t *)take(c, digest_words(2 * (size_t)t->queries));
  vc_hash_rows(nodes, rows, a->count, width);
  if (!leads_to_root(root, t->log_domain, positions, a->count, nodes, siblings, pairs)) return VC_MERKLE;
  uint64_t *lanes = take(c, (size_t)2 << fold);
  vc_eq_tensor(lanes, alphas, fold, one);
  a->values = take(c, 2 * t->queries);
  for (size_t i = 0; i < a->count; i++) {
    if (extension)
      c->k->dot_ext(a->values + 2 * i, lanes, rows + i * width, t->lanes);
    else
      c->k->dot_base(a->values + 2 * i, lanes, rows + i * width, t->lanes);
  }
  return 0;
}

/* sum += the sum of weights[i] * scale^(i + 1); scale's power goes on from `power`. */
static void add_powers(uint64_t sum[2], uint64_t power[2], const uint64_t scale[2], const uint64_t *weights, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint64_t product[2];
    vc_ext_mul(power, power, scale);
    vc_ext_mul(product, power, weights + 2 * i);
    for (int j = 0; j < 2; j++) sum[j] = vc_gl_add(sum[j], product[j]);
  }
}

/* eq of the block's place and the point's leading coordinates. */
static void prefix_of(uint64_t out[2], const uint64_t *point, size_t outer, uint64_t place) {
  out[0] = 1, out[1] = 0;
  for (size_t i = 0; i < outer; i++) {
    const uint64_t *r = point + 2 * i;
    const uint64_t not_r[2] = {vc_gl_sub(1, r[0]), vc_gl_sub(0, r[1])};
    vc_ext_mul(out, out, place >> (outer - 1 - i) & 1 ? r : not_r);
  }
}

static int32_t check_final(context *c, const answers *a, size_t tables, const uint64_t *final) {
  for (size_t j = 0; j < tables; j++) {
    const size_t size = (size_t)1 << a[j].plan.lane_variables;
    uint64_t *values = take(c, 2 * a[j].plan.queries);
    vc_evaluate_at(values, final + 2 * (size_t)a[j].plan.offset, size, a[j].points, a[j].count);
    if (memcmp(values, a[j].values, 2 * a[j].count * sizeof *values) != 0) return VC_QUERY;
  }
  return 0;
}

/* weights += the batched weights y^b of a round's queried points at the point of the next table. */
static void query_weights(context *c, uint64_t weights[2], const answers *a, size_t tables, const uint64_t scale[2],
                          const uint64_t *point, size_t variables) {
  uint64_t power[2] = {1, 0};
  for (size_t j = 0; j < tables; j++) {
    const size_t inner = a[j].plan.lane_variables, outer = variables - inner;
    uint64_t prefix[2], sum[2] = {0, 0}, *extensions = take(c, 2 * a[j].plan.queries);
    prefix_of(prefix, point, outer, (uint64_t)a[j].plan.offset >> inner);
    vc_powers_extension(extensions, point + 2 * outer, inner, a[j].points, a[j].count);
    add_powers(sum, power, scale, extensions, a[j].count);
    vc_ext_mul(sum, sum, prefix);
    for (int i = 0; i < 2; i++) weights[i] = vc_gl_add(weights[i], sum[i]);
  }
}

/* One round; the answers of its tables go to a[0 .. tables). `root` is the next table's on return. */
static int32_t run_round(context *c, const round_plan *r, const uint32_t *plan, int first, answers *a, const uint8_t *roots,
                         uint8_t root[DIGEST], uint64_t running[2], uint64_t *alphas, uint64_t combination[2],
                         uint64_t *final) {
  uint8_t next[DIGEST];
  int32_t status = folds(c, running, alphas, r->fold, r->fold_grinding);
  if (status) return status;
  if (r->last)
    status = vc_transcript_ext(c->transcript, "final polynomial", final, (size_t)1 << r->next_variables);
  else
    status = vc_transcript_digests(c->transcript, "root", next, 1);
  if (!status) status = vc_transcript_grind(c->transcript, "query work", r->query_grinding);
  for (uint32_t j = 0; j < r->tables && !status; j++) {
    memcpy(&a[j].plan, plan + TABLE_WORDS * j, sizeof a[j].plan);
    status = receive_rows(c, &a[j], first ? roots + DIGEST * j : root, alphas, r->fold, !first);
  }
  if (status) return status;
  if (r->last) return check_final(c, a, r->tables, final);
  uint64_t power[2] = {1, 0};
  vc_transcript_challenge(c->transcript, "combination", combination);
  for (uint32_t j = 0; j < r->tables; j++) add_powers(running, power, combination, a[j].values, a[j].count);
  memcpy(root, next, DIGEST);
  return 0;
}

int32_t vc_opening_reduce(vc_transcript *transcript, uint64_t *end, uint64_t *point, const uint64_t *claimed,
                          const uint32_t *plan, const uint8_t *roots, uint64_t *scratch) {
  context c = {.transcript = transcript, .k = vc_field(), .free = scratch};
  const uint32_t rounds = *plan++, tables = plan[0]; /* all rounds but the first have one table */
  uint64_t running[2] = {claimed[0], claimed[1]}, *alphas = point;
  uint64_t *combinations = take(&c, 2 * rounds), *final = take(&c, (size_t)2 << plan_final(plan, rounds));
  answers *all = (answers *)(void *)take(&c, (tables + rounds - 1) * (sizeof(answers) / 8)), *a = all;
  uint8_t root[DIGEST];
  round_plan r = {0, 0, 0, 0, 0, 0};
  const uint32_t *start = plan;
  for (uint32_t i = 0; i < rounds; i++, alphas += 2 * r.fold) {
    plan = read_round(&r, plan);
    int32_t status =
        run_round(&c, &r, plan, i == 0, a, roots, root, running, alphas, combinations + 2 * i, final);
    if (status) return status;
    plan += TABLE_WORDS * r.tables;
    a += r.tables;
  }
  const size_t variables = (size_t)(alphas - point) / 2 + r.next_variables;
  int32_t status = folds(&c, running, alphas, r.next_variables, 0);
  if (status) return status;
  vc_transcript_squeeze(transcript, "end of opening");
  const uint64_t one[2] = {1, 0};
  uint64_t *corners = take(&c, (size_t)2 << r.next_variables);
  vc_eq_tensor(corners, alphas, r.next_variables, one);
  c.k->dot_ext(end, corners, final, (size_t)1 << r.next_variables);
  memcpy(end + 2, running, sizeof running);
  end[4] = end[5] = 0;
  size_t bound = 0;
  plan = start;
  for (uint32_t i = 0; i + 1 < rounds; i++) {
    plan = read_round(&r, plan) + TABLE_WORDS * plan[0];
    bound += r.fold; /* the table after the round is bound from here on */
    query_weights(&c, end + 4, i ? all + tables + i - 1 : all, i ? 1 : tables, combinations + 2 * i, point + 2 * bound,
                  variables - bound);
  }
  return 0;
}

int32_t vc_check_opening(uint64_t *end, uint64_t *point, size_t *consumed, uint8_t *seed, const uint8_t *proof,
                         size_t length, const uint64_t *claimed, const uint32_t *plan, const uint8_t *roots,
                         uint64_t *scratch) {
  vc_transcript transcript;
  vc_transcript_begin(&transcript, seed, proof, length);
  int32_t status = vc_opening_reduce(&transcript, end, point, claimed, plan, roots, scratch);
  if (status) return status;
  *consumed = transcript.position;
  memcpy(seed, transcript.seed, 32);
  return 0;
}
