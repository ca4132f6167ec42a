/* SPDX-License-Identifier: Apache-2.0 */
/* Whole layers of a tree of fractions (see gkr.h), the transcript between their rounds included; and of levels and layers that are
 * small, all at once.
 */
#include "gkr.h"
#include "transcript.h"

static void send(vc_transcript *transcript, const char *label, const uint64_t *elements, size_t count) {
  uint8_t sent[64];
  for (size_t j = 0; j < 2 * count; j++) vc_store_le64(sent + 8 * j, elements[j]);
  vc_transcript_absorb_ext(transcript, label, sent, count);
}

/* Challenges may take the place of the point: a round needs those of its coordinates that come after its own. */
static void rounds(vc_transcript *transcript, uint64_t *messages, uint64_t *challenges, vc_gkr_tables *t, const vc_gkr_step *steps,
                   const uint64_t *point, size_t variables, const uint64_t *lambda, const uint64_t *defaults,
                   uint64_t *scratch) {
  static const char label[] = "fraction sumcheck";
  for (size_t i = 0; i < variables; i++, messages += 4, challenges += 2) {
    const vc_gkr_step *step = steps + i;
    vc_gkr_tree_round(messages, t, step->groups, (size_t)step->count, step->tail_place, point + 2 * (i + 1),
                      variables - 1 - i, lambda, 0, 1, scratch);
    send(transcript, label, messages, 2);
    vc_transcript_challenge(transcript, label, challenges);
    vc_gkr_bind_boxes(t, step->groups, (size_t)step->count, challenges, defaults, 0, 1);
    vc_gkr_bind_rest(t, step->groups, (size_t)step->count, challenges, defaults, scratch);
  }
}

void vc_gkr_layer(uint64_t *messages, uint64_t *challenges, uint8_t *seed, vc_gkr_tables *t, const vc_gkr_step *steps,
                  const uint64_t *point, size_t variables, const uint64_t *lambda, const uint64_t *defaults,
                  uint64_t *scratch) {
  vc_transcript transcript;
  vc_transcript_begin(&transcript, seed, NULL, 0);
  rounds(&transcript, messages, challenges, t, steps, point, variables, lambda, defaults, scratch);
  memcpy(seed, transcript.seed, sizeof transcript.seed);
}

void vc_gkr_add_levels(vc_gkr_level *levels, const vc_gkr_step *steps, size_t count) {
  for (size_t s = 0; s < count; s++)
    vc_gkr_add(levels + s + 1, levels + s, steps[s].groups, (size_t)steps[s].count, NULL, NULL, NULL, 0, 1);
}

/* The two fractions at a layer's end: numerators, denominators. */
static void ends(uint64_t pair[8], const vc_gkr_tables *t, const uint64_t lambda[2]) {
  uint64_t scaled[2];
  vc_ext_mul(scaled, lambda, t->tail[3]);
  pair[0] = vc_gl_sub(t->tail[0][0], scaled[0]), pair[1] = vc_gl_sub(t->tail[0][1], scaled[1]);
  vc_set(pair + 2, t->tail[2]);
  vc_set(pair + 4, t->tail[3]);
  vc_set(pair + 6, t->tail[1]);
}

void vc_gkr_layers(uint64_t *messages, uint64_t *point, uint8_t *seed, vc_gkr_tables *t, const vc_gkr_level *levels,
                   const vc_gkr_step *steps, size_t count, size_t variables, uint64_t *extra, uint64_t *box_weights,
                   uint64_t *scratch) {
  vc_transcript transcript;
  vc_transcript_begin(&transcript, seed, NULL, 0);
  point += 2 * count;
  for (size_t s = count; s-- > 0; variables++) {
    uint64_t lambda[2];
    vc_transcript_challenge(&transcript, "fraction layer", lambda);
    const uint64_t defaults[8] = {lambda[0], lambda[1], 1, 0, 0, 0, 1, 0};
    vc_gkr_begin(t, levels + s, steps[s].groups, (size_t)steps[s].count, NULL, extra, box_weights, point, variables, lambda,
                 NULL, defaults);
    rounds(&transcript, messages, point, t, steps + s + 1, point, variables, lambda, defaults, scratch);
    messages += 4 * variables;
    ends(messages, t, lambda);
    send(&transcript, "fraction pair", messages, 4);
    messages += 8, point -= 2;
    vc_transcript_challenge(&transcript, "fraction pair", point);
  }
  memcpy(seed, transcript.seed, sizeof transcript.seed);
}
